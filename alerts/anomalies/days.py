"""What is out of the ordinary about a tenant's day that is over, and about its weeks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np

from alerts.anomalies.feedback import list_judged_times
from alerts.anomalies.hours import is_weighty
from alerts.anomalies.watched import Watched
from alerts.core.anomalies import (
    Anomaly,
    find_cache_collapse,
    find_daily_rise,
    find_daily_spike,
    find_new,
    find_price_drift,
    find_sustained_growth,
    find_truncation,
)
from alerts.core.anomalies.days import DAYS_MAX
from alerts.core.facts import Figure
from alerts.core.findings import Finding, to_usd
from billing.core.periods import start_of_day
from billing.selectors.watched import (
    SERIES,
    CostSeries,
    ModelUse,
    Owner,
    list_day_series,
    list_first_hours,
    list_model_use,
    list_new_users,
    list_providers_with_new_rates,
)
from ledger.core.entries import PICO
from ledger.truncations import list_truncations_of_tenants

DAY = timedelta(days=1)
WEEK = 7
DAYS = DAYS_MAX + 1  # the day that is judged, and those before it
AVERAGE_DAYS = 28
USE_DAYS = 7  # what a day's prices and caches are compared with
METERS = (("input_tokens", "input_cost"), ("cache_read_tokens", "cache_read_cost"), ("output_tokens", "output_cost"))


@dataclass(frozen=True, slots=True)
class DayEnds:
    """The tenants whose day has ended, each with the day that began then."""

    watched: Watched
    end_days: Mapping[int, date]

    def pick(self, kind: str) -> dict[int, date]:
        """Those for whom a kind is looked for."""
        wanted = set(self.watched.list_tenants_for(kind))
        return {tenant_id: day for tenant_id, day in self.end_days.items() if tenant_id in wanted}

    def start(self, tenant_id: int, *, days_ago: int = 1) -> datetime:
        """When a day before the end day began."""
        return start_of_day(self.end_days[tenant_id] - days_ago * DAY, self.watched.get_zone(tenant_id))


def list_day_ends(watched: Watched, *, start: datetime, end: datetime) -> DayEnds:
    """The tenants whose midnight lies in (start, end], each with its last one."""
    ends = {}
    for tenant_id in watched.tenants:
        zone = watched.get_zone(tenant_id)
        today = end.astimezone(zone).date()
        if start < start_of_day(today, zone) <= end:
            ends[tenant_id] = today
    return DayEnds(watched, ends)


def find_in_days(ends: DayEnds) -> list[Finding]:
    """Everything that the day before tells, for each tenant whose day has ended."""
    if not ends.end_days:
        return []
    return [
        *find_in_day_series(ends),
        *find_in_use(ends),
        *find_new_users_of_day(ends),
        *find_truncated(ends),
    ]


# --- spikes and growth -----------------------------------------------------------------------------------


def find_in_day_series(ends: DayEnds) -> list[Finding]:
    """Daily spikes, the day's rise at watch level, and weeks that grow. Of spikes only the widest scope is told."""
    series = list_day_series(end_days=dict(ends.end_days), days=DAYS)
    judged_times = list_judged_times(
        rule="daily_spike", since=min(ends.start(one, days_ago=DAYS) for one in ends.end_days)
    )
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, owner in enumerate(series.owners):
        rows_of[owner.tenant_id].append(row)
    findings: list[Finding] = []
    for tenant_id, rows in rows_of.items():
        spikes = _find_spikes(ends, series, rows, judged_times)
        findings += _describe_spikes(spikes, ends, series)
        own = series.costs[rows[0]] if not series.owners[rows[0]].dimension else np.zeros(DAYS, dtype=np.int64)
        is_told = any(not series.owners[row].dimension for row, _ in spikes)
        if tenant_id in ends.pick("daily_spike") and not is_told:
            findings += _find_rise(ends, tenant_id, own)
        if tenant_id in ends.pick("sustained_growth"):
            findings += _find_growth(ends, tenant_id, own)
    return findings


def _find_spikes(
    ends: DayEnds, series: CostSeries, rows: Sequence[int], judged_times: Mapping[Owner, set[datetime]]
) -> list[tuple[int, Anomaly]]:
    tenant_id = series.owners[rows[0]].tenant_id
    setting = ends.watched.get_setting(tenant_id)
    if "daily_spike" in setting.off:
        return []
    thresholds, whole = setting.thresholds.daily_spike, _measure_mean_day(series, rows)
    spikes = []
    for row in rows:
        costs = _list_days(ends, series, row, judged_times)
        verdict = find_daily_spike(costs, when=ends.start(tenant_id), thresholds=thresholds)
        if verdict.anomaly and is_weighty(verdict.anomaly, thresholds=thresholds, whole=whole):
            spikes.append((row, verdict.anomaly))
    return spikes


