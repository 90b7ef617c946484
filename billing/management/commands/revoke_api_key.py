"""`revoke_api_key TENANT KEY_ID`: the next request with that key is refused."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.keys import KeyUnknown, end_api_key
from tenants.selectors import get_tenant

ACTOR = "command revoke_api_key"


class Command(BaseCommand):
    help = "Revoke an API key at once. Prints the key's public id alone on the last line."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug")
        parser.add_argument("key_id", help="the 12 characters after tl_; list_api_keys shows it")

    def handle(self, *, tenant: str, key_id: str, **options: object) -> None:
        holder = get_tenant(tenant)
        try:
            if holder is None:
                raise KeyUnknown(key_id)
            end_api_key(tenant_id=holder.id, key_id=key_id, actor=ACTOR, now=timezone.now())
        except KeyUnknown:
            raise CommandError(f"tenant {tenant!r} has no live key {key_id!r}") from None
        self.stdout.write(key_id)
