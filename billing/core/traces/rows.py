"""What every trace shares: how one row is read, and what may become of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from billing.core.usage import QUANTITY_MAX, UsageEvent, UsageInconsistent

Row = Mapping[str, str]
RELATIVE_START = datetime(2026, 1, 1, tzinfo=UTC)  # fixed, so that a second load finds the events of the first

ZONE_LESS = "zone_less"  # the time said no zone and was taken as UTC
FAILED = "failed"  # a call that ended in an error; without tokens it is booked at zero
SHARED_RESPONSE_ID = "shared_response_id"  # another call had this response id, with other figures


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """How a file is read. No provider, no model: those that the trace names, or is known to be of.

    stem: the file's name without `.csv.gz`; with the row's number it identifies a row that has no id of its own.
    start: the first moment of a trace whose times are relative; `shift` moves one whose times are absolute.
    """

    stem: str
    feature: str
    provider: str = ""
    model: str = ""
    environment: str = "production"
    start: datetime = RELATIVE_START
    shift: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class TracedCall:
    """A row that is a call; `marks` says what was done to it on purpose."""

    line: int
    event: UsageEvent
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that is no call of a model."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that may be a call and cannot be booked as it stands."""

    line: int
    detail: str
    row: Row | str


class RowUnreadable(ValueError):
    """A value that a row must have and has not; the text names its column."""


ReadRow = TracedCall | SkippedRow | UnreadableRow


def read_each(
    rows: Iterable[tuple[int, Row]], read_row: Callable[[int, Row], TracedCall | SkippedRow]
) -> Iterator[ReadRow]:
    """Each row read, in order; one that cannot be read does not stop the others."""
    for line, row in rows:
        try:
            if any("\0" in str(value) for value in row.values()):
                raise RowUnreadable("the row holds a NUL character")
            yield read_row(line, row)
        except (RowUnreadable, UsageInconsistent) as error:
            yield UnreadableRow(line, str(error), row)


def parse_count(row: Row, column: str) -> int:
    """A whole number from 0 to QUANTITY_MAX."""
    number = parse_number(row, column)
    if number != int(number) or number > QUANTITY_MAX:
        raise RowUnreadable(f"{column} is {row[column]!r}: expected a whole number up to {QUANTITY_MAX}")
    return int(number)


def parse_number(row: Row, column: str) -> Decimal:
    """A finite number >= 0, as it is written."""
    text = row.get(column) or ""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise RowUnreadable(f"{column} is {text!r}: expected a number") from None
    if not number.is_finite() or number < 0:
        raise RowUnreadable(f"{column} is {text!r}: expected a number >= 0")
    return number


def parse_milliseconds(row: Row, column: str, *, per: int = 1) -> int | None:
    """A duration in whole milliseconds, half up; None where none was measured. `per` milliseconds are one unit."""
    return int(parse_number(row, column) * per + Decimal("0.5")) if row.get(column) else None


def parse_offset(row: Row, column: str, *, microseconds: int) -> timedelta:
    """A time since the start, counted in units of `microseconds`."""
    return timedelta(microseconds=int(parse_number(row, column) * microseconds))


def parse_time(row: Row, column: str) -> tuple[datetime, bool]:
    """An ISO 8601 time in UTC, cut to the microsecond, and whether it said no zone and was taken as UTC."""
    text = row.get(column) or ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowUnreadable(f"{column} is {text!r}: expected an ISO 8601 time") from None
    return (moment.replace(tzinfo=UTC), True) if moment.tzinfo is None else (moment.astimezone(UTC), False)
