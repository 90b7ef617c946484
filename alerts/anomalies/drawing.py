"""The hours up to an episode's last, each with the range that was expected of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alerts.anomalies.feedback import list_judged_times
from alerts.core.anomalies.hours import HOURS, HourRanges, measure_hours, roll_hours
from alerts.core.facts import Point
from alerts.core.findings import to_usd
from alerts.thresholds import get_setting
from billing.selectors.watched import Owner, list_hour_series

HOUR = timedelta(hours=1)
POINTS = 48


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


def _read_range(ranges: HourRanges, place: int) -> dict[str, Any]:
    if not ranges.is_judged[place]:
        return {}
    ends = {"low": ranges.lower, "middle": ranges.expected, "high": ranges.upper}
    return {name: to_usd(round(amounts[place].item())) for name, amounts in ends.items()}