def _measure_mean_day(series: CostSeries, rows: Sequence[int]) -> float:
    """Of the tenant's own series, over four weeks."""
    own = next((row for row in rows if not series.owners[row].dimension), None)
    return 0.0 if own is None else float(series.costs[own, -1 - AVERAGE_DAYS : -1].mean())


def _list_days(
    ends: DayEnds, series: CostSeries, row: int, judged_times: Mapping[Owner, set[datetime]]
) -> list[int | None]:
    """The days from the first cost on; None for those that somebody called real or planned."""
    owner, costs = series.owners[row], series.costs[row]
    first = int(np.argmax(costs != 0))
    unusual = judged_times.get(owner, set())
    days: list[int | None] = [int(cost) for cost in costs[first:]]
    for place in range(len(days) - 1):
        if unusual and ends.start(owner.tenant_id, days_ago=len(days) - place) in unusual:
            days[place] = None
    return days


def _describe_spikes(spikes: Sequence[tuple[int, Anomaly]], ends: DayEnds, series: CostSeries) -> Iterator[Finding]:
    told = min((SERIES.index(series.owners[row].dimension) for row, _ in spikes), default=0)
    for row, anomaly in spikes:
        owner = series.owners[row]
        yield Finding(
            tenant_id=owner.tenant_id,
            scope={owner.dimension: owner.value} if owner.dimension else {},
            anomaly=anomaly,
            usual_day=anomaly.expected if isinstance(anomaly.expected, int) and not owner.dimension else 0,
            opens=SERIES.index(owner.dimension) == told,
        )


def _find_rise(ends: DayEnds, tenant_id: int, costs: Sequence[int]) -> Iterator[Finding]:
    thresholds = ends.watched.get_setting(tenant_id).thresholds.daily_spike
    verdict = find_daily_rise(
        last_day=int(costs[-1]),
        week_before=sum(int(cost) for cost in costs[-1 - WEEK : -1]),
        when=ends.start(tenant_id),
        thresholds=thresholds,
    )
    if verdict.anomaly and verdict.anomaly.impact >= thresholds.cost_min:
        yield Finding(
            tenant_id,
            {},
            verdict.anomaly,
        )


