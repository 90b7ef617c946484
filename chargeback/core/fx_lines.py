"""Exchange rates as a form, a request or a file says them: read, or refused with all that is wrong. Pure."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from billing.core.drivers import BYTE_ORDER_MARK, SEPARATORS, read_day
from chargeback.core.exchange import CURRENCIES, LEDGER_CURRENCY, RATE_DECIMALS, FxRate

T = TypeVar("T")

COLUMNS = ("currency", "day", "rate", "source")
NEEDED = COLUMNS[:3]
SOURCE_LENGTH_MAX = 120
RATE_PATTERN = re.compile(rf"[0-9]{{1,10}}(\.[0-9]{{1,{RATE_DECIMALS}}})?")


@dataclass(frozen=True, slots=True)
class FxProblem:
    """What is wrong with a rate, and the cure. line: of a file from 1, of a list from 0. field: of COLUMNS, or ''."""

    line: int
    field: str
    detail: str


def read_currency(text: str) -> str:
    """A currency of ISO 4217 that is not the ledger's. Raises ValueError that says the cure."""
    currency = text.strip().upper()
    if currency not in CURRENCIES:
        raise ValueError("is no currency; write its code of ISO 4217, such as EUR")
    if currency == LEDGER_CURRENCY:
        raise ValueError(f"is what the ledger is kept in: {LEDGER_CURRENCY} needs no rate")
    return currency


def read_rate(text: str) -> Decimal:
    """How much of a currency one USD is. Raises ValueError that says the cure."""
    text = text.strip()
    if not RATE_PATTERN.fullmatch(text) or not Decimal(text):
        raise ValueError(
            f"is no rate; write what one {LEDGER_CURRENCY} is worth, such as 0.9213: above 0, and with at most "
            f"{RATE_DECIMALS} decimals"
        )
    return Decimal(text)


def read_source(text: str) -> str:
    """Who said so. Raises ValueError that says the cure."""
    source = text.strip()
    if len(source) > SOURCE_LENGTH_MAX or not source.isprintable():
        raise ValueError(f"has at most {SOURCE_LENGTH_MAX} characters, all of one line")
    return source


def read_rate_fields(line: int, fields: Mapping[str, object], problems: list[FxProblem]) -> FxRate | None:
    """One rate of texts by name; None where `problems` was told of some."""

    def read(field: str, reader: Callable[[str], T]) -> T | None:
        value = fields.get(field, "")
        try:
            if not isinstance(value, str):
                raise ValueError("is text, in quotation marks")
            return reader(value)
        except ValueError as error:
            problems.append(FxProblem(line, field, str(error)))
            return None

    problems.extend(
        FxProblem(line, str(name)[:64], f"is none of {', '.join(COLUMNS)}") for name in fields if name not in COLUMNS
    )
    currency, day, rate = read("currency", read_currency), read("day", read_day), read("rate", read_rate)
    source = read("source", read_source)
    if currency is None or day is None or rate is None or source is None:
        return None
    return FxRate(currency, day, rate, source)


def read_rate_lines(text: str) -> tuple[list[FxRate], list[FxProblem]]:
    """The rates of a file (RFC 4180; comma, semicolon or tab), or all that is wrong with its lines.

    A first line that names the columns may put them in any order; without it they are currency, day, rate, source, of
    which the last may be left out.
    """
    rates: list[FxRate] = []
    problems: list[FxProblem] = []
    seen: dict[tuple[str, date], int] = {}
    for line, fields, columns in _cut(text.removeprefix(BYTE_ORDER_MARK), problems):
        if not len(NEEDED) <= len(fields) <= len(columns):
            problems.append(FxProblem(line, "", f"has {len(fields)} fields; it needs {', '.join(NEEDED)}"))
            continue
        rate = read_rate_fields(line, dict(zip(columns, fields, strict=False)), problems)
        if rate is None:
            continue
        first = seen.setdefault((rate.currency, rate.day), line)
        if first != line:
            told = f"is of {rate.currency} on {rate.day} as line {first} is; keep one of them"
            problems.append(FxProblem(line, "", told))
        rates.append(rate)
    return ([], problems) if problems else (rates, [])


def _cut(text: str, problems: list[FxProblem]) -> Iterator[tuple[int, list[str], Sequence[str]]]:
    """The lines that say something, each with its number and the columns' order, up to one that is no CSV."""
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    columns: Sequence[str] = COLUMNS
    is_first = True
    try:
        for fields in rows:
            if not any(field.strip() for field in fields):
                continue
            names = [field.strip().lower() for field in fields]
            if is_first and set(NEEDED) <= set(names) <= set(COLUMNS) and len(set(names)) == len(names):
                columns = names
            else:
                yield rows.line_num, fields, columns
            is_first = False
    except csv.Error as error:
        problems.append(FxProblem(rows.line_num, "", f"is no CSV ({error}); mend its quotation marks"))
