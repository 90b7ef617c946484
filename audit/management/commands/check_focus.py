"""`manage.py check_focus`: is a file what FOCUS says, row by row?"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from audit.core.focus_check import check_focus


class Command(BaseCommand):
    """Exit status 1 when something is wrong. It reads the file alone, and needs no database."""

    help = (
        "Check a FOCUS file, CSV or Parquet: types, values, price × quantity = cost, periods, sums by invoice, ratios."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, **options: Path) -> None:
        path = options["file"]
        try:
            columns, rows = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
            result = check_focus(columns, rows)
        except (OSError, UnicodeDecodeError, csv.Error, ValueError) as fault:
            raise CommandError(f"{path} cannot be read: {fault}") from fault
        for problem in result.problems:
            self.stdout.write(str(problem))
        for invoice, billed in result.billed_by_invoice.items():
            self.stdout.write(f"{invoice}: {billed:f} billed")
        if result.problem_count:
            raise CommandError(f"{result.problem_count:,} problems in {result.rows:,} rows.")
        self.stdout.write(f"{result.rows:,} rows, no problem.")


def read_csv(path: Path) -> tuple[list[str], Iterator[Mapping[str, str]]]:
    """The columns of a CSV file, and its rows as they are read."""
    file = path.open(newline="", encoding="utf-8-sig")
    reader = csv.reader(file)
    columns = next(reader, [])
    return columns, (dict(zip(columns, fields, strict=True)) for fields in reader)


def read_parquet(path: Path) -> tuple[list[str], Iterator[Mapping[str, str | None]]]:
    """The same of a Parquet file: its values as a CSV would write them."""
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(path)
    rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
    return file.schema_arrow.names, ({name: _write(value) for name, value in row.items()} for row in rows)


def _write(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
