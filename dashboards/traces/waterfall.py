"""One trace as it is drawn: a row for each span in its place in the tree, what it cost and where that is booked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing.selectors import Trace, TraceSpan
from dashboards.access import Seat
from dashboards.core.waterfalls import CIRCLE, ORPHAN, Branch, Step, grow_tree
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from dashboards.traces.listing import shorten_names
from ledger.selectors import name_users

ROWS_PER_PAGE = 200
DEPTH_SHOWN_MAX = 10  # a column is only so wide
PATH_SHOWN_MAX = 5
HUNDRED = Decimal(100)
# Why a span has no cost of its own.
BILLING_WORDS = {
    "other": "nothing to bill",
    "inside": "billed in another span, which says the same usage",
    "waiting": "waits until its trace is quiet",
    "refused": "refused: a call that does not say what it used",
}
PLACE_WORDS = {
    ORPHAN: "its parent is not among the spans",
    CIRCLE: "among its own parents: it stands at the top",
}
ELSEWHERE = "booked in another trace, which reported the call first"


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A span. own: None where nothing of it has a price, or nothing was booked; is_booked tells them apart.

    remarks: what else is to be said of it. share: of the trace's cost, in percent, with everything below it.
    """

    span: TraceSpan
    branch: Branch
    indent: int
    tokens_in: int
    tokens_out: int
    is_booked: bool
    share: Decimal | None
    remarks: Sequence[str]
    entry_href: str
    more_entries: int
    under_href: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace's page. rows: those shown; under: the span whose part alone is shown, None for all of them.

    is_cast: the spans' own costs were added up and are what the ledger says. other_spans, other_cost: what is not on
    this page. cost: None where nothing has a price. starts, ends: of all spans; first_at, last_at: of what was booked.
    """

    trace: Trace
    rows: Sequence[SpanRow]
    path: Sequence[SpanRow]
    path_left_out: int
    under: SpanRow | None
    spans: int
    other_spans: int
    other_cost: Decimal
    total: Decimal | None
    is_cast: bool
    cost: Decimal | None
    calls: int
    error_calls: int
    failed_spans: int
    tokens: int
    tokens_in: int
    tokens_out: int
    starts: datetime
    ends: datetime
    took: timedelta | None
    environments: str
    features: str
    models: str
    users: str
    sessions: Sequence[str]
    name: str
    page: int
    pages: int


def read_waterfall(trace: Trace, seat: Seat, *, under: str = "", page: int = 1) -> Waterfall:
    """Draw a trace, or what is below one of its spans."""
    branches = grow_tree([_make_step(span) for span in trace.spans])
    top = next((i for i, each in enumerate(branches) if under and trace.spans[each.index].span_id == under), None)
    chosen = branches if top is None else branches[top : top + branches[top].below + 1]
    pages = max(1, -(-len(chosen) // ROWS_PER_PAGE))
    page = min(page, pages)
    shown = chosen[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE]
    base = 0 if top is None else branches[top].depth
    cost = _find_cost(trace)

    def draw(branch: Branch, indented_from: int = 0) -> SpanRow:
        return _make_row(trace, branch, seat, cost=cost, indented_from=indented_from)

    dearest = [branch for branch in branches if branch.is_dearest]
    path = dearest if len(dearest) <= PATH_SHOWN_MAX else [*dearest[: PATH_SHOWN_MAX - 1], dearest[-1]]
    total = cost if top is None else branches[top].total
    shown_cost = _add_up(trace, shown)
    return Waterfall(
        trace=trace,
        rows=[draw(branch, base) for branch in shown],
        path=[draw(branch) for branch in path],
        path_left_out=len(dearest) - len(path),
        under=None if top is None else draw(branches[top]),
        spans=len(chosen),
        other_spans=len(chosen) - len(shown),
        other_cost=(total or Decimal(0)) - shown_cost,
        total=total,
        is_cast=top is None and _add_up(trace, branches) == trace.billed_cost,
        cost=cost,
        calls=sum(line.calls for line in trace.sums),
        error_calls=sum(line.error_calls for line in trace.sums),
        failed_spans=sum(span.status == "error" for span in trace.spans),
        tokens=sum(line.tokens for line in trace.sums),
        tokens_in=sum(count_tokens_in(span) for span in trace.spans),
        tokens_out=sum(span.tokens["output_tokens"] for span in trace.spans),
        starts=min(span.started_at for span in trace.spans),
        ends=max(_find_end(span) for span in trace.spans),
        took=max(line.last_at for line in trace.sums) - min(line.first_at for line in trace.sums)
        if trace.sums
        else None,
        environments=shorten_names([line.environment or "none" for line in trace.sums]),
        features=shorten_names(_list_names(trace, "features")),
        models=shorten_names(_list_names(trace, "models")),
        users=shorten_names(_name_users(trace, seat)),
        sessions=_list_names(trace, "session_ids"),
        name=trace.spans[branches[0].index].name,
        page=page,
        pages=pages,
    )


def count_tokens_in(span: TraceSpan) -> int:
    """All that was sent, from a cache or not."""
    return sum(quantity for name, quantity in span.tokens.items() if name not in ("output_tokens", "reasoning_tokens"))


def _make_step(span: TraceSpan) -> Step:
    return Step(span.span_id, span.parent_span_id, span.started_at, _find_end(span), span.billed_cost, span.unpriced)


def _find_end(span: TraceSpan) -> datetime:
    return span.started_at + timedelta(milliseconds=float(span.duration_ms or 0))


def _find_cost(trace: Trace) -> Decimal | None:
    return None if trace.unpriced and not trace.billed_cost else trace.billed_cost


def _add_up(trace: Trace, branches: Sequence[Branch]) -> Decimal:
    return sum((trace.spans[branch.index].billed_cost or Decimal(0) for branch in branches), Decimal(0))


def _make_row(trace: Trace, branch: Branch, seat: Seat, *, cost: Decimal | None, indented_from: int) -> SpanRow:
    span = trace.spans[branch.index]
    is_elsewhere = span.billing == "booked" and not span.calls and span.billed_cost is None and not span.unpriced
    return SpanRow(
        span=span,
        branch=branch,
        indent=min(branch.depth - indented_from, DEPTH_SHOWN_MAX),
        tokens_in=count_tokens_in(span),
        tokens_out=span.tokens["output_tokens"],
        is_booked=span.billing == "booked" and not is_elsewhere,
        share=branch.total / cost * HUNDRED if cost and branch.total is not None else None,
        remarks=_list_remarks(span, branch, is_elsewhere=is_elsewhere),
        entry_href=make_link("entry", seat.link_query, span.entries[0]) if span.entries else "",
        more_entries=max(span.calls - 1, 0),
        under_href=make_link("trace", seat.link_query | {"under": span.span_id}, trace.trace_id)
        if branch.below and span.span_id
        else "",
    )


def _list_remarks(span: TraceSpan, branch: Branch, *, is_elsewhere: bool) -> list[str]:
    return [
        remark
        for remark in (
            ELSEWHERE if is_elsewhere else BILLING_WORDS.get(span.billing, ""),
            PLACE_WORDS.get(branch.place, ""),
            "outside its parent's time" if branch.strays else "",
        )
        if remark
    ]


def _list_names(trace: Trace, kind: str) -> list[str]:
    return sorted({name for line in trace.sums for name in getattr(line, kind)})


def _name_users(trace: Trace, seat: Seat) -> list[str]:
    user_refs = _list_names(trace, "user_refs")
    names = name_users(tenant_id=seat.tenant.id, user_refs=user_refs)
    return [names.get(user_ref, user_ref) for user_ref in user_refs]


def list_trace_links(trace: Trace, seat: Seat) -> dict[str, str]:
    """Where else the trace is: in the ledger, in the list, and as the API answers it."""
    return {
        "ledger": make_link("ledger", seat.link_query | {"environment": ALL_ENVIRONMENTS, "trace_id": trace.trace_id}),
        "list": make_link("traces", seat.link_query),
        "json": make_link("trace_json", seat.link_query, trace.trace_id),
        "here": make_link("trace", seat.link_query, trace.trace_id),
    }
