"""`create_api_key TENANT --scopes ingest,read`: prints the key alone on the last line, this once."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.keys import make_api_key
from tenants.keys import KeyNameTaken, ScopesUnknown, make_key_id
from tenants.models import SCOPES
from tenants.selectors import get_tenant

ACTOR = "command create_api_key"


class Command(BaseCommand):
    help = (
        "Make an API key. The tenant `operator` makes an operator's key, which may act for any tenant. "
        "Prints the key alone on the last line; it cannot be shown again."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug")
        parser.add_argument("--scopes", required=True, help=f"some of {','.join(SCOPES)}")
        parser.add_argument("--name", default="")

    def handle(self, *, tenant: str, scopes: str, name: str, **options: object) -> None:
        holder = get_tenant(tenant)
        if holder is None:
            raise CommandError(f"there is no tenant {tenant!r}; make it with create_tenant")
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        try:
            token = make_api_key(
                tenant_id=holder.id, key_id=make_key_id(), name=name, scopes=wanted, actor=ACTOR, now=timezone.now()
            )
        except (ScopesUnknown, KeyNameTaken) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(token)
