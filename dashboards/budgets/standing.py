"""How a budget stands, as a row of the list and at the head of its own page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from alerts.core.budgets import Budget, describe_scope
from alerts.core.spending import Spending, has_reached, prorate
from dashboards.budgets.checks import CheckCounts, make_counts
from dashboards.core.periods import Period
from dashboards.frame import ALL_ENVIRONMENTS, make_link

State = Literal["within", "ahead", "reached", "spent"]
STATE_WORDS: Mapping[State, str] = {
    "within": "within its pace", "ahead": "ahead of its pace", "reached": "threshold reached", "spent": "used up",
}  # fmt: skip
BAR_UNITS = 1_000
DEPTH_SHOWN_MAX = 3
NO_CHECKS = CheckCounts()
EARLY = Decimal("0.03")  # of a window: too early to call a pace one


@dataclass(frozen=True, slots=True)
class Bar:
    """In thousandths of the bar, which ends at the limit, or at what was spent where that is more."""

    spent: int
    over: int  # where what is above the limit begins; BAR_UNITS where nothing is
    elapsed: int
    words: str

    @property
    def over_width(self) -> int:
        return BAR_UNITS - self.over


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget in its window. percents are whole and rounded down. depth: of its parents. children: prorated, of one
    level below; None where it has none. href: its page. entries_href: what is counted, as far as the ledger filters."""

    budget: Budget
    spending: Spending
    state: State
    depth: int
    scope_words: str
    percent: Decimal
    elapsed_percent: Decimal
    projected: Decimal | None
    ends_at: datetime | None
    bar: Bar
    reached: Sequence[int]
    children: "Children | None"
    href: str
    entries_href: str
    checks: CheckCounts = NO_CHECKS  # of its window so far

    @property
    def shown_depth(self) -> int:
        """As far as rows are set in."""
        return min(self.depth, DEPTH_SHOWN_MAX)

    @property
    def state_words(self) -> str:
        return STATE_WORDS[self.state]


@dataclass(frozen=True, slots=True)
class Children:
    """The budgets one level below, in their parent's window. amount: prorated to its length."""

    count: int
    amount: Decimal
    is_prorated: bool


def list_standings(
    budgets: Sequence[Budget],
    spendings: Mapping[int, Spending],
    *,
    now: datetime,
    timezone: str,
    link_query: Mapping[str, str],
    decisions: Mapping[int, Mapping[str, int]] | None = None,
) -> list[Standing]:
    """Each budget below its parent, siblings by name. decisions: how many checks each answered how."""
    by_parent: dict[int | None, list[Budget]] = {}
    known = {budget.id for budget in budgets}
    for budget in budgets:
        by_parent.setdefault(budget.parent_id if budget.parent_id in known else None, []).append(budget)

    def walk(parent_id: int | None, depth: int) -> list[Standing]:
        found = []
        for budget in sorted(by_parent.get(parent_id, []), key=lambda one: (one.name.lower(), one.id)):
            children = _sum_children(by_parent.get(budget.id, []), spendings, within=spendings[budget.id])
            found.append(
                make_standing(
                    budget,
                    spendings[budget.id],
                    now=now,
                    timezone=timezone,
                    link_query=link_query,
                    depth=depth,
                    children=children,
                    checks=make_counts((decisions or {}).get(budget.id, {})),
                )  # fmt: skip
            )
            found += walk(budget.id, depth + 1)
        return found

    return walk(None, 0)


def make_standing(
    budget: Budget,
    spending: Spending,
    *,
    now: datetime,
    timezone: str,
    link_query: Mapping[str, str],
    depth: int = 0,
    children: Children | None = None,
    checks: CheckCounts = NO_CHECKS,
) -> Standing:
    elapsed, percent = spending.get_elapsed(now), spending.percent
    reached = sorted(
        {
            action.at_percent
            for action in budget.actions
            if action.on == "actual" and has_reached(action.at_percent, limit=spending.limit, amount=spending.spent)
        }
    )
    state = _judge(spending, elapsed=elapsed, has_reached_one=bool(reached))
    return Standing(
        budget=budget,
        spending=spending,
        state=state,
        depth=depth,
        scope_words=describe_scope(budget.scope),
        percent=percent.quantize(Decimal(1), ROUND_DOWN),
        elapsed_percent=(elapsed * 100).quantize(Decimal(1), ROUND_DOWN),
        projected=spending.project_by_pace(now),
        ends_at=spending.find_end_at_pace(now),
        bar=_draw(spending, elapsed=elapsed, percent=percent),
        reached=reached,
        children=children,
        href=make_link("budget", link_query, budget.id),
        entries_href=link_entries(
            budget, spending.window_start, spending.window_end, now=now, timezone=timezone, link_query=link_query
        ),
        checks=checks,
    )


def link_entries(
    budget: Budget, start: datetime, end: datetime, *, now: datetime, timezone: str, link_query: Mapping[str, str]
) -> str:
    """The ledger's entries of the days of [start, end) that the budget counts."""
    zone = ZoneInfo(timezone)
    last = min(end - timedelta(microseconds=1), max(now, start)).astimezone(zone).date()
    period = Period(start.astimezone(zone).date(), last + timedelta(days=1))
    scope = dict(budget.scope)
    place = {"environment": scope.pop("environment", ALL_ENVIRONMENTS)}
    return make_link("ledger", {**link_query, **place, **period.get_dates(), **scope})


def _sum_children(
    children: Sequence[Budget], spendings: Mapping[int, Spending], *, within: Spending
) -> Children | None:
    if not children:
        return None
    length = within.window_end - within.window_start
    amounts = [
        prorate(child.amount, window=spendings[child.id].window_end - spendings[child.id].window_start, to=length)
        for child in children
    ]
    is_prorated = any(spendings[child.id].window_start != within.window_start for child in children)
    return Children(len(children), sum(amounts, Decimal(0)), is_prorated)


def _judge(spending: Spending, *, elapsed: Decimal, has_reached_one: bool) -> State:
    if spending.remaining <= 0:
        return "spent"
    if has_reached_one:
        return "reached"
    return "ahead" if elapsed >= EARLY and spending.spent > elapsed * spending.limit else "within"


def _draw(spending: Spending, *, elapsed: Decimal, percent: Decimal) -> Bar:
    whole = max(spending.limit, spending.spent)
    spent = max(Decimal(0), spending.spent)
    return Bar(
        spent=int(min(spent, spending.limit) * BAR_UNITS / whole),
        over=int(spending.limit * BAR_UNITS / whole),
        elapsed=int(elapsed * spending.limit * BAR_UNITS / whole),
        words=f"{percent.quantize(Decimal(1), ROUND_DOWN)} % spent, {int(elapsed * 100)} % of the time gone",
    )
