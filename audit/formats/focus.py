"""FOCUS as CSV: what `audit.core.focus` maps, null as an empty field, a decimal point in every number."""

import csv
import io
from collections.abc import Iterable
from typing import BinaryIO

from audit.core.focus import COLUMNS, JSON, TEXT, Row, write_field
from audit.formats.fields import guard_formula


def write_focus_csv(rows: Iterable[Row], out: BinaryIO) -> None:
    """The rows as they come."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(
            guard_formula(write_field(row[name])) if kind in (TEXT, JSON) else write_field(row[name])
            for name, kind in COLUMNS.items()
        )
    text.detach()
