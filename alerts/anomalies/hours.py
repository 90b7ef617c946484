"""What is out of the ordinary about hours that are over: spikes, new values, calls without a price, silent sources."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from alerts.anomalies.feedback import Judgements, list_judged_times
from alerts.anomalies.watched import Watched
from alerts.core.anomalies import (
    Anomaly,
    find_heavy_request,
    find_hourly_spikes,
    find_new,
    find_silence,
    find_unpriced,
)
from alerts.core.anomalies.hours import HOURS
from alerts.core.anomalies.thresholds import DailySpike, HourlySpike
from alerts.core.facts import Figure
from alerts.core.findings import Finding, to_usd
from billing.core.periods import start_of_day
from billing.selectors.watched import (
    SERIES,
    CostSeries,
    HeaviestCall,
    LargestCall,
    get_largest_call,
    list_first_hours,
    list_heaviest_calls,
    list_hour_series,
    list_new_values,
    list_source_pauses,
    list_unpriced_calls,
)
from ledger.core.entries import PICO
from tenants.selectors import list_api_keys

HOUR = timedelta(hours=1)
DAYS = HOURS // 24
SILENCE_DAYS = 14
NEW_DAYS = 7


@dataclass(frozen=True, slots=True)
class HourWindow:
    """The hours that are judged, [start, end), and the two weeks before them."""

    start: datetime
    end: datetime

    @property
    def first(self) -> datetime:
        return self.start - HOURS * HOUR

    @property
    def count(self) -> int:
        return (self.end - self.start) // HOUR


def find_in_hours(watched: Watched, *, start: datetime, end: datetime) -> list[Finding]:
    """Everything that hours of UTC tell, of [start, end): a fixed number of statements where there is nothing."""
    window = HourWindow(start, end)
    return [
        *find_spikes(watched, window),
        *find_new_values(watched, now=end),
        *find_unpriced_calls(watched, window),
        *find_silent_sources(watched, now=end),
        *find_heavy_requests(watched, now=end),
    ]


# --- spikes ----------------------------------------------------------------------------------------------


def find_spikes(watched: Watched, window: HourWindow) -> list[Finding]:
    """Hours that cost too much. Where all of a tenant's is a spike, its parts are the cause, and open no alerts; else
    its features' are told, else its models', else its keys'."""
    tenant_ids = watched.list_tenants_for("hourly_spike")
    series = list_hour_series(tenant_ids=tenant_ids, start=window.first, hours=HOURS + window.count)
    judged_times = list_judged_times(rule="hourly_spike", since=window.first)
    known = _find_known(series, window, list_first_hours(tenant_ids=tenant_ids), judged_times)
    spikes = [
        (row, anomaly)
        for rows, thresholds in _group_rows(series, watched)
        for place in range(window.count)
        for row, verdict in zip(
            rows.tolist(),
            find_hourly_spikes(
                series.costs[rows, place : place + HOURS + 1],
                when=window.start + place * HOUR,
                known=known[rows, place : place + HOURS + 1],
                thresholds=thresholds,
            ),
            strict=True,
        )
        if (anomaly := verdict.anomaly)
    ]
    means = _measure_mean_hours(series)
    weighty = [
        (row, anomaly)
        for row, anomaly in spikes
        if is_weighty(
            anomaly,
            thresholds=watched.get_setting(series.owners[row].tenant_id).thresholds.hourly_spike,
            whole=means.get(series.owners[row].tenant_id, 0),
        )
    ]
    return list(_describe_spikes(weighty, series))


def is_weighty(anomaly: Anomaly, *, thresholds: HourlySpike | DailySpike, whole: float) -> bool:
    """Whether a spike matters to its tenant, be it of a part: by the sum that is set, and beside what the tenant spends
    in an average hour or day, `whole`."""
    return anomaly.impact >= max(thresholds.cost_min, thresholds.impact_min * whole)


def _measure_mean_hours(series: CostSeries) -> dict[int, float]:
    """Of each tenant's own series, before the hours that are judged."""
    means = series.costs[:, :HOURS].mean(axis=1)
    return {owner.tenant_id: float(means[row]) for row, owner in enumerate(series.owners) if not owner.dimension}


