"""`load_log FILE --tenant SLUG`: prints what became of the log, and alone on the last line the same as JSON."""

import json
import time
from argparse import ArgumentTypeError
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.core.cost_lines import CostLineOptions
from billing.cost_logs import LogRefused, LogSummary, load_log, name_log
from billing.management.progress import ProgressLine
from tenants.selectors import get_tenant


class Command(BaseCommand):
    help = "Book a log of plain cost lines for a tenant. A second run books nothing: every line is a duplicate."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="JSON lines, a JSON list or a CSV; .gz is unpacked")
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--timezone", type=_parse_zone, metavar="ZONE", help="of times without one: Europe/Berlin")
        parser.add_argument("--provider", default="", help="through whom the models were called")
        parser.add_argument("--feature", default="", help="charged to it, where a line names none")
        parser.add_argument("--environment", default="production")
        parser.add_argument("--source", default="", help="the log's name in its lines' ids (default: the file's name)")
        parser.add_argument("--ignore", action="append", default=[], metavar="FIELD", help="leave a field out; repeat")

        parser.add_argument(
            "--strict", action="store_true", help="exit status 3 when something was rejected or in conflict"
        )

    def handle(self, *, file: Path, tenant: str, source: str, ignore: list[str], **options: object) -> None:
        holder = get_tenant(tenant)
        if holder is None:
            raise CommandError(f"there is no tenant {tenant!r}")
        started = time.monotonic()
        progress = ProgressLine(file.name, noun="lines")
        try:
            summary = load_log(
                path=file,
                tenant_id=holder.id,
                now=timezone.now(),
                options=CostLineOptions(
                    source=source or name_log(file),
                    zone=options["timezone"] if isinstance(options["timezone"], ZoneInfo) else None,
                    provider=str(options["provider"]),
                    feature=str(options["feature"]),
                    environment=str(options["environment"]),
                    ignored=frozenset(ignore),
                ),
                on_progress=progress.show,
            )
        except LogRefused as error:
            raise CommandError(str(error)) from error
        finally:
            progress.end()
        self._print(summary, tenant=tenant, seconds=time.monotonic() - started)
        if options["strict"] and (summary.rejected or summary.conflicts):
            detail = f"{summary.rejected:,} lines rejected, {summary.conflicts:,} in conflict"
            raise CommandError(detail, returncode=3)

    def _print(self, summary: LogSummary, *, tenant: str, seconds: float) -> None:
        """For a person, then for a script."""
        lines = [
            ("lines read", f"{summary.read:,}"),
            ("booked", f"{summary.booked:,}"),
            ("duplicates", f"{summary.duplicates:,}"),
            ("conflicts", f"{summary.conflicts:,}"),
            ("rejected", f"{summary.rejected:,}"),
            ("unpriced", f"{summary.unpriced:,} of those booked"),
            ("times shown twice", f"{summary.marks.get('ambiguous_time', 0):,} taken as the earlier"),
            ("providers assumed", f"{summary.marks.get('provider_assumed', 0):,} by the model's name"),
            ("costs not tokens × rate", f"{summary.marks.get('cost_differs_from_rate', 0):,}"),
            ("reported cost", f"{summary.reported_cost} USD, of which unpriced {summary.unpriced_reported_cost}"),
            ("billed cost", f"{summary.billed_cost} USD"),
            ("billed less reported", f"{summary.difference:+} USD, of what is priced"),
            ("time", f"{seconds:.1f} s"),
        ]
        for name, value in lines:
            self.stdout.write(f"{name:<24} {value}")
        for detail in summary.first_conflicts + summary.first_rejected:
            self.stdout.write(f"  {detail}")
        facts = {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(summary).items()}
        self.stdout.write(json.dumps(facts | {"tenant": tenant, "currency": "USD"}))


def _parse_zone(text: str) -> ZoneInfo:
    """A name of the IANA time zone database."""
    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError) as error:
        raise ArgumentTypeError(f"{text!r} is no time zone; write one such as Europe/Berlin") from error
