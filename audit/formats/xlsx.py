"""A workbook: the lines as numbers to reckon with, the same with every digit as text, control totals, and facts.

Why twice: docs/decisions/a-workbook-holds-every-digit-twice.md. No cell is a formula, and its date is the month's.
"""

from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO

from audit.core.records import LINE_COLUMNS, Value, list_records, write_exactly
from audit.core.statement import ROUNDING, Statement
from audit.formats.fields import guard_formula
from audit.formats.jsonl import hash_statement

COLUMN_WIDTH = 18  # characters
TEXT_MAX = 32_767  # characters of a cell, by the format
LINES_MAX = 20_000  # what a request has time for, some 10 s


class TooManyLines(ValueError):
    """More lines than a workbook is made for while somebody waits; the text says what to take instead."""


def write_xlsx(statement: Statement, out: BinaryIO) -> None:
    """Raises TooManyLines."""
    import xlsxwriter  # 40 ms that nobody else should wait for

    if len(statement.lines) > LINES_MAX:
        raise TooManyLines(
            f"a workbook holds at most {LINES_MAX:,} lines, and this statement has {len(statement.lines):,}; "
            "take the CSV or Parquet"
        )
    with xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    ) as book:
        book.set_properties({"title": f"Statement {statement.number}", "created": statement.start.replace(tzinfo=None)})
        bold = book.add_format({"bold": True})
        records = list(list_records(statement))
        for name, write in (("Lines", _get_number), ("Every digit", write_exactly)):
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 1)
            sheet.set_column(0, len(LINE_COLUMNS) - 1, COLUMN_WIDTH)
            sheet.write_row(0, 0, list(LINE_COLUMNS), bold)
            for number, record in enumerate(records, start=1):
                values = zip(record, LINE_COLUMNS.values(), strict=True)
                sheet.write_row(number, 0, [_guard(write(value, kind)) for value, kind in values])
        _write_controls(book, statement, bold)
        _write_facts(book, statement)


def _get_number(value: Value, kind: str) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return write_exactly(value, kind) if isinstance(value, date) else value


def _guard(value: Any) -> Any:
    """A text as it stands: the format knows texts, but what is saved as CSV from it is read again."""
    return guard_formula(value)[:TEXT_MAX] if isinstance(value, str) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit() and text.isascii()


def _write_controls(book: Any, statement: Statement, bold: Any) -> None:
    sheet = book.add_worksheet("Control")
    sheet.set_column(0, 0, 3 * COLUMN_WIDTH)
    sheet.set_column(1, 3, 2 * COLUMN_WIDTH)
    sheet.write_row(0, 0, ["Of", "Count", statement.currency, f"{statement.currency}, every digit"], bold)
    for number, control in enumerate(statement.list_controls(), start=1):
        amount = control.amount
        exact = None if amount is None else f"{amount:f}"
        sheet.write_row(number, 0, [control.name, control.count, None if amount is None else float(amount), exact])


def _write_facts(book: Any, statement: Statement) -> None:
    sheet = book.add_worksheet("About")
    sheet.set_column(0, 1, 3 * COLUMN_WIDTH)
    facts = {
        "Statement": statement.number,
        "Tenant": f"{statement.tenant_slug} ({statement.tenant_name})",
        "Charge period, UTC": f"{statement.start:%Y-%m-%d} to {statement.end:%Y-%m-%d}, the last day not included",
        "Data": "simulated, of a demo" if statement.is_simulated else "as booked",
        "Rounding": ROUNDING,
        "Booked until": f"{statement.booked_until:%Y-%m-%d %H:%M:%S} UTC"
        if statement.booked_until
        else "nothing booked",
        "SHA-256 of the JSONL file": hash_statement(statement),
    }
    for number, (name, value) in enumerate(facts.items()):
        sheet.write_row(number, 0, [name, _guard(value)])
