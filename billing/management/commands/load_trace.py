"""`load_trace KIND FILE --tenant SLUG`: prints what became of the file, and alone on the last line the same as JSON."""

import json
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.core.traces import TRACES
from billing.file_loads import LoadSummary
from billing.management.moments import parse_moment
from billing.management.progress import ProgressLine
from billing.traces import TraceRefused, load_trace
from tenants.selectors import get_tenant


class Command(BaseCommand):
    help = "Book a public trace of model usage for a tenant. A second run books nothing: every row is a duplicate."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("trace", choices=sorted(TRACES))
        parser.add_argument("file", type=Path, help=".csv or .csv.gz")
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--feature", default="", help="charged to it (default: the file's name)")
        parser.add_argument("--model", default="", metavar="[PROVIDER/]MODEL", help="in place of the trace's own")
        parser.add_argument("--environment", default="production")
        parser.add_argument("--start", type=parse_moment, metavar="TIME", help="the first moment, with a zone")

        parser.add_argument(
            "--strict", action="store_true", help="exit status 3 when something was rejected or in conflict"
        )

    def handle(self, *, trace: str, file: Path, tenant: str, model: str, **options: object) -> None:
        holder = get_tenant(tenant)
        if holder is None:
            raise CommandError(f"there is no tenant {tenant!r}")
        provider, _, name = model.partition("/") if "/" in model else ("", "", model)
        started = time.monotonic()
        progress = ProgressLine(file.name)
        try:
            summary = load_trace(
                trace=trace,
                path=file,
                tenant_id=holder.id,
                now=timezone.now(),
                feature=str(options["feature"]),
                provider=provider,
                model=name,
                environment=str(options["environment"]),
                start=options["start"] if isinstance(options["start"], datetime) else None,
                on_progress=progress.show,
            )
        except TraceRefused as error:
            raise CommandError(str(error)) from error
        finally:
            progress.end()
        self._print(summary, tenant=tenant, seconds=time.monotonic() - started)
        if options["strict"] and (summary.rejected or summary.conflicts):
            detail = f"{summary.rejected:,} rows rejected, {summary.conflicts:,} in conflict"
            raise CommandError(detail, returncode=3)

    def _print(self, summary: LoadSummary, *, tenant: str, seconds: float) -> None:
        """For a person, then for a script."""
        lines = [
            ("rows read", f"{summary.read:,}"),
            ("booked", f"{summary.booked:,}"),
            ("duplicates", f"{summary.duplicates:,}"),
            ("conflicts", f"{summary.conflicts:,}"),
            ("rejected", f"{summary.rejected:,}"),
            ("unpriced", f"{summary.unpriced:,} of those booked"),
            *((f"skipped: {reason}", f"{count:,}") for reason, count in sorted(summary.skipped.items())),
            ("times without a zone", f"{summary.marks.get('zone_less', 0):,} taken as UTC"),
            ("failed calls", f"{summary.marks.get('failed', 0):,}"),
            ("response ids shared", f"{summary.marks.get('shared_response_id', 0):,} by calls with other figures"),
            ("billed cost", f"{summary.billed_cost} USD"),
            ("time", f"{seconds:.1f} s"),
        ]
        for name, value in lines:
            self.stdout.write(f"{name:<24} {value}")
        for detail in summary.first_conflicts + summary.first_rejected:
            self.stdout.write(f"  {detail}")
        facts = asdict(summary) | {"tenant": tenant, "billed_cost": str(summary.billed_cost), "currency": "USD"}
        self.stdout.write(json.dumps(facts))
