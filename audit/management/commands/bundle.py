"""`manage.py bundle`: a month's evidence archive as a file."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from audit.bundles import stream_bundle
from audit.core.statement import PeriodRefused, read_period
from audit.sealed_months import PeriodEmpty, PeriodUnsealed, find_sealed_month
from tenants.selectors import get_tenant


class Command(BaseCommand):
    help = "Write a tenant's evidence archive of a month, which verify_tokenledger.py checks (docs/proof.md)."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--period", required=True, metavar="2026-10", help="a calendar month in UTC")
        parser.add_argument("--out", type=Path, metavar="FILE", help="evidence-SLUG-PERIOD.zip unless named")

    def handle(self, *, tenant: str, period: str, out: Path | None, **options: object) -> None:
        now = datetime.now(UTC)
        found = get_tenant(tenant)
        if found is None:
            raise CommandError(f"there is no tenant {tenant}")
        try:
            month = find_sealed_month(tenant=found, period=read_period(period, now=now), now=now)
        except (PeriodRefused, PeriodEmpty, PeriodUnsealed) as error:
            raise CommandError(f"{error}") from error
        path = out or Path(f"evidence-{month.name}.zip")
        with path.open("wb") as file:
            for piece in stream_bundle(month):
                file.write(piece)
        self.stdout.write(f"{path}: {month.entries:,} entries in {month.end - month.first:,} batches")