def _group_rows(series: CostSeries, watched: Watched) -> Iterator[tuple[NDArray[np.int64], object]]:
    """The rows of the series that are judged by the same thresholds."""
    groups: dict[object, list[int]] = defaultdict(list)
    for row, owner in enumerate(series.owners):
        groups[watched.get_setting(owner.tenant_id).thresholds.hourly_spike].append(row)
    for thresholds, rows in groups.items():
        yield np.array(rows), thresholds


def _find_known(
    series: CostSeries, window: HourWindow, first_hours: Mapping[int, datetime], judged_times: Judgements
) -> NDArray[np.bool_]:
    """Hours from the first cost of a series on, without those that somebody called real or planned."""
    has_cost = series.costs != 0
    first_costs = np.where(has_cost.any(axis=1), has_cost.argmax(axis=1), series.costs.shape[1])
    tenant_firsts = [(first_hours.get(owner.tenant_id, window.end) - window.first) // HOUR for owner in series.owners]
    # A value that was there before the window costs something in its first week, or is too seldom to be judged.
    firsts = np.maximum(first_costs, np.array(tenant_firsts, dtype=np.int64))
    known = np.arange(series.costs.shape[1]) >= firsts[:, None]
    for row, owner in enumerate(series.owners):
        for when in judged_times.get(owner, ()):
            place = (when - window.first) // HOUR
            if 0 <= place < HOURS:
                known[row, place] = False
    return known


def _describe_spikes(spikes: Sequence[tuple[int, Anomaly]], series: CostSeries) -> Iterator[Finding]:
    by_hour: dict[tuple[int, datetime], list[tuple[int, Anomaly]]] = defaultdict(list)
    for row, anomaly in spikes:
        by_hour[series.owners[row].tenant_id, anomaly.when].append((row, anomaly))
    rows_of = _list_rows(series, {tenant_id for tenant_id, _ in by_hour})
    for (tenant_id, _), found in by_hour.items():
        told = min(SERIES.index(series.owners[row].dimension) for row, _ in found)
        for row, anomaly in found:
            owner = series.owners[row]
            yield Finding(
                tenant_id=tenant_id,
                scope={owner.dimension: owner.value} if owner.dimension else {},
                anomaly=anomaly,
                usual_day=_measure_usual_day(series, rows_of[tenant_id]),
                opens=SERIES.index(owner.dimension) == told,
            )


def _list_rows(series: CostSeries, tenant_ids: Iterable[int]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {tenant_id: [] for tenant_id in tenant_ids}
    for row, owner in enumerate(series.owners):
        if owner.tenant_id in rows:
            rows[owner.tenant_id].append(row)
    return rows


def _measure_usual_day(series: CostSeries, rows: Sequence[int]) -> int:
    """Of the tenant's own series; 0 where it spent nothing in two weeks."""
    own = next((row for row in rows if not series.owners[row].dimension), None)
    return 0 if own is None else int(series.costs[own, :HOURS].sum()) // DAYS


# --- what is new, unpriced or silent ---------------------------------------------------------------------


def find_new_values(watched: Watched, *, now: datetime) -> list[Finding]:
    """Features, models and keys of the last seven days that were never used before, above a sum."""
    tenant_ids = watched.list_tenants_for("new")
    first_hours = list_first_hours(tenant_ids=tenant_ids)
    start_days = {
        tenant_id: now.astimezone(watched.get_zone(tenant_id)).date() - timedelta(days=NEW_DAYS - 1)
        for tenant_id in first_hours
    }
    thresholds = {tenant_id: watched.get_setting(tenant_id).thresholds.new for tenant_id in first_hours}
    costs_min = {tenant_id: to_usd(one.cost_min) for tenant_id, one in thresholds.items()}
    findings = []
    for new in list_new_values(start_days=start_days, costs_min=costs_min):
        zone = watched.get_zone(new.tenant_id)
        when = start_of_day(new.first_day, zone)
        verdict = find_new(
            thing=new.dimension,  # type: ignore[arg-type]
            name=new.value,
            cost=int(new.billed_cost * PICO),
            days_before=(when - first_hours[new.tenant_id]) // timedelta(days=1),
            when=when,
            thresholds=thresholds[new.tenant_id],
        )
        if verdict.anomaly:
            findings.append(Finding(new.tenant_id, {new.dimension: new.value}, verdict.anomaly))
    return findings


def find_unpriced_calls(watched: Watched, window: HourWindow) -> list[Finding]:
    """Models with calls that no rate covers."""
    tenant_ids = watched.list_tenants_for("unpriced")
    findings = []
    for one in list_unpriced_calls(tenant_ids=tenant_ids, start=window.start, end=window.end):
        thresholds = watched.get_setting(one.tenant_id).thresholds.unpriced
        verdict = find_unpriced(unpriced=one.unpriced, calls=one.calls, when=one.hour, thresholds=thresholds)
        if verdict.anomaly:
            findings.append(Finding(one.tenant_id, {"model": one.model}, verdict.anomaly))
    return findings


def find_silent_sources(watched: Watched, *, now: datetime) -> list[Finding]:
    """Keys that always sent something and have stopped; those that were revoked are quiet on purpose."""
    tenant_ids = watched.list_tenants_for("silence")
    findings = []
    for source in list_source_pauses(tenant_ids=tenant_ids, start=now - timedelta(days=SILENCE_DAYS), end=now):
        verdict = find_silence(
            last_seen=source.last_hour + HOUR,
            longest_pause=source.longest_pause,
            days=(now - source.first_hour) // timedelta(days=1),
            now=now,
            thresholds=watched.get_setting(source.tenant_id).thresholds.silence,
        )
        if verdict.anomaly:
            findings.append(Finding(source.tenant_id, {"key": source.api_key_id}, verdict.anomaly))
    return list(_drop_revoked(findings))


def find_heavy_requests(watched: Watched, *, now: datetime) -> list[Finding]:
    """Features of which one call of the day took far more than usual; the usual is the mean of their other calls.

    The day's histograms say in which feature to look; the call itself is then looked up.
    """
    last = now - timedelta(microseconds=1)
    days = {one: last.astimezone(watched.get_zone(one)).date() for one in watched.list_tenants_for("heavy_request")}
    findings = []
    for one in list_heaviest_calls(days=days):
        thresholds = watched.get_setting(one.tenant_id).thresholds.heavy_request
        start = start_of_day(days[one.tenant_id], watched.get_zone(one.tenant_id))
        asked = {"calls": one.calls, "when": start, "thresholds": thresholds}
        usual = _measure_usual_tokens(one, one.most_tokens)
        if not find_heavy_request(tokens=one.most_tokens, cost=0, usual_tokens=usual, **asked).anomaly:
            continue
        call = get_largest_call(tenant_id=one.tenant_id, feature=one.feature, start=start, end=now)
        if call is None:
            continue
        cost, usual = int(call.billed_cost * PICO), _measure_usual_tokens(one, call.tokens)
        verdict = find_heavy_request(tokens=call.tokens, cost=cost, usual_tokens=usual, **asked)
        if verdict.anomaly:
            findings.append(_describe_call(one, call, verdict.anomaly))
    return findings


def _measure_usual_tokens(feature: HeaviestCall, tokens: int) -> int:
    return max(feature.tokens - tokens, 0) // max(feature.calls - 1, 1)


def _describe_call(feature: HeaviestCall, call: LargestCall, anomaly: Anomaly) -> Finding:
    told = [f"{name} {value}" for name, value in (("user", call.user), ("model", call.model)) if value]
    details = (
        Figure("The call", f"{call.entry_id}, {call.time:%Y-%m-%d %H:%M} UTC"),
        *(Figure(name, value) for name, value in (("User", call.user), ("Model", call.model)) if value),
    )
    who = f"feature {feature.feature}" + (f" ({', '.join(told)})" if told else "")
    return Finding(feature.tenant_id, {"feature": feature.feature}, anomaly, details=details, who=who)


def _drop_revoked(findings: Sequence[Finding]) -> Iterator[Finding]:
    keys = {key.key_id: key for tenant_id in {one.tenant_id for one in findings} for key in list_api_keys(tenant_id)}
    for finding in findings:
        key = keys.get(finding.scope["key"])
        if key and key.is_live(finding.anomaly.when):
            yield finding
