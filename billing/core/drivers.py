"""Business drivers: how many orders, documents or seats a day had, as a file or a request says it. Pure."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")
Line = tuple[int, list[str], Sequence[str]]

NAME_LENGTH_MAX = 64
DAY_FIRST, DAY_LAST = date(2000, 1, 1), date(2199, 12, 31)
QUANTITY_PATTERN = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
DAY_PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
COLUMNS = ("name", "day", "quantity")
SEPARATORS = (",", ";", "\t")
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class DriverValue:
    """How much of a driver a day had; the day is one of the tenant's time zone."""

    name: str
    day: date
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with a line of a file, which counts from 1, and the cure. field: of COLUMNS, or ''."""

    line: int
    field: str
    detail: str


def read_name(text: str) -> str:
    """A driver's name, blanks around it dropped. Raises ValueError that says the cure."""
    name = text.strip()
    if not name:
        raise ValueError("is empty; name what is counted, such as orders")
    if len(name) > NAME_LENGTH_MAX:
        raise ValueError(f"has {len(name)} characters; at most {NAME_LENGTH_MAX} are taken")
    if not name.isprintable():
        raise ValueError("holds a character that cannot be printed; leave it out")
    return name


def read_day(text: str) -> date:
    """A day as 2026-11-03. Raises ValueError that says the cure."""
    text = text.strip()
    try:
        if not DAY_PATTERN.fullmatch(text):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("is no day; write it as 2026-11-03") from None
    if not DAY_FIRST <= day <= DAY_LAST:
        raise ValueError(f"lies outside the years {DAY_FIRST.year} to {DAY_LAST.year}")
    return day


def read_quantity(text: str) -> Decimal:
    """A quantity as 1250 or 12.5. Raises ValueError that says the cure."""
    text = text.strip()
    if not QUANTITY_PATTERN.fullmatch(text):
        raise ValueError(
            "is no quantity; write it as 1250 or 12.5: no sign, nothing between thousands, a point before at most six "
            "decimals"
        )
    return Decimal(text)


def read_driver_lines(text: str) -> tuple[list[DriverValue], list[LineProblem]]:
    """The values of a file (RFC 4180; comma, semicolon or tab), or all that is wrong with its lines.

    A first line that names the columns may put them in any order; without it they are name, day, quantity.
    """
    values: list[DriverValue] = []
    problems: list[LineProblem] = []
    seen: dict[tuple[str, date], int] = {}
    lines = _cut(text.removeprefix(BYTE_ORDER_MARK))
    for line, fields, columns in _stop_at_error(lines, problems):
        if len(fields) != len(columns):
            told = f"has {len(fields)} fields; it needs {', '.join(COLUMNS)}"
            problems.append(LineProblem(line, "", told))
            continue
        value = _read_line(line, dict(zip(columns, fields, strict=True)), problems)
        if value is None:
            continue
        first = seen.setdefault((value.name, value.day), line)
        if first != line:
            told = f"stands for {value.name} on {value.day} as line {first} does; keep one of them"
            problems.append(LineProblem(line, "", told))
        values.append(value)
    return ([], problems) if problems else (values, [])


def _cut(text: str) -> Iterator[Line]:
    """The lines that say something, each with its number and the columns' order."""
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    rows = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    columns: Sequence[str] = COLUMNS
    is_first = True
    for fields in rows:
        if not any(field.strip() for field in fields):
            continue
        names = [field.strip().lower() for field in fields]
        if is_first and sorted(names) == sorted(COLUMNS):
            columns = names
        else:
            yield rows.line_num, fields, columns
        is_first = False


def _stop_at_error(lines: Iterator[Line], problems: list[LineProblem]) -> Iterator[Line]:
    """The lines up to one that is no CSV."""
    line = 0
    try:
        for line, fields, columns in lines:
            yield line, fields, columns
    except csv.Error as error:
        problems.append(LineProblem(line + 1, "", f"is no CSV ({error}); mend its quotation marks"))


def _read_line(line: int, fields: Mapping[str, str], problems: list[LineProblem]) -> DriverValue | None:
    def read(field: str, reader: Callable[[str], T]) -> T | None:
        try:
            return reader(fields[field])
        except ValueError as error:
            problems.append(LineProblem(line, field, str(error)))
            return None

    name, day, quantity = read("name", read_name), read("day", read_day), read("quantity", read_quantity)
    if name is None or day is None or quantity is None:
        return None
    return DriverValue(name, day, quantity)
