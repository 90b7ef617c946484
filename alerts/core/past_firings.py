"""When a budget's thresholds would have been reached before there was the budget. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alerts.core.budgets import BudgetTerms
from alerts.core.spending import Spending, has_reached


@dataclass(frozen=True, slots=True)
class PastFiring:
    """A threshold within one window; reached_at: the beginning of the hour or day that reached it."""

    spending: Spending
    percent: int
    reached_at: datetime


def find_past_firings(
    terms: BudgetTerms,
    costs: Iterable[tuple[datetime, Decimal]],
    *,
    find_window: Callable[[datetime], tuple[datetime, datetime]],
    since: datetime,
) -> list[PastFiring]:
    """What would have been told since then, the oldest first: each threshold on actual spending, once a window.

    costs: by the beginning of each hour or day, from a window's beginning on, so that the first one is whole.
    Without what a rollover would have added: a trial that tells too much is better than one that tells too little.
    """
    windows: dict[tuple[datetime, datetime], list[tuple[datetime, Decimal]]] = defaultdict(list)
    for moment, cost in costs:
        windows[find_window(moment)].append((moment, cost))
    percents = sorted({action.at_percent for action in terms.actions if action.on == "actual"})
    firings = []
    for (start, end), parts in sorted(windows.items()):
        spending = Spending(start, end, terms.amount, sum((cost for _, cost in parts), Decimal(0)))
        for percent in percents:
            reached_at = _find_reached(parts, limit=terms.amount, percent=percent)
            if reached_at is not None and reached_at >= since:
                firings.append(PastFiring(spending, percent, reached_at))
    return sorted(firings, key=lambda firing: (firing.reached_at, firing.percent))


def _find_reached(parts: Iterable[tuple[datetime, Decimal]], *, limit: Decimal, percent: int) -> datetime | None:
    spent = Decimal(0)
    for moment, cost in sorted(parts):
        spent += cost
        if has_reached(percent, limit=limit, amount=spent):
            return moment
    return None
