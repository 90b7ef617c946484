"""The list of entries as its address asks for it: filters, their chips, and what the rows add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import QueryDict

from dashboards.core.periods import Period, PeriodInvalid, read_period
from dashboards.frame import ANY_TIME, read_environment
from ledger.selectors import EntryCursor, EntryFilters, EntryIdInvalid

ENTRIES_PER_PAGE = 50
PAGE_SIZES = (50, 200, 1000)

# A parameter's name, its word on the page, and the field of EntryFilters that it sets.
TEXT_FILTERS = (
    ("feature", "Feature", "features"),
    ("cost_center", "Cost centre", "cost_centers"),
    ("model", "Model", "models"),
    ("provider", "Provider", "providers"),
    ("key", "Key", "keys"),
    ("user", "User", "users"),
    ("operation", "Operation", "operations"),
    ("service_tier", "Service tier", "service_tiers"),
    ("status", "Status", "statuses"),
    ("pricing_status", "Pricing", "pricing_statuses"),
    ("kind", "Kind", "kinds"),
    ("event_id", "Event id", "event_ids"),
    ("response_id", "Response id", "response_ids"),
    ("trace_id", "Trace id", "trace_ids"),
    ("session_id", "Session id", "session_ids"),
)


def _read_month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def _read_rate_version(text: str) -> int | None:
    return None if text == "" else _read_count(text, 2**63 - 1)


def _read_tier(text: str) -> int:
    return _read_count(text, 100)


def _read_count(text: str, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not 0 <= number <= most:
        raise ValueError
    return number


def _read_usage(text: str) -> str:
    return text


# The same of what is no text: and how it is read, or what it may be.
OTHER_FILTERS = (
    ("billing_period", "Billing period", "billing_periods", _read_month, "a month, such as 2026-10"),
    ("rate_version", "Rate version", "rate_versions", _read_rate_version, "the number of a rate version"),
    ("context_tier", "Context tier", "context_tiers", _read_tier, "a number from 0 on"),
    ("cache_hit", "Cached answer", "cache_hits", {"yes": True, "no": False}.__getitem__, "yes or no"),
    ("usage", "Used", "usages", _read_usage, "a quantity, such as output_tokens"),
)
FILTER_WORDS = {name: word for name, word, *_ in (*TEXT_FILTERS, *OTHER_FILTERS)} | {"batch_id": "Batch"}
# Those that the rollups know, so that what all entries of a period cost can be said beside a page of them.
ROLLED_UP_FILTERS = ("feature", "cost_center", "model", "provider", "key", "operation", "service_tier")


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address without it."""

    word: str
    value: str
    href: str


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """What an address of the ledger asks for. period: None for any time. problem: what could not be read, or ''."""

    period: Period | None
    environment: str
    filters: EntryFilters
    texts: Mapping[str, tuple[str, ...]]
    before: EntryCursor | None
    limit: int
    problem: str

    @property
    def rolled_up_filters(self) -> Mapping[str, tuple[str, ...]] | None:
        """The same as the rollups know them; None where they cannot answer."""
        if self.period is None or self.filters.batch_id or set(self.texts) - set(ROLLED_UP_FILTERS):
            return None
        environment = {"environment": (self.environment,)} if self.environment else {}
        return {**self.texts, **environment}


def read_entry_query(query: QueryDict, *, timezone: str, today: date) -> EntryQuery:
    """What the address asks for, any time unless it names a period. Raises BadRequest for what no filter can be."""
    if any("\0" in value for values in query.lists() for value in values[1]):
        raise BadRequest("a filter with a NUL character")
    period, problem = _read_period(query, today)
    environment = read_environment(query)
    texts = {name: tuple(query.getlist(name)) for name, *_ in (*TEXT_FILTERS, *OTHER_FILTERS) if name in query}
    start, end = period.get_bounds(timezone) if period else (None, None)
    return EntryQuery(
        period=period,
        environment=environment,
        filters=EntryFilters(
            start=start,
            end=end,
            environments=(environment,) if environment else (),
            batch_id=_read_batch_id(query),
            **{field: texts.get(name, ()) for name, _, field in TEXT_FILTERS},
            **_read_others(texts),
        ),
        texts=texts,
        before=_read_cursor(query),
        limit=_read_limit(query),
        problem=problem,
    )


def _read_others(texts: Mapping[str, Sequence[str]]) -> dict[str, tuple[Any, ...]]:
    values = {}
    for name, word, field, read, meaning in OTHER_FILTERS:
        try:
            values[field] = tuple(read(text) for text in texts.get(name, ()))
        except (ValueError, KeyError) as error:
            raise BadRequest(f"{word}: {meaning}") from error
    return values


def _read_period(query: QueryDict, today: date) -> tuple[Period | None, str]:
    try:
        if not {"period", "from", "to"} & set(query) or query.get("period") == ANY_TIME:
            return None, ""
        return read_period(query, today=today), ""
    except PeriodInvalid as problem:
        return None, f"{problem} Any time is shown instead."


def _read_batch_id(query: QueryDict) -> UUID | None:
    try:
        return UUID(query["batch_id"]) if query.get("batch_id") else None
    except ValueError as error:
        raise BadRequest("a batch's id is a UUID") from error


def _read_cursor(query: QueryDict) -> EntryCursor | None:
    try:
        return EntryCursor.read(query["cursor"]) if query.get("cursor") else None
    except EntryIdInvalid as error:
        raise BadRequest(str(error)) from error


def _read_limit(query: QueryDict) -> int:
    limit = query.get("limit", "")
    return int(limit) if limit in map(str, PAGE_SIZES) else ENTRIES_PER_PAGE


def list_chips(path: str, query: QueryDict) -> list[Chip]:
    """A chip for each filter of the address."""
    chips = []
    for name, word in FILTER_WORDS.items():
        for value in query.getlist(name):
            rest = query.copy()
            rest.pop("cursor", None)
            rest.setlist(name, [other for other in query.getlist(name) if other != value])
            chips.append(Chip(word, value or "none", f"{path}?{rest.urlencode()}"))
    return chips


@dataclass(frozen=True, slots=True)
class EntrySums:
    """What the rows of one page add up to. billed_cost: of its priced entries, None where there is none."""

    count: int
    unpriced: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    billed_cost: Decimal | None


def add_up_entries(entries: Sequence[Mapping[str, Any]]) -> EntrySums:
    """The sums under a page's columns."""
    costs = [entry["billed_cost"] for entry in entries if entry["billed_cost"] is not None]
    return EntrySums(
        count=len(entries),
        unpriced=len(entries) - len(costs),
        input_tokens=sum(entry["input_tokens"] for entry in entries),
        cache_read_tokens=sum(entry["cache_read_tokens"] for entry in entries),
        cache_write_tokens=sum(entry["cache_write_tokens"] + entry["cache_write_1h_tokens"] for entry in entries),
        output_tokens=sum(entry["output_tokens"] for entry in entries),
        billed_cost=sum(costs, Decimal(0)) if costs else None,
    )
