"""The list of traces as its address asks for it: days, filters, order, and the rows with where they lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.core.exceptions import BadRequest
from django.http import QueryDict

from billing.selectors import TRACE_ORDERS, TraceLine, TraceQuery, TraceSums, list_traces
from dashboards.access import Seat
from dashboards.core.periods import Period
from dashboards.entries import Chip
from dashboards.frame import make_link, read_environment, read_page_period
from ledger.selectors import name_users
from tenants.selectors import TenantInfo

TRACES_PER_PAGE = 50
PAGE_MAX = 200  # beyond ten thousand traces one filters
LENGTH_MAX = 512
DEFAULT_PERIOD = "7d"
FILTER_WORDS = {"feature": "Feature", "model": "Model", "user": "User", "q": "Trace or session"}
NAMES_SHOWN = 2
FILE_COLUMNS = (
    "trace_id", "environment", "first_at", "last_at", "name", "features", "models", "users", "sessions", "spans",
    "calls", "error_calls", "unpriced_calls", "tokens", "duration_ms", "currency", "billed_cost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TraceQuestion:
    """What an address of the list asks for. texts: filters by parameter. problem: what was not understood, or ''."""

    tenant: TenantInfo
    period: Period
    environment: str
    texts: Mapping[str, tuple[str, ...]]
    order: str
    page: int
    problem: str

    def make_query(self) -> TraceQuery:
        start, end = self.period.get_bounds(self.tenant.timezone)
        return TraceQuery(
            tenant_id=self.tenant.id,
            start=start,
            end=end,
            environment=self.environment,
            features=self.texts.get("feature", ()),
            models=self.texts.get("model", ()),
            users=self.texts.get("user", ()),
            search=self.texts.get("q", ("",))[-1],
            order=self.order,
            offset=(self.page - 1) * TRACES_PER_PAGE,
            limit=TRACES_PER_PAGE,
        )


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A trace of the list. names: of its features, its models and its users, with how many more there are."""

    line: TraceLine
    href: str
    features: str
    models: str
    users: str


@dataclass(frozen=True, slots=True)
class TraceList:
    """A page of traces, their sum, that of those on other pages, and that of all.

    costs are None where nothing has a price. next, previous: numbers of pages, 0 for none.
    """

    rows: Sequence[TraceRow]
    shown: TraceSums
    hidden: TraceSums
    totals: TraceSums
    first: int
    previous: int
    next: int

    @property
    def last(self) -> int:
        """The place of the page's last row, as `first` is that of its first."""
        return self.first + len(self.rows) - 1


def read_trace_question(query: QueryDict, *, tenant: TenantInfo, today: date) -> TraceQuestion:
    """The question of an address; what cannot be is left out and told. Raises BadRequest for what no text can be."""
    if any("\0" in value or len(value) > LENGTH_MAX for _, values in query.lists() for value in values):
        raise BadRequest(f"a parameter has at most {LENGTH_MAX} characters, and no NUL among them")
    period, problem = read_page_period(query, today=today, default=DEFAULT_PERIOD)
    page = query.get("page", "1")
    order = query.get("sort", "")
    return TraceQuestion(
        tenant=tenant,
        period=period,
        environment=read_environment(query),
        texts={name: tuple(filter(None, query.getlist(name))) for name in FILTER_WORDS if any(query.getlist(name))},
        order=order if order in TRACE_ORDERS else TRACE_ORDERS[0],
        page=int(page) if page in map(str, range(1, PAGE_MAX + 1)) else 1,
        problem=problem,
    )


def read_trace_list(question: TraceQuestion, seat: Seat) -> TraceList:
    """Answer the question."""
    found = list_traces(question.make_query())
    names = name_users(tenant_id=seat.tenant.id, user_refs=[each for line in found.lines for each in line.user_refs])
    shown = add_up_traces(found.lines)
    before = (question.page - 1) * TRACES_PER_PAGE
    is_last = before + len(found.lines) >= found.totals.traces
    return TraceList(
        rows=[_make_row(line, seat, names) for line in found.lines],
        shown=shown,
        hidden=TraceSums(
            found.totals.traces - shown.traces,
            found.totals.calls - shown.calls,
            found.totals.unpriced_calls - shown.unpriced_calls,
            found.totals.billed_cost - shown.billed_cost,
        ),
        totals=found.totals,
        first=before + 1,
        previous=question.page - 1,
        next=0 if is_last or question.page == PAGE_MAX else question.page + 1,
    )


def add_up_traces(lines: Sequence[TraceLine]) -> TraceSums:
    return TraceSums(
        len(lines),
        sum(line.calls for line in lines),
        sum(line.unpriced_calls for line in lines),
        sum((line.billed_cost or Decimal(0) for line in lines), Decimal(0)),
    )


def _make_row(line: TraceLine, seat: Seat, names: Mapping[str, str]) -> TraceRow:
    return TraceRow(
        line=line,
        href=make_link("trace", seat.link_query, line.trace_id),
        features=shorten_names(line.features) or "no feature",
        models=shorten_names(line.models),
        users=shorten_names([names.get(user_ref, user_ref) for user_ref in line.user_refs]),
    )


def shorten_names(names: Sequence[str]) -> str:
    """The first names, and how many more."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def list_rows_for_file(answer: TraceList) -> list[Sequence[object]]:
    """The page's rows as FILE_COLUMNS."""
    return [
        (
            line.trace_id, line.environment, line.first_at, line.last_at, line.name, "; ".join(line.features),
            "; ".join(line.models), "; ".join(line.user_refs), "; ".join(line.session_ids), line.spans, line.calls,
            line.error_calls, line.unpriced_calls, line.tokens, int(line.duration.total_seconds() * 1000), "USD",
            line.billed_cost,
        )
        for line in (row.line for row in answer.rows)
    ]  # fmt: skip


def list_trace_chips(path: str, query: QueryDict, question: TraceQuestion) -> list[Chip]:
    """A chip for each filter in force, with the address without it."""
    chips = []
    for name, values in question.texts.items():
        for value in values:
            rest = query.copy()
            rest.pop("page", None)
            rest.setlist(name, [other for other in query.getlist(name) if other != value])
            chips.append(Chip(FILTER_WORDS[name], value, f"{path}?{rest.urlencode()}"))
    return chips
