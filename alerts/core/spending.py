"""How a budget stands within a window: what was spent beside the limit and beside the time that is gone. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from alerts.core.budgets import Action, Basis

FORECASTS_IN_A_ROW = 3  # a crossing that only one run sees is a false alarm more often than not
SEVERE_FROM_PERCENT: tuple[tuple[int, Literal["high", "warning", "info"]], ...] = (
    (100, "high"), (80, "warning"), (0, "info"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spending:
    """One window [window_start, window_end) of a budget, in its currency.

    limit: the budget's amount, with what was carried over from the window before.
    """

    window_start: datetime
    window_end: datetime
    limit: Decimal
    spent: Decimal
    carried: Decimal = Decimal(0)

    @property
    def remaining(self) -> Decimal:
        """Negative where it is overspent."""
        return self.limit - self.spent

    @property
    def percent(self) -> Decimal:
        """Of the limit."""
        return self.spent * 100 / self.limit

    def get_elapsed(self, now: datetime) -> Decimal:
        """How much of the window is gone, 0 to 1."""
        gone = min(max(now - self.window_start, timedelta()), self.window_end - self.window_start)
        return Decimal(gone // timedelta(seconds=1)) / Decimal((self.window_end - self.window_start).total_seconds())

    def project_by_pace(self, now: datetime) -> Decimal | None:
        """What the whole window comes to at the pace until now; None while hardly any of it is gone."""
        elapsed = self.get_elapsed(now)
        return self.spent / elapsed if elapsed >= Decimal("0.01") else None

    def find_end_at_pace(self, now: datetime) -> datetime | None:
        """When it is used up at the pace until now; None where it lasts, or nothing can be said."""
        if self.spent >= self.limit:
            return None
        projected = self.project_by_pace(now)
        if projected is None or projected <= self.limit:
            return None
        length = (self.window_end - self.window_start).total_seconds()
        return self.window_start + timedelta(seconds=int(Decimal(length) * self.limit / projected))


def carry_over(*, amount: Decimal, spent_before: Decimal) -> Decimal:
    """What the window before left of the budget's amount. What that one had been left itself does not count again."""
    return max(amount - spent_before, Decimal(0))


def prorate(amount: Decimal, *, window: timedelta, to: timedelta) -> Decimal:
    """A child's amount for as long as its parent's window is: 10 a day are 300 in a month of 30 days."""
    return amount * Decimal(to.total_seconds()) / Decimal(window.total_seconds())


def has_reached(percent: int, *, limit: Decimal, amount: Decimal) -> bool:
    return amount * 100 >= limit * percent


def list_reached(
    actions: Iterable[Action], *, on: Basis, limit: Decimal, amounts: Iterable[Decimal]
) -> dict[int, tuple[Action, ...]]:
    """The thresholds that all of the amounts reach, each with what it does.

    amounts: what was spent, or the last FORECASTS_IN_A_ROW forecasts; with fewer of those none is reached.
    """
    seen = list(amounts)
    if not seen or (on == "forecast" and len(seen) < FORECASTS_IN_A_ROW):
        return {}
    reached: dict[int, tuple[Action, ...]] = {}
    for action in actions:
        if action.on == on and has_reached(action.at_percent, limit=limit, amount=min(seen)):
            reached[action.at_percent] = (*reached.get(action.at_percent, ()), action)
    return reached


def rate_severity(percent: int) -> Literal["high", "warning", "info"]:
    """How bad it is that a threshold is reached."""
    return next(severity for least, severity in SEVERE_FROM_PERCENT if percent >= least)
