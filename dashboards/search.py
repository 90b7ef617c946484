"""What the search of every page finds: an id leads to its rows, a part of a name to what is called so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from audit.core.statement import PeriodRefused, read_period
from billing.selectors import list_dimension_values
from dashboards.access import Seat
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from ledger.selectors import EntryFilters, find_user_refs, get_entry, list_entries
from tenants.selectors import list_api_keys

SEEN_DAYS = 90
HITS_PER_KIND_MAX = 20
IDS = ("event_id", "response_id", "trace_id", "session_id")
NAMED = {"feature": "Feature", "model": "Model", "cost_center": "Cost centre", "provider": "Provider"}


@dataclass(frozen=True, slots=True)
class Hit:
    """kind: what it is, in a word; is_exact: it is what was asked for, whole."""

    kind: str
    name: str
    href: str
    is_exact: bool


def find_id(seat: Seat, text: str) -> str:
    """The address of what has this id: an entry, or the entries of an event, an answer, a trace or a session; ''."""
    if "\0" in text:
        return ""
    if get_entry(tenant_id=seat.tenant.id, entry_id=text):
        return make_link("entry", seat.link_query, text)
    for name in IDS:
        filters = EntryFilters(**{f"{name}s": (text,)})
        if list_entries(tenant_id=seat.tenant.id, filters=filters, limit=1).entries:
            if name == "trace_id":
                return make_link("trace", seat.link_query, text)
            return make_link("ledger", seat.link_query | {"environment": ALL_ENVIRONMENTS, name: text})
    return ""


MONTHS = {f"{date(2000, number, 1):%B}".casefold(): number for number in range(1, 13)}


def find_statement(seat: Seat, text: str, *, now: datetime) -> str:
    """The address of the statement that is meant: its number, `2026-10`, or `October 2026`; '' where none is."""
    own = text.casefold().removeprefix(f"{seat.tenant.slug}-")
    name, _, year = own.partition(" ")
    number = next((number for month, number in MONTHS.items() if len(name) > 2 and month.startswith(name)), 0)
    try:
        period = read_period(f"{year}-{number:02d}" if number else own, now=now)
    except PeriodRefused:
        return ""
    return make_link("audit_statement", seat.link_query | {"period": f"{period:%Y-%m}"})


def find_names(seat: Seat, text: str, *, now: datetime) -> list[Hit]:
    """What was used in the last 90 days and has the text in its name, whole names first; users whole only."""
    hits = [
        *_find_used(seat, text, now=now),
        *_find_keys(seat, text),
        *_find_users(seat, text),
        *_find_tenants(seat, text),
    ]
    kept: dict[str, int] = {}
    found = []
    for hit in sorted(hits, key=lambda hit: not hit.is_exact):
        kept[hit.kind] = kept.get(hit.kind, 0) + 1
        if kept[hit.kind] <= HITS_PER_KIND_MAX:
            found.append(hit)
    return found


def _find_used(seat: Seat, text: str, *, now: datetime) -> Iterator[Hit]:
    start = now - timedelta(days=SEEN_DAYS)
    values = list_dimension_values(tenant_id=seat.tenant.id, start=start, end=now)
    for dimension, kind in NAMED.items():
        yield from _match(seat, kind, dimension, values[dimension], text)


def _find_keys(seat: Seat, text: str) -> Iterator[Hit]:
    for key in list_api_keys(seat.tenant.id):
        if _has(key.name, text) or key.key_id == text:
            yield _lead(
                seat, "Key", "key", key.key_id, name=key.name or key.key_id, is_exact=text in (key.name, key.key_id)
            )


def _find_users(seat: Seat, text: str) -> Iterator[Hit]:
    if "\0" not in text and find_user_refs(tenant_id=seat.tenant.id, users=(text,))[1:]:
        yield _lead(seat, "User", "user", text, name=text, is_exact=True)


def _find_tenants(seat: Seat, text: str) -> Iterator[Hit]:
    for tenant in seat.tenants:
        if _has(tenant.slug, text) or _has(tenant.name, text):
            href = make_link("overview", {"tenant": tenant.slug})
            yield Hit("Tenant", f"{tenant.name} ({tenant.slug})", href, tenant.slug == text)


def _match(seat: Seat, kind: str, dimension: str, values: Sequence[str], text: str) -> Iterator[Hit]:
    for value in values:
        if _has(value, text):
            yield _lead(seat, kind, dimension, value, name=value, is_exact=value == text)


def _has(name: str, text: str) -> bool:
    return text.casefold() in name.casefold()


def _lead(seat: Seat, kind: str, dimension: str, value: str, *, name: str, is_exact: bool) -> Hit:
    query = seat.link_query | {"environment": ALL_ENVIRONMENTS, "period": "30d", dimension: value}
    return Hit(kind, name, make_link("explore", query), is_exact)
