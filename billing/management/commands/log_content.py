"""`log_content TENANT --days 30`, or `--off`: whether a tenant's prompts and completions are kept, and how long."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.contents import change_content_days, discard_all_contents
from tenants.selectors import get_tenant
from tenants.tenants import KeptDaysRefused

ACTOR = "command log_content"
DAYS_AT_FIRST = 30


class Command(BaseCommand):
    help = (
        "Keep a tenant's prompts and completions, redacted, for some days; none are kept unless this was said. "
        "Prints the days alone on the last line, or off."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug")
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--days", type=int, default=DAYS_AT_FIRST, help=f"{DAYS_AT_FIRST} unless named")
        choice.add_argument("--off", action="store_true", help="take and show none; what is kept goes in its time")
        parser.add_argument("--delete", action="store_true", help="with --off: delete what is kept, now")

    def handle(self, *, tenant: str, days: int, off: bool, delete: bool, **options: object) -> None:
        holder = get_tenant(tenant)
        if holder is None:
            raise CommandError(f"there is no tenant {tenant!r}; make it with create_tenant")
        if delete and not off:
            raise CommandError("--delete goes with --off")
        if not off and days < 1:
            raise CommandError("--days is 1 or more; --off keeps none")
        now = timezone.now()
        try:
            change_content_days(tenant_id=holder.id, days=0 if off else days, actor=ACTOR, now=now)
        except KeptDaysRefused as error:
            raise CommandError(str(error)) from error
        if delete:
            self.stdout.write(f"{discard_all_contents(tenant_id=holder.id, actor=ACTOR, now=now)} deleted")
        self.stdout.write("off" if off else str(days))