def _find_growth(ends: DayEnds, tenant_id: int, costs: Sequence[int]) -> Iterator[Finding]:
    """Whole weeks from Monday to Sunday, so on Mondays alone."""
    today = ends.end_days[tenant_id]
    if today.weekday():
        return
    whole = [int(cost) for cost in costs[-(len(costs) // WEEK) * WEEK :]]
    month_days = today.day - 1
    thresholds = ends.watched.get_setting(tenant_id).thresholds.sustained_growth
    verdict = find_sustained_growth(
        [sum(whole[place : place + WEEK]) for place in range(0, len(whole), WEEK)],
        when=ends.start(tenant_id, days_ago=0),
        budget=ends.watched.get_month_budget(tenant_id),
        spent=sum(int(cost) for cost in costs[len(costs) - month_days :]) if month_days else 0,
        today=today,
        thresholds=thresholds,
    )
    if verdict.anomaly and verdict.anomaly.impact >= thresholds.cost_min:
        yield Finding(tenant_id, {}, verdict.anomaly)


# --- prices and caches -----------------------------------------------------------------------------------


def find_in_use(ends: DayEnds) -> list[Finding]:
    """Prices that moved by themselves, and caches that are read no more: the day beside the week before it."""
    uses: dict[int, list[ModelUse]] = defaultdict(list)
    for use in list_model_use(end_days=dict(ends.end_days), days=USE_DAYS):
        uses[use.tenant_id].append(use)
    findings: list[Finding] = []
    for tenant_id, found in uses.items():
        if tenant_id in ends.pick("unit_price_drift"):
            findings += _find_drifts(ends, tenant_id, found)
        if tenant_id in ends.pick("cache_collapse"):
            findings += _find_collapses(ends, tenant_id, found)
    return findings


def _find_drifts(ends: DayEnds, tenant_id: int, uses: Sequence[ModelUse]) -> list[Finding]:
    """Of each meter of each model and service tier. What rates were published is asked once something moved."""
    groups: dict[tuple[str, str, str], list[ModelUse]] = defaultdict(list)
    for use in uses:
        groups[use.provider, use.model, use.service_tier].append(use)
    moved: list[tuple[str, Finding]] = []
    for (provider, model, tier), found in groups.items():
        for tokens, cost in METERS:
            verdict = find_price_drift(
                cost_before=_sum_cost(found, cost, is_last=False),
                tokens_before=_sum_tokens(found, tokens, is_last=False),
                cost=_sum_cost(found, cost, is_last=True),
                tokens=_sum_tokens(found, tokens, is_last=True),
                is_rate_published=False,
                when=ends.start(tenant_id),
                thresholds=ends.watched.get_setting(tenant_id).thresholds.unit_price_drift,
            )
            if verdict.anomaly:
                meter = tokens.removesuffix("_tokens").replace("_", " ")
                who = f"{meter} of {provider} {model}" + (f", {tier}" if tier else "")
                finding = Finding(
                    tenant_id, {"model": model}, verdict.anomaly, who=who, details=(Figure("Meter", who),)
                )
                moved.append((provider, finding))
    if not moved:
        return []
    explained = list_providers_with_new_rates(
        tenant_id=tenant_id,
        start=ends.start(tenant_id, days_ago=1 + USE_DAYS),
        end=ends.start(tenant_id, days_ago=0),
    )
    return [finding for provider, finding in moved if provider not in explained]


def _find_collapses(ends: DayEnds, tenant_id: int, uses: Sequence[ModelUse]) -> Iterator[Finding]:
    groups: dict[str, list[ModelUse]] = defaultdict(list)
    for use in uses:
        groups[use.feature].append(use)
    for feature, found in groups.items():
        verdict = find_cache_collapse(
            cache_read_before=_sum_tokens(found, "cache_read_tokens", is_last=False),
            input_before=_sum_input(found, is_last=False),
            cache_read=_sum_tokens(found, "cache_read_tokens", is_last=True),
            input_tokens=_sum_input(found, is_last=True),
            saving=_measure_saving(found),
            when=ends.start(tenant_id),
            thresholds=ends.watched.get_setting(tenant_id).thresholds.cache_collapse,
        )
        if verdict.anomaly:
            yield Finding(tenant_id, {"feature": feature}, verdict.anomaly)


def _measure_saving(uses: Sequence[ModelUse]) -> Fraction:
    """By how much a token that is read from the cache was cheaper, in pico-USD; 0 where that is not known."""
    input_tokens, read_tokens = (
        _sum_tokens(uses, name, is_last=False) for name in ("input_tokens", "cache_read_tokens")
    )
    if not input_tokens or not read_tokens:
        return Fraction(0)
    price = Fraction(_sum_cost(uses, "input_cost", is_last=False), input_tokens)
    return max(price - Fraction(_sum_cost(uses, "cache_read_cost", is_last=False), read_tokens), Fraction(0))


def _sum_tokens(uses: Iterable[ModelUse], name: str, *, is_last: bool) -> int:
    return sum(getattr(use, name) for use in uses if use.is_last == is_last)


def _sum_input(uses: Sequence[ModelUse], *, is_last: bool) -> int:
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
    return sum(_sum_tokens(uses, name, is_last=is_last) for name in names)


def _sum_cost(uses: Iterable[ModelUse], name: str, *, is_last: bool) -> int:
    return int(sum((getattr(use, name) for use in uses if use.is_last == is_last), Decimal(0)) * PICO)


# --- users and calls -------------------------------------------------------------------------------------


def find_new_users_of_day(ends: DayEnds) -> list[Finding]:
    """Users who were first seen that day and cost more than a sum."""
    days = {one: (ends.start(one), ends.start(one, days_ago=0)) for one in ends.pick("new")}
    thresholds = {one: ends.watched.get_setting(one).thresholds.new for one in days}
    costs_min = {one: to_usd(thresholds[one].cost_min) for one in days}
    findings = []
    first_hours = list_first_hours(tenant_ids=list(days))
    for new in list_new_users(days=days, costs_min=costs_min):
        when = days[new.tenant_id][0]
        verdict = find_new(
            thing="user",
            name=new.value,
            cost=int(new.billed_cost * PICO),
            days_before=(when - first_hours[new.tenant_id]) // DAY,
            when=when,
            thresholds=thresholds[new.tenant_id],
        )
        if verdict.anomaly:
            findings.append(Finding(new.tenant_id, {"user": new.value}, verdict.anomaly))
    return findings


def find_truncated(ends: DayEnds) -> list[Finding]:
    """Features whose calls were cut off too often, of the tenant's last calls of the day."""
    days = {one: (ends.start(one), ends.start(one, days_ago=0)) for one in ends.pick("truncation")}
    findings = []
    for one in list_truncations_of_tenants(periods=days):
        verdict = find_truncation(
            truncated=one.truncated,
            calls=one.told,
            cost=int(one.truncated_cost * PICO),
            when=days[one.tenant_id][0],
            thresholds=ends.watched.get_setting(one.tenant_id).thresholds.truncation,
        )
        if verdict.anomaly:
            findings.append(Finding(one.tenant_id, {"feature": one.feature}, verdict.anomaly))
    return findings
