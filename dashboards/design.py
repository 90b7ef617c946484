"""What the page of components shows: figures of nobody, each set by the component that pages set theirs with."""

from datetime import UTC, date, datetime
from decimal import Decimal

from billing.core.changes import compare_amounts
from billing.core.rate_checks import diff_prices
from dashboards.core.periods import Period
from dashboards.core.shares import split_shares
from dashboards.frame import Option
from dashboards.overview.days import Amount, DailyCosts, Day, Series, make_chart_data
from dashboards.rates.differences import DiffLine

COLORS = (
    ("--paper", "the page"), ("--sunk", "chips, code, hover"), ("--ink", "figures, heads"), ("--ink-2", "running text"),
    ("--ink-3", "labels, captions, axes"), ("--hair", "row lines"), ("--rule", "head lines"), ("--cast", "sums"),
    ("--field", "control borders"), ("--accent", "links, focus, what is chosen"),
    ("--signal", "what a person should look at; never without a sign and a word"),
)  # fmt: skip
AMOUNTS = (Decimal("32775.31"), Decimal("11.4"), Decimal("0.0036"), Decimal("0.000000413"), Decimal("-57.2"), None)
NOW = datetime(2026, 11, 19, 14, 32, tzinfo=UTC)
FEATURES = (
    ("checkout-assistant", "1", ("183.35", "323.48", "327.87", "345.81", "316.29", "307.51")),
    ("product-descriptions", "2", ("63.02", "110.93", "110.82", "121.79", "127.51", "98.24")),
    ("search-rerank", "3", ("66.47", "102.31", "126.47", "109.39", "101.99", "105.03")),
    ("Other, 4", "other", ("18.70", "35.22", "37.62", "43.50", "34.76", "45.50")),
    ("Unallocated", "none", ("22.56", "39.33", "42.82", "62.93", "43.37", "34.67")),
)
BEFORE = {
    "meters": {
        "input": {"price": "1", "per": 1_000_000}, "cache_read": {"price": "0.1", "per": 1_000_000},
        "output": {"price": "6", "per": 1_000_000},
    }
}  # fmt: skip
AFTER = {
    "meters": {
        "input": {"price": "0.2", "per": 1_000_000}, "cache_read": {"price": "0.1", "per": 1_000_000},
        "output": {"price": "7.2", "per": 1_000_000}, "web_searches": {"price": "10", "per": 1_000},
    }
}  # fmt: skip


def make_examples() -> dict[str, object]:
    """The context of the page."""
    period = Period(date(2026, 11, 1), date(2026, 11, 7))
    series = [
        Series(name, color, None if color == "other" else name, sum(map(Decimal, costs), Decimal(0)))
        for name, color, costs in FEATURES
    ]
    days = [
        Day(day, amounts := [Amount(Decimal(costs[i]), "") for _, _, costs in FEATURES], _add_up(amounts))
        for i, day in enumerate(period.list_days())
    ]
    daily = DailyCosts("feature", series, days, sum((day.total.cost for day in days), Decimal(0)), NOW)
    return {
        "colors": COLORS,
        "amounts": AMOUNTS,
        "moment": NOW,
        "changes": [
            compare_amounts(Decimal(now), Decimal(before))
            for now, before in ((112, 100), (88, 100), (100, 100), (5, 0), (0, 5))
        ],
        "options": [Option("production", "#menus", True, Decimal("3107.53")), Option("staging", "#menus", False)],
        "period": period,
        "daily": daily,
        "chart_data": make_chart_data(daily),
        "diff": [
            DiffLine(price.meter, "", price, compare_amounts(price.after, price.before) if price.before else None)
            for price in diff_prices(BEFORE, AFTER)
        ],
        "lines": list(zip(series, split_shares([one.total for one in series]), strict=True)),
    }


def _add_up(amounts: list[Amount]) -> Amount:
    return Amount(sum((amount.cost for amount in amounts), Decimal(0)), "")
