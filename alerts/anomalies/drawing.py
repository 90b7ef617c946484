"""The hours or days up to an episode's last, each with the range that was expected of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from alerts.anomalies.feedback import list_judged_times
from alerts.core.anomalies import Verdict
from alerts.core.anomalies.days import DAYS_MAX, measure_day
from alerts.core.anomalies.hours import HOURS, HourRanges, measure_hours, roll_hours
from alerts.core.anomalies.thresholds import DailySpike
from alerts.core.facts import Point
from alerts.core.findings import to_usd
from alerts.thresholds import get_setting
from billing.core.periods import start_of_day
from billing.selectors.watched import Owner, list_day_series, list_hour_series
from tenants.selectors import get_tenant_by_id

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
POINTS, POINTS_OF_DAYS = 48, 28
WEEK = 7


def draw_hours(*, tenant_id: int, scope: Mapping[str, str], last: datetime) -> tuple[Point, ...]:
    """POINTS hours, the last begins at `last`, as they are judged by now. By three statements.

    Without a range where nothing could be judged, as before there were enough hours.
    """
    hours = HOURS + POINTS
    start = last + HOUR - hours * HOUR
    owner = Owner(tenant_id, *next(iter(scope.items()), ("", "")))
    series = list_hour_series(tenant_ids=[tenant_id], start=start, hours=hours)
    if owner not in series.owners:
        return ()
    costs = series.costs[series.owners.index(owner)]
    known = np.arange(hours) >= int(np.argmax(costs != 0))
    for when in list_judged_times(rule="hourly_spike", since=start).get(owner, ()):
        if 0 <= (place := (when - start) // HOUR) < hours:
            known[place] = False
    rows, known_rows = roll_hours(costs, known)
    known_rows = known_rows[-POINTS:].copy()
    known_rows[:, -1] = True  # what somebody judged is not usual, and yet it was an hour
    thresholds = get_setting(tenant_id=tenant_id).setting.thresholds.hourly_spike
    ranges = measure_hours(rows[-POINTS:], known=known_rows, thresholds=thresholds)
    return tuple(
        Point(start + (HOURS + place) * HOUR, to_usd(int(costs[HOURS + place])), **_read_range(ranges, place))
        for place in range(POINTS)
    )


def draw_days(*, tenant_id: int, scope: Mapping[str, str], rule: str, last: datetime) -> tuple[Point, ...]:
    """POINTS_OF_DAYS days of the tenant's zone, the last begins at `last`, as `rule` judges them by now."""
    zone = ZoneInfo(get_tenant_by_id(tenant_id).timezone)
    last_day = last.astimezone(zone).date()
    count = DAYS_MAX + POINTS_OF_DAYS
    starts = [start_of_day(last_day - ago * DAY, zone) for ago in range(count - 1, -1, -1)]
    owner = Owner(tenant_id, *next(iter(scope.items()), ("", "")))
    series = list_day_series(end_days={tenant_id: last_day + DAY}, days=count)
    if owner not in series.owners:
        return ()
    costs = series.costs[series.owners.index(owner)]
    unusual = list_judged_times(rule="daily_spike", since=starts[0]).get(owner, set())
    known = [None if start in unusual else int(cost) for start, cost in zip(starts, costs, strict=True)]
    first, thresholds = int(np.argmax(costs != 0)), get_setting(tenant_id=tenant_id).setting.thresholds.daily_spike
    judge = _judge_day if rule == "daily_spike" else _judge_rise
    return tuple(
        Point(starts[place], to_usd(int(costs[place])), **judge([*known[first:place], int(costs[place])], thresholds))
        for place in range(DAYS_MAX, count)
    )


def _judge_day(costs: Sequence[int | None], thresholds: DailySpike) -> dict[str, Any]:
    ranges = measure_day(costs, thresholds=thresholds)
    if isinstance(ranges, Verdict):
        return {}
    return _write_range(ranges.lower, ranges.expected, ranges.upper)


def _judge_rise(costs: Sequence[int | None], thresholds: DailySpike) -> dict[str, Any]:
    """By the mean of the week before, whatever anybody said of its days."""
    before = [cost or 0 for cost in costs[-WEEK - 1 : -1]]
    mean = Fraction(sum(before), WEEK)
    return _write_range(0, mean, Fraction(thresholds.rise_max) * mean) if mean and len(before) == WEEK else {}


def _write_range(low: float | Fraction, middle: float | Fraction, high: float | Fraction) -> dict[str, Any]:
    return {name: to_usd(round(amount)) for name, amount in (("low", low), ("middle", middle), ("high", high))}


def _read_range(ranges: HourRanges, place: int) -> dict[str, Any]:
    if not ranges.is_judged[place]:
        return {}
    return _write_range(*(amounts[place].item() for amounts in (ranges.lower, ranges.expected, ranges.upper)))
