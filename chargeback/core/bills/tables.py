"""CSV as bills come: byte order marks, semicolons, blank lines; rows by the names of their columns. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chargeback.core.bills.charges import BillProblem, BillRefused

FILE_BYTES_MAX = 20_000_000  # unpacked
LINES_MAX = 200_000
COLUMNS_MAX = 1_000
FIELD_LENGTH_MAX = 100_000
SEPARATORS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = (("utf-8", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"))

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A file's columns in its order, and its rows with the number of their line; a row has each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]


class LayoutUnknown(ValueError):
    """Columns that no format has and no mapping knows; with what a person needs to write one."""

    def __init__(self, table: Table) -> None:
        super().__init__("the columns are those of no format that is known; say which is which")
        self.table = table


def decode(content: bytes) -> str:
    """The text of a file: UTF-8, or what its byte order mark says. Raises BillRefused."""
    if len(content) > FILE_BYTES_MAX:
        raise BillRefused([BillProblem(0, "", f"has more than {FILE_BYTES_MAX:,} bytes; send its days in parts")])
    encoding = next((name for name, mark in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BillRefused([BillProblem(line, "", "is no UTF-8 text; save the file as CSV UTF-8")]) from None


def read_table(content: bytes) -> Table:
    """The rows of a CSV file (RFC 4180; comma, semicolon, tab or bar). Raises BillRefused with every broken line."""
    text = decode(content)
    head = next((line for line in text.splitlines() if line.strip()), "")
    lines = _cut(text, separator=max(SEPARATORS, key=head.count))
    problems: list[BillProblem] = []
    try:
        columns = _read_heading(next(lines, (0, ()))[1])
        rows = list(_read_rows(lines, columns, problems))
    except csv.Error as error:
        problems.append(BillProblem(0, "", f"is no CSV ({error}); mend its quotation marks"))
    if problems:
        raise BillRefused(problems)
    return Table(columns, tuple(rows))


def _cut(text: str, *, separator: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The lines that say something, each with its number."""
    csv.field_size_limit(FIELD_LENGTH_MAX)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    line = 1
    for fields in reader:
        if any(field.strip() for field in fields):
            yield line, fields
        line = reader.line_num + 1


def _read_heading(fields: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns. A nameless column is called by its number."""
    names = tuple(field.strip() or f"column {number}" for number, field in enumerate(fields, start=1))
    if not names:
        raise BillRefused([BillProblem(0, "", "is empty")])
    if len(names) > COLUMNS_MAX:
        raise BillRefused([BillProblem(1, "", f"has more than {COLUMNS_MAX:,} columns")])
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BillRefused(
            [BillProblem(1, name, "stands twice in the heading; name each column once") for name in twice]
        )
    return names


def _read_rows(
    lines: Iterator[tuple[int, Sequence[str]]], columns: Sequence[str], problems: list[BillProblem]
) -> Iterator[tuple[int, Row]]:
    for number, (line, fields) in enumerate(lines):
        if number == LINES_MAX:
            problems.append(BillProblem(line, "", f"is beyond {LINES_MAX:,} lines; send the days in parts"))
            return
        if len(fields) != len(columns):
            told = f"has {len(fields)} fields, and the heading {len(columns)}; mend the line"
            problems.append(BillProblem(line, "", told))
            continue
        yield line, dict(zip(columns, fields, strict=True))
