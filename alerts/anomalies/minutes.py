"""What is out of the ordinary about the last minutes: a feature that calls too often, a user who costs too much."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from alerts.anomalies.watched import Watched
from alerts.core.anomalies import find_heavy_user, find_rate_spike
from alerts.core.facts import Figure
from alerts.core.findings import Finding, to_usd
from billing.selectors.watched import (
    BusyMinute,
    UserHour,
    list_busy_minutes,
    list_dear_users,
    list_first_hours,
    list_usual_calls,
)
from ledger.core.entries import PICO

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USUAL_DAYS = 14
BESIDE = (-1, 0, 1)  # the same hour of a day before, and those on either side
MINUTES_A_DAY = len(BESIDE) * 60


def find_in_minutes(watched: Watched, *, start: datetime, end: datetime) -> list[Finding]:
    """What the minutes of [start, end) tell: six statements where there is nothing, whatever the number of tenants."""
    return [*find_rate_spikes(watched, start=start, end=end), *find_heavy_users(watched, start=start, end=end)]


def find_rate_spikes(watched: Watched, *, start: datetime, end: datetime) -> list[Finding]:
    """Minutes of a feature beside the same hours (± 1) of the last two weeks."""
    thresholds = {
        tenant_id: watched.get_setting(tenant_id).thresholds.rate_spike
        for tenant_id in watched.list_tenants_for("rate_spike")
    }
    busy = list_busy_minutes(
        start=start, end=end, calls_min={tenant_id: one.calls_min for tenant_id, one in thresholds.items()}
    )
    by_hour: dict[datetime, list[BusyMinute]] = defaultdict(list)
    for minute in busy:
        by_hour[minute.minute.replace(minute=0)].append(minute)
    first_hours = list_first_hours(tenant_ids=sorted({minute.tenant_id for minute in busy})) if busy else {}
    findings = []
    for hour, minutes in by_hour.items():
        usual = list_usual_calls(
            tenant_ids=sorted({minute.tenant_id for minute in minutes}), hours=list_same_hours(hour)
        )
        for minute in minutes:
            days = min((hour - first_hours.get(minute.tenant_id, hour)) // DAY, USUAL_DAYS)
            verdict = find_rate_spike(
                calls=minute.calls,
                cost=int(minute.billed_cost * PICO),
                calls_before=usual.get((minute.tenant_id, minute.feature), 0),
                minutes_before=days * MINUTES_A_DAY,
                when=minute.minute,
                thresholds=thresholds[minute.tenant_id],
            )
            if verdict.anomaly:
                findings.append(Finding(minute.tenant_id, {"feature": minute.feature}, verdict.anomaly))
    return findings


def list_same_hours(hour: datetime) -> list[datetime]:
    """The hour and its neighbours, on each of the days before."""
    return [hour - day * DAY + beside * HOUR for day in range(1, USUAL_DAYS + 1) for beside in BESIDE]


def find_heavy_users(watched: Watched, *, start: datetime, end: datetime) -> list[Finding]:
    """Users who cost more than their part of the daily budget within an hour, be it still going on."""
    budgets = {
        tenant_id: budget
        for tenant_id in watched.list_tenants_for("heavy_user")
        if (budget := watched.get_daily_budget(tenant_id))
    }
    shares = {one: watched.get_setting(one).thresholds.heavy_user.budget_share_max for one in budgets}
    costs_min = {tenant_id: shares[tenant_id] * to_usd(budget) for tenant_id, budget in budgets.items()}
    used = list_dear_users(start=start.replace(minute=0), end=end, costs_min=costs_min)
    findings = []
    for (tenant_id, hour, user), group in groupby(used, key=lambda one: (one.tenant_id, one.hour, one.user)):
        parts = list(group)
        verdict = find_heavy_user(
            cost=int(sum((part.billed_cost for part in parts), Decimal(0)) * PICO),
            budget=budgets[tenant_id],
            when=hour,
            thresholds=watched.get_setting(tenant_id).thresholds.heavy_user,
        )
        if verdict.anomaly:
            findings.append(
                Finding(
                    tenant_id=tenant_id,
                    scope={"user": user},
                    anomaly=verdict.anomaly,
                    usual_day=budgets[tenant_id],
                    details=_describe_parts(parts),
                    who=_name_user(user, parts[0]),
                )
            )
    return findings


def _name_user(user: str, dearest: UserHour) -> str:
    """“User u-17 (feature chat, model gpt-4o)”."""
    told = [f"{name} {value}" for name, value in (("feature", dearest.feature), ("model", dearest.model)) if value]
    return f"user {user} ({', '.join(told)})" if told else f"user {user}"


def _describe_parts(parts: Sequence[UserHour]) -> tuple[Figure, ...]:
    calls = sum(part.calls for part in parts)
    return (Figure("Calls", f"{calls:,}"),)
