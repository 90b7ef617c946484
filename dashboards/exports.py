"""Tables as files: exact digits, and nothing that a spreadsheet would run."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from audit.formats.fields import guard_formula
from dashboards.core.periods import Period

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMN_WIDTH = 18  # characters
SHEET_CELL_MAX = 32_767  # characters of a text, by the format
SHEET_CELLS_MAX = 250_000  # what a request has time for, some 5 s
FILE_PARAMETERS = ("table", "format")  # of a file, and not of the page that it was taken from


def answer_file(
    request: HttpRequest,
    name: str,
    *,
    page: str,
    heading: Sequence[str],
    rows: Iterable[Sequence[object]],
    facts: Mapping[str, str],
) -> HttpResponse:
    """A table of the page whose URL is called `page`: as CSV, or where the address says `format=xlsx` as a workbook
    with the facts about it and the page's address.
    """
    if request.GET.get("format") != "xlsx":
        return answer_csv(f"{name}.csv", heading=heading, rows=rows)
    query = request.GET.copy()
    for parameter in FILE_PARAMETERS:
        query.pop(parameter, None)
    address = request.build_absolute_uri(f"{reverse(page)}?{query.urlencode()}")
    return answer_xlsx(f"{name}.xlsx", heading=heading, rows=rows, facts={**facts, "Address": address})


def make_facts(*, tenant: str, timezone: str, environment: str, period: Period | None) -> dict[str, str]:
    """What every workbook says first: whose figures, of which environment ('' for all) and days (None for any)."""
    return {
        "Tenant": tenant,
        "Environment": environment or "all",
        "Period": f"{period.first} to {period.last}, days of {timezone}" if period else "any time",
    }


def write_filters(filters: Mapping[str, Sequence[str]]) -> str:
    """A fact: the filters in force, as the address names them."""
    return ", ".join(f"{name}={value}" for name, values in filters.items() for value in values) or "none"


def answer_csv(filename: str, *, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """A CSV file (RFC 4180, UTF-8) to be saved. Text that begins like a formula gets an apostrophe before it;
    numbers are typed and stand as they are; None is an empty field.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([_write_field(field) for field in row] for row in (heading, *rows))
    return _answer(filename, text.getvalue().encode(), "text/csv; charset=utf-8")


def answer_xlsx(
    filename: str, *, heading: Sequence[str], rows: Iterable[Sequence[object]], facts: Mapping[str, str]
) -> HttpResponse:
    """A workbook of three sheets: the figures as numbers to reckon with, the same with every digit as text (a
    spreadsheet's number has 15), and what the file is about. No cell is a formula. Raises BadRequest for more cells
    than SHEET_CELLS_MAX.
    """
    import xlsxwriter  # 40 ms that no other page should wait for

    buffer = io.BytesIO()
    rows = list(rows)
    rows_max = SHEET_CELLS_MAX // len(heading)
    if len(rows) > rows_max:
        raise BadRequest(
            f"a workbook of {len(heading)} columns holds at most {rows_max:,} rows, and this table has {len(rows):,}; "
            "take the CSV, or narrow the filter"
        )
    with xlsxwriter.Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    ) as book:
        bold = book.add_format({"bold": True})
        for name, write in (("Figures", _get_number), ("Every digit", _write_exactly)):
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 1)
            sheet.set_column(0, len(heading) - 1, COLUMN_WIDTH)
            sheet.write_row(0, 0, [cell[:SHEET_CELL_MAX] for cell in heading], bold)
            for number, row in enumerate(rows, start=1):
                sheet.write_row(number, 0, [write(field) for field in row])
        about = book.add_worksheet("About")
        about.set_column(0, 1, 2 * COLUMN_WIDTH)
        for number, (name, value) in enumerate(facts.items()):
            about.write_row(number, 0, [name, value])
    return _answer(filename, buffer.getvalue(), XLSX)


def _answer(filename: str, content: bytes, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _write_field(field: object) -> object:
    return guard_formula(field) if isinstance(field, str) else _write_exactly(field)


def _write_exactly(field: object) -> object:
    """Text of a number with every digit, and no exponent."""
    if isinstance(field, datetime | date):
        return field.isoformat()
    return f"{field:f}" if isinstance(field, Decimal) else field


def _get_number(field: object) -> object:
    return float(field) if isinstance(field, Decimal) else _write_exactly(field)
