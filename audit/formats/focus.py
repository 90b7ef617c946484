"""FOCUS as CSV: what `audit.core.focus` maps, null as an empty field, a decimal point in every number."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import BinaryIO

from audit.core.focus import COLUMNS, Row, write_field
from audit.formats.fields import guard_formula


def write_focus_csv(rows: Iterable[Row], out: BinaryIO) -> None:
    """The rows as they come."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_write(row[name]) for name in COLUMNS] for row in rows)
    text.detach()


def _write(value: str | Decimal | datetime | None) -> str:
    if value is None:
        return ""
    return guard_formula(value) if isinstance(value, str) else write_field(value)
