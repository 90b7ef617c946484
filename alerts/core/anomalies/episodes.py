"""Anomalies that belong together: one episode is one message, with its start, its peak and what it cost. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from alerts.core.anomalies.anomaly import Anomaly

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# How much quiet ends an episode: a spike that pauses for a while is one, that of tomorrow is another.
HOURS_QUIET = timedelta(hours=6)
DAYS_QUIET = timedelta(hours=23)  # one day without, be it the one on which clocks go forward


@dataclass(frozen=True, slots=True)
class Episode:
    """From the first anomaly's beginning to the end of the last one's period. peak: the one of the largest impact, of
    equal ones the first. impact: of all together, in pico-USD. over: quiet has ended it; else it is going on."""

    start: datetime
    end: datetime
    peak: Anomaly
    impact: int
    count: int
    state: Literal["going", "over"]


def group_episodes(
    anomalies: Iterable[Anomaly], *, period: timedelta, quiet: timedelta, now: datetime
) -> list[Episode]:
    """The episodes of one kind about one thing, the oldest first.

    period: the length of each anomaly's, HOUR or DAY; none may overlap another, or the impact would count twice. quiet:
    HOURS_QUIET or DAYS_QUIET; two anomalies with less than that between them are of one episode.
    """
    groups: list[list[Anomaly]] = []
    for anomaly in sorted(anomalies, key=lambda one: one.when):
        if groups and anomaly.when - (groups[-1][-1].when + period) < quiet:
            groups[-1].append(anomaly)
        else:
            groups.append([anomaly])
    return [_sum_up(group, period=period, quiet=quiet, now=now) for group in groups]


def _sum_up(group: list[Anomaly], *, period: timedelta, quiet: timedelta, now: datetime) -> Episode:
    end = group[-1].when + period
    return Episode(
        start=group[0].when,
        end=end,
        peak=max(group, key=lambda one: one.impact),
        impact=sum(one.impact for one in group),
        count=len(group),
        state="over" if now - end >= quiet else "going",
    )
