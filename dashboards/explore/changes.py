"""Why the answer differs from the period before: the bridge, for whatever the question filters by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.selectors import CHANGE_KINDS, CHANGE_STEPS, CostChange, get_cost_changes
from dashboards.core.periods import Period, find_previous_period
from dashboards.explore.question import DIMENSIONS, NAMELESS, Question
from dashboards.frame import make_link
from dashboards.overview.quantities import get_known_cost

LINES_MAX = 10
STEP_WORDS = {
    "price": "Price: the same tokens at other prices",
    "volume": "Volume: more or fewer tokens",
    "mix": "Mix: other models, another share of output",
    "cache": "Cache: another share of the input cached",
    "new": "New: not used before",
    "ended": "Ended: no longer used",
}


@dataclass(frozen=True, slots=True)
class BridgeLine:
    """One group, or the total. before, after: None where unknown, for want of a price. href: '' for a mixture."""

    name: str
    href: str
    before: Decimal | None
    after: Decimal | None
    difference: Decimal
    steps: Sequence[Decimal]


@dataclass(frozen=True, slots=True)
class BridgeTable:
    """steps: of the total, each with its words. lines: by `word`'s dimension, the largest difference first."""

    previous: Period
    word: str
    steps: Sequence[tuple[str, Decimal]]
    lines: Sequence[BridgeLine]
    other: BridgeLine | None
    total: BridgeLine
    unpriced_calls: int


def read_bridge(question: Question, *, link_query: Mapping[str, str]) -> BridgeTable | None:
    """The bridge by the question's first group that a change is told by, else by feature; None about users."""
    dimension = next((name for name in question.groups if name in CHANGE_KINDS), "feature")
    previous = find_previous_period(question.period)
    query = question.make_query(question.period, groups=(dimension,))
    if query.is_about_users:
        return None
    changes = get_cost_changes(query, before=previous.get_bounds(question.tenant.timezone))
    rows = [row for row in changes.rows if row.difference or any(_list_steps(row))]
    shown = rows if len(rows) <= LINES_MAX + 1 else rows[:LINES_MAX]
    rest = rows[len(shown) :]
    parameters = {**link_query, **question.environment_query, **question.period.get_query(), **question.filters}
    return BridgeTable(
        previous=previous,
        word=DIMENSIONS[dimension],
        steps=[(STEP_WORDS[name], getattr(changes.total.steps, name)) for name in CHANGE_STEPS],
        lines=[
            _make_line(
                row.group[0] or NAMELESS[dimension],
                make_link("explore", {**parameters, dimension: row.group[0], "by": "model"}),
                [row],
            )
            for row in shown
        ],
        other=_make_line(f"Other, {len(rest)} more", "", rest) if rest else None,
        total=_make_line("Total", "", [changes.total]),
        unpriced_calls=changes.total.before.unpriced_calls + changes.total.after.unpriced_calls,
    )


def _list_steps(change: CostChange) -> list[Decimal]:
    return [getattr(change.steps, name) for name in CHANGE_STEPS]


def _make_line(name: str, href: str, changes: Sequence[CostChange]) -> BridgeLine:
    return BridgeLine(
        name=name,
        href=href,
        before=_add_up(get_known_cost(change.before) for change in changes),
        after=_add_up(get_known_cost(change.after) for change in changes),
        difference=sum((change.difference for change in changes), Decimal(0)),
        steps=[sum(step, Decimal(0)) for step in zip(*map(_list_steps, changes), strict=True)],
    )


def _add_up(costs) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known else None
