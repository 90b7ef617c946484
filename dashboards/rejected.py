"""What the pages of rejected events show: which there are by code, and one with its problems where they stand."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import QueryDict

from billing.core.wire_checks import ItemProblem
from billing.replays import judge_text
from dashboards.access import Seat
from dashboards.core.periods import Period, PeriodInvalid, read_period
from dashboards.core.sent_lines import list_sent_lines
from dashboards.frame import ALL_ENVIRONMENTS, ANY_TIME, make_link
from ledger.rejected import REJECTED_KEPT_DAYS, Rejected, RejectedFilters, count_rejected, list_rejected
from tenants.selectors import list_api_keys

REJECTED_PER_PAGE = 50
LINES_MAX = 400
STATES = {"waiting": "not booked", "booked": "booked after all", "all": "all"}
WAITING = {"waiting": True, "booked": False, "all": None}


@dataclass(frozen=True, slots=True)
class RejectedQuery:
    """What the address asks for. period: None for any time. problem: what could not be read, or ''."""

    filters: RejectedFilters
    state: str
    period: Period | None
    before: UUID | None
    problem: str


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """codes: how many of each, by the other filters. events: of one page. keys: names by public id."""

    codes: Sequence[tuple[str, int]]
    total: int
    events: Sequence[tuple[Rejected, str, str]]  # with its key's name, and its address
    next: UUID | None
    keys: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class MarkedLine:
    """One line of what was sent, with what is wrong there."""

    text: str
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class SentEvent:
    """A rejected event as it would be judged now. lines: None for what is no JSON. pretty: for the editor."""

    rejected: Rejected
    problems: Sequence[ItemProblem]
    lines: Sequence[MarkedLine] | None
    left_out: int  # lines that are not shown
    pretty: str
    key_name: str
    kept_until: datetime
    entries_href: str


def read_rejected_query(query: QueryDict, *, timezone: str, today: date) -> RejectedQuery:
    """Raises BadRequest for what no filter can be."""
    if any("\0" in value for values in query.lists() for value in values[1]):
        raise BadRequest("a filter with a NUL character")
    state = query.get("state", "waiting")
    if state not in STATES:
        raise BadRequest(f"a state is one of {', '.join(STATES)}")
    period, problem = None, ""
    try:
        if {"period", "from", "to"} & set(query) and query.get("period") != ANY_TIME:
            period = read_period(query, today=today)
    except PeriodInvalid as refused:
        problem = f"{refused} Any time is shown instead."
    start, end = period.get_bounds(timezone) if period else (None, None)
    filters = RejectedFilters(
        code=query.get("code", ""),
        api_key_id=query.get("key", ""),
        text=query.get("q", "").strip(),
        start=start,
        end=end,
        waiting=WAITING[state],
    )
    return RejectedQuery(filters, state, period, read_rejected_id(query.get("cursor", "")), problem)


def read_rejected_id(text: str) -> UUID | None:
    """A place among them. Raises BadRequest."""
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise BadRequest("a place is a UUID") from error


def read_rejected_page(asked: RejectedQuery, *, seat: Seat) -> RejectedPage:
    """One page by the filters, with four queries."""
    tenant_id = seat.tenant.id
    codes = count_rejected(tenant_id=tenant_id, filters=replace(asked.filters, code=""))
    found = list_rejected(tenant_id=tenant_id, before=asked.before, limit=REJECTED_PER_PAGE + 1, filters=asked.filters)
    shown = found[:REJECTED_PER_PAGE]
    names = {key.key_id: key.name for key in list_api_keys(tenant_id)}
    senders = [key_id for key_id, _ in count_rejected(tenant_id=tenant_id, by="api_key_id")]
    return RejectedPage(
        codes=codes,
        total=sum(number for code, number in codes if asked.filters.code in ("", code)),
        events=[
            (event, names.get(event.api_key_id, ""), make_link("rejected_event", seat.link_query, event.id))
            for event in shown
        ],
        next=shown[-1].id if len(found) > len(shown) else None,
        keys=[(key_id, names.get(key_id) or key_id) for key_id in senders],
    )


def read_sent_event(rejected: Rejected, *, seat: Seat, now: datetime) -> SentEvent:
    """The event with its problems, each beside the line that it names."""
    problems = judge_text(rejected.body, tenant=seat.tenant, now=now).problems
    lines = list_sent_lines(rejected.body)
    names = {key.key_id: key.name for key in list_api_keys(seat.tenant.id)}
    query = seat.link_query | {"event_id": rejected.event_id, "environment": ALL_ENVIRONMENTS}
    return SentEvent(
        rejected=rejected,
        problems=problems,
        lines=_mark([(line.text, line.path) for line in lines[:LINES_MAX]], problems) if lines else None,
        left_out=max(0, len(lines or ()) - LINES_MAX),
        pretty="\n".join(line.text for line in lines) if lines else rejected.body,
        key_name=names.get(rejected.api_key_id, ""),
        kept_until=rejected.received_at + timedelta(days=REJECTED_KEPT_DAYS),
        entries_href=make_link("ledger", query) if rejected.event_id else "",
    )


def _mark(lines: Sequence[tuple[str, str]], problems: Sequence[ItemProblem]) -> list[MarkedLine]:
    """A field that is missing stands on no line: it is told above them alone."""
    by_path: Mapping[str, list[str]] = defaultdict(list)
    for problem in problems:
        if problem.field:
            by_path[problem.field].append(problem.detail)
    return [MarkedLine(text, by_path.get(path, ()) if path else ()) for text, path in lines]
