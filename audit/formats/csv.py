"""CSV (RFC 4180, UTF-8): a heading, and the lines with every digit. Texts are guarded, numbers stand as they are."""

import csv
import io
from typing import BinaryIO

from audit.core.records import LINE_COLUMNS, TEXT, list_records, write_exactly
from audit.core.statement import Statement
from audit.formats.fields import guard_formula


def write_csv(statement: Statement, out: BinaryIO) -> None:
    """The statement's lines; what is not known is an empty field."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(LINE_COLUMNS)
    for record in list_records(statement):
        fields = (write_exactly(value, kind) or "" for value, kind in zip(record, LINE_COLUMNS.values(), strict=True))
        writer.writerow(
            guard_formula(field) if kind == TEXT else field
            for field, kind in zip(fields, LINE_COLUMNS.values(), strict=True)
        )
    text.detach()
