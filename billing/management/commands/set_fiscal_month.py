"""`set_fiscal_month TENANT 4`: with which month a tenant's fiscal year begins."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.tenants import change_fiscal_month
from tenants.selectors import get_tenant
from tenants.tenants import TenantRefused

ACTOR = "command set_fiscal_month"


class Command(BaseCommand):
    help = "Begin a tenant's fiscal years, and so its quarters, with a month. Prints the month alone on the last line."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug")
        parser.add_argument("month", type=int, help="1 to 12")

    def handle(self, *, tenant: str, month: int, **options: object) -> None:
        holder = get_tenant(tenant)
        if holder is None:
            raise CommandError(f"there is no tenant {tenant!r}")
        try:
            change_fiscal_month(tenant=holder, month=month, actor=ACTOR, now=timezone.now())
        except TenantRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(month))
