"""Thresholds tried on what is booked, before they are switched on: what they would have told. Writes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np

from alerts.anomalies.hours import is_weighty
from alerts.anomalies.watched import measure_daily_budget
from alerts.budgets import list_budgets
from alerts.core.anomalies import (
    Anomaly,
    describe_anomaly,
    find_daily_spike,
    find_heavy_user,
    find_past_spikes,
    group_episodes,
)
from alerts.core.anomalies.days import DAYS_MAX
from alerts.core.anomalies.episodes import DAY, DAYS_QUIET, HOUR, HOURS_QUIET
from alerts.core.anomalies.hours import HOURS
from alerts.core.findings import to_usd
from alerts.core.watch_settings import WatchSetting
from billing.core.periods import start_of_day
from billing.selectors.watched import CostSeries, Owner, list_day_series, list_dear_users, list_hour_series
from ledger.core.entries import PICO
from tenants.scope import reading_scope
from tenants.selectors import get_tenant_by_id

TRIED = ("hourly_spike", "daily_spike", "heavy_user")  # kinds of which the past is tried
DIMENSIONS = ("", "feature")  # whose spikes are tried: all that is spent, and that of each feature


@dataclass(frozen=True, slots=True)
class PastAnomaly:
    """An episode that would have been told. scope: '' for all that is spent. impact: in USD."""

    kind: str
    scope: str
    start: datetime
    count: int
    impact: Decimal
    sentence: str


def try_on_past(
    setting: WatchSetting, *, tenant_id: int, days: int, now: datetime, using: str = "default"
) -> list[PastAnomaly]:
    """What the setting would have told in the last `days` days of the kinds TRIED, the latest first."""
    with reading_scope(tenant_id, using=using):
        found = [
            *(
                _try_hours(setting, tenant_id, days=days, now=now, using=using)
                if _is_on(setting, "hourly_spike")
                else ()
            ),
            *(_try_days(setting, tenant_id, days=days, now=now, using=using) if _is_on(setting, "daily_spike") else ()),
            *(_try_users(setting, tenant_id, days=days, now=now, using=using) if _is_on(setting, "heavy_user") else ()),
        ]
    return sorted(found, key=lambda one: one.start, reverse=True)


def _is_on(setting: WatchSetting, kind: str) -> bool:
    return kind not in setting.off


def _try_hours(setting: WatchSetting, tenant_id: int, *, days: int, now: datetime, using: str) -> Iterator[PastAnomaly]:
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = days * 24 + HOURS
    start = end - hours * HOUR
    series = list_hour_series(tenant_ids=[tenant_id], start=start, hours=hours, using=using)
    thresholds, first = setting.thresholds.hourly_spike, end - days * DAY
    whole = _measure_mean(series)
    told: set[datetime] = set()
    for row, owner in _list_tried(series):
        costs = series.costs[row]
        known = np.arange(hours) >= (costs != 0).argmax()
        spikes = find_past_spikes(costs, start=start, known=known, thresholds=thresholds)
        within = [one for one in spikes if one.when >= first and is_weighty(one, thresholds=thresholds, whole=whole)]
        own = [one for one in within if not owner.dimension or one.when not in told]
        told |= set() if owner.dimension else {one.when for one in within}
        yield from _group("hourly_spike", owner.value, own, period=HOUR, quiet=HOURS_QUIET, now=now)


def _list_tried(series: CostSeries) -> list[tuple[int, Owner]]:
    """The series of all that is spent first, then those of the features: what it tells they are the cause of."""
    rows = [(row, owner) for row, owner in enumerate(series.owners) if owner.dimension in DIMENSIONS]
    return sorted(rows, key=lambda one: one[1].dimension)


def _measure_mean(series: CostSeries) -> float:
    own = [row for row, owner in enumerate(series.owners) if not owner.dimension]
    return float(series.costs[own].mean()) if own else 0.0


def _try_days(setting: WatchSetting, tenant_id: int, *, days: int, now: datetime, using: str) -> Iterator[PastAnomaly]:
    zone = ZoneInfo(get_tenant_by_id(tenant_id).timezone)
    today = now.astimezone(zone).date()
    series = list_day_series(end_days={tenant_id: today}, days=days + DAYS_MAX, using=using)
    thresholds, whole = setting.thresholds.daily_spike, _measure_mean(series)
    told: set[datetime] = set()
    for row, owner in _list_tried(series):
        costs = [int(cost) for cost in series.costs[row]]
        first = int(np.argmax(series.costs[row] != 0))
        spikes = []
        for ago in range(days, 0, -1):
            place = len(costs) - ago
            when = start_of_day(today - ago * DAY, zone)
            verdict = find_daily_spike(costs[first : place + 1] or [None], when=when, thresholds=thresholds)
            if verdict.anomaly and is_weighty(verdict.anomaly, thresholds=thresholds, whole=whole) and when not in told:
                spikes.append(verdict.anomaly)
        told |= set() if owner.dimension else {spike.when for spike in spikes}
        yield from _group("daily_spike", owner.value, spikes, period=DAY, quiet=DAYS_QUIET, now=now)


def _try_users(setting: WatchSetting, tenant_id: int, *, days: int, now: datetime, using: str) -> Iterator[PastAnomaly]:
    budget = measure_daily_budget(one for one in list_budgets(tenant_id=tenant_id, using=using) if not one.scope)
    if not budget:
        return
    thresholds = setting.thresholds.heavy_user
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    costs_min = {tenant_id: thresholds.budget_share_max * to_usd(budget)}
    used = list_dear_users(start=end - days * DAY, end=end, costs_min=costs_min, using=using)
    hours: dict[str, list[Anomaly]] = {}
    for (user, hour), parts in groupby(used, key=lambda one: (one.user, one.hour)):
        cost = int(sum((part.billed_cost for part in parts), Decimal(0)) * PICO)
        verdict = find_heavy_user(cost=cost, budget=budget, when=hour, thresholds=thresholds)
        if verdict.anomaly:
            hours.setdefault(user, []).append(verdict.anomaly)
    for user, anomalies in hours.items():
        yield from _group("heavy_user", f"user {user}", anomalies, period=HOUR, quiet=HOURS_QUIET, now=now)


def _group(
    kind: str, scope: str, anomalies: list[Anomaly], *, period: timedelta, quiet: timedelta, now: datetime
) -> Iterator[PastAnomaly]:
    for episode in group_episodes(anomalies, period=period, quiet=quiet, now=now):
        sentence = describe_anomaly(episode.peak)
        yield PastAnomaly(kind, scope, episode.start, episode.count, to_usd(episode.impact), sentence)
