"""`list_api_keys TENANT`: one line a key, the newest first."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tenants.selectors import get_tenant, list_api_keys


class Command(BaseCommand):
    help = (
        "List a tenant's API keys: public id, name, scopes, when each was made, and when it was revoked. "
        "The secrets are kept nowhere."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug")

    def handle(self, *, tenant: str, **options: object) -> None:
        holder = get_tenant(tenant)
        if holder is None:
            raise CommandError(f"there is no tenant {tenant!r}")
        now = timezone.now()
        for key in list_api_keys(holder.id):
            made = f"made {key.created_at:%Y-%m-%d %H:%M} UTC"
            word = "live until" if key.is_live(now) else "revoked"
            state = f"{word} {key.revoked_at:%Y-%m-%d %H:%M} UTC" if key.revoked_at else "live"
            self.stdout.write(f"{key.key_id}  {key.name:<24}  {','.join(key.scopes):<24}  {made}  {state}")
