"""`create_tenant SLUG`: prints the tenant's id alone on the last line."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone as clock

from billing.tenants import open_tenant
from tenants.tenants import TenantRefused

ACTOR = "command create_tenant"


class Command(BaseCommand):
    help = "Make a tenant. Prints its id alone on the last line."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--name", default="")
        parser.add_argument("--timezone", default="UTC", help="of its days and months, such as Europe/Berlin")

        parser.add_argument("--fiscal-month", type=int, default=1, help="with which its fiscal year begins: 1 to 12")

    def handle(self, *, slug: str, name: str, timezone: str, fiscal_month: int, **options: object) -> None:
        try:
            tenant = open_tenant(
                slug=slug, name=name, timezone=timezone, fiscal_month=fiscal_month, actor=ACTOR, now=clock.now()
            )
        except TenantRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(tenant.id))
