"""What a budget would have told, by hand."""

from datetime import UTC, datetime
from decimal import Decimal

from alerts.core.budgets import Action, BudgetTerms
from alerts.core.past_firings import find_past_firings
from alerts.core.windows import find_window

TERMS = BudgetTerms(
    name="Week",
    window="week",
    amount=Decimal(100),
    actions=(Action(50, "actual", "notify"), Action(100, "actual", "deny"), Action(90, "forecast", "notify")),
)
COSTS = {
    # 2026-11-02 and -09 are Mondays.
    2: 40, 3: 20, 5: 40,
    9: 30, 10: 10, 15: 11,
    16: 120,
}  # fmt: skip


def at(day):
    return datetime(2026, 11, day, tzinfo=UTC)


def fire(since):
    firings = find_past_firings(
        TERMS,
        [(at(day), Decimal(cost)) for day, cost in COSTS.items()],
        find_window=lambda moment: find_window("week", moment, timezone="UTC", fiscal_month=1),
        since=at(since),
    )
    return [(firing.reached_at.day, firing.percent, int(firing.spending.spent)) for firing in firings]


def test_a_threshold_fires_once_a_window_on_the_day_that_reached_it():
    assert fire(2) == [(3, 50, 100), (5, 100, 100), (15, 50, 51), (16, 50, 120), (16, 100, 120)]


def test_what_was_reached_before_the_time_asked_about_is_left_out():
    assert fire(5) == [(5, 100, 100), (15, 50, 51), (16, 50, 120), (16, 100, 120)]
