"""`set_limits TENANT --events-per-second 500`: how much a tenant, or one of its keys, may send and ask."""

import json

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.tenants import change_limits
from tenants.limits import COLUMNS, RESOURCES, LimitRefused
from tenants.selectors import get_tenant

ACTOR = "command set_limits"
DEFAULT = "default"


class Command(BaseCommand):
    help = (
        "Set how much a tenant, or one of its keys, may send and ask in a second. Prints its own limits as JSON alone "
        "on the last line; null: the installation's for a tenant, none beside the tenant's for a key."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug")
        parser.add_argument("--key", metavar="KEY_ID", help="of this key alone: the 12 characters after tl_")
        for column in COLUMNS.values():
            option = f"--{column.replace('_', '-')}"
            parser.add_argument(option, metavar="N", help=f"a whole number, or {DEFAULT!r} to take it away")

    def handle(self, *, tenant: str, key: str | None, **options: str | None) -> None:
        holder = get_tenant(tenant)
        if holder is None:
            raise CommandError(f"there is no tenant {tenant!r}")
        try:
            changes = {
                resource: _read_number(resource, text)
                for resource in RESOURCES
                if (text := options[COLUMNS[resource]]) is not None
            }
            limits = change_limits(tenant_id=holder.id, key_id=key, changes=changes, actor=ACTOR, now=timezone.now())
        except LimitRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(limits._asdict()))


def _read_number(resource: str, text: str) -> int | None:
    if text == DEFAULT:
        return None
    if not text.isdecimal():
        raise LimitRefused(f"{resource}: a limit is a whole number of 1 or more, or {DEFAULT!r}")
    return int(text)
