"""Query parameters, declared once: read strictly, all faults at once, and described in the schema."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter

from api.problems import Problem
from billing.core.periods import start_of_day
from ledger.matches import CONTAINS, NOT, STARTS

TEXT_LENGTH_MAX = 512
VALUES_PER_PARAMETER_MAX = 50
YEAR_FIRST, YEAR_LAST = 2000, 2199
# A plus sign in a query string is a space once decoded, and many clients forget to write %2B.
TIME_PATTERN = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:([Zz])|([+ -])(\d\d:\d\d))")
DATE_PATTERN = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter. `read` turns its text into a value, or raises ValueError saying what is wrong.

    A repeatable one gives a tuple: of nothing where it is absent.
    """

    name: str
    read: Callable[[str], Any]
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False
    is_repeatable: bool = False
    count_max: int = VALUES_PER_PARAMETER_MAX
    default: Any = None


def read_query(query: QueryDict, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The value of every parameter by name. Raises Problem `query_invalid` that names each fault."""
    known = {parameter.name: parameter for parameter in parameters}
    faults = [
        {"field": name, "detail": f"There is no such parameter here; there are {', '.join(known) or 'none'}."}
        for name in query
        if name not in known
    ]
    values: dict[str, Any] = {}
    for parameter in parameters:
        try:
            values[parameter.name] = _read_values(parameter, query.getlist(parameter.name))
        except ValueError as error:
            faults.append({"field": parameter.name, "detail": str(error)})
    if faults:
        raise Problem("query_invalid", "; ".join(f"{f['field']}: {f['detail']}" for f in faults), problems=faults)
    return values


def _read_values(parameter: Parameter, texts: list[str]) -> Any:
    if parameter.is_repeatable:
        if len(texts) > parameter.count_max:
            raise ValueError(f"At most {parameter.count_max} values are taken.")
        return tuple(parameter.read(text) for text in texts)
    if len(texts) > 1:
        raise ValueError("This is given more than once.")
    if not texts:
        if parameter.is_required:
            raise ValueError("This is required.")
        return parameter.default
    return parameter.read(texts[0])


def describe_parameters(parameters: Iterable[Parameter]) -> list[OpenApiParameter]:
    """The same for the schema."""
    return [
        OpenApiParameter(
            name=parameter.name,
            type=(
                {"type": "array", "items": dict(parameter.schema), "maxItems": parameter.count_max}
                if parameter.is_repeatable
                else dict(parameter.schema) | ({} if parameter.default is None else {"default": parameter.default})
            ),
            location=OpenApiParameter.QUERY,
            required=parameter.is_required,
            description=parameter.description,
            explode=True if parameter.is_repeatable else None,
            style="form" if parameter.is_repeatable else None,
        )
        for parameter in parameters
    ]


TEXT_SCHEMA = {"type": "string", "maxLength": TEXT_LENGTH_MAX, "pattern": r"^[^\u0000]*$"}
TIME_SCHEMA = {"type": "string", "format": "date-time"}
BOUNDARY_SCHEMA = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}


def read_text(text: str) -> str:
    """Any text that PostgreSQL can hold; '' is a value as well: "says nothing"."""
    if len(text) > TEXT_LENGTH_MAX:
        raise ValueError(f"At most {TEXT_LENGTH_MAX} characters are taken.")
    if "\0" in text:
        raise ValueError("NUL is no character of a name.")
    return text


ROWS_PER_PAGE = 100
NEXT_PAGE = "`next` of the page before."
NUMBER_MAX = 10**12 - 1  # of an id: `read_whole` takes twelve digits


def make_limit(what: str, limit_max: int) -> Parameter:
    """How many of `what` are on a page, ROWS_PER_PAGE unless named."""
    schema = {"type": "integer", "minimum": 1, "maximum": limit_max}
    return Parameter("limit", read_whole(1, limit_max), f"{what} on a page.", schema, default=ROWS_PER_PAGE)


def make_uuid_cursor() -> Parameter:
    """Where the page before ended, of what has UUIDs."""
    return Parameter("cursor", read_uuid, NEXT_PAGE, {"type": "string", "format": "uuid"})


def make_number_cursor() -> Parameter:
    """The same of what has numbers."""
    schema = {"type": "integer", "minimum": 1, "maximum": NUMBER_MAX}
    return Parameter("cursor", read_whole(1, NUMBER_MAX), NEXT_PAGE, schema)


MATCH_MEANINGS = {
    NOT: "None of these; '' for events without one.",
    CONTAINS: "With any of these in it, whatever its case.",
    STARTS: "Beginning with any of these, whatever its case.",
}
WHOLE_NAMES = ("user", "key")  # of which no part can be looked for


def make_match_parameters(names: Iterable[str]) -> tuple[Parameter, ...]:
    """The filters beside `name=`: `name.not=`, `name.contains=`, `name.starts=`."""
    return tuple(
        Parameter(f"{name}.{operator}", read_text, meaning, TEXT_SCHEMA, is_repeatable=True)
        for name in names
        for operator, meaning in MATCH_MEANINGS.items()
        if operator == NOT or name not in WHOLE_NAMES
    )


def read_choice(*choices: str) -> Callable[[str], str]:
    """One of the words, spelt exactly."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"One of {', '.join(choices)} is taken.")
        return text

    return read


def read_whole(first: int, last: int) -> Callable[[str], int]:
    """A whole number between two bounds, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not first <= int(text) <= last:
            raise ValueError(f"A whole number from {first} to {last} is taken.")
        return int(text)

    return read


def read_uuid(text: str) -> UUID:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ValueError("A UUID is taken.")
    return UUID(text)


def read_timezone(text: str) -> str:
    """A name of the IANA time zone database."""
    if text not in list_timezones():
        raise ValueError("A name of the IANA time zone database is taken, such as Europe/Zagreb.")
    return text


@cache
def list_timezones() -> frozenset[str]:
    """The names, read from disk once; these two are files there and no zones."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def read_time(text: str) -> datetime:
    """An RFC 3339 time with its zone, as UTC."""
    match = TIME_PATTERN.fullmatch(text)
    try:
        if not match:
            raise ValueError
        zone = "+00:00" if match[2] else ("-" if match[3] == "-" else "+") + match[4]
        moment = datetime.fromisoformat(match[1].upper() + zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("An RFC 3339 time with its zone is taken, such as 2026-11-01T00:00:00Z.") from None
    _refuse_far_year(moment.year)
    return moment


def read_boundary(text: str) -> datetime | date:
    """An RFC 3339 time, or a day, which means its beginning in the time zone of the question."""
    if not DATE_PATTERN.fullmatch(text):
        return read_time(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("There is no such day.") from None
    _refuse_far_year(day.year)
    return day


def find_moment(boundary: datetime | date, *, timezone: str) -> datetime:
    """A boundary in UTC; a day means its beginning in `timezone`."""
    return boundary if isinstance(boundary, datetime) else start_of_day(boundary, ZoneInfo(timezone))


def _refuse_far_year(year: int) -> None:
    if not YEAR_FIRST <= year <= YEAR_LAST:
        raise ValueError(f"A year from {YEAR_FIRST} to {YEAR_LAST} is taken.")
