"""Looks at every budget each minute: keeps what each window has come to, and opens an alert for a threshold reached."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection, connections

from alerts.budgets import list_budgets_of_every_tenant
from alerts.core.budget_alerts import (
    TopValue,
    make_facts,
    name_episode,
    read_thresholds,
    write_thresholds,
    write_title,
)
from alerts.core.budgets import DIMENSIONS, USER_DIMENSIONS, Action, Basis, Budget
from alerts.core.spending import Spending, list_reached, rate_severity
from alerts.core.windows import find_window_before
from alerts.episodes import grow_alert, list_standing_alerts, open_alert, resolve_alert
from alerts.spending import BudgetWindow, find_budget_window, read_windows_of_tenants
from billing.core.periods import has_whole_hours
from billing.selectors import ScopesQuery, list_scope_costs, list_top_values
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, list_tenants

logger = logging.getLogger(__name__)

RULE = "budget"
# A call is booked a little after it was made: so long a window is looked at after its end.
LATE = timedelta(hours=1)
# How far back windows that ended in an outage are still told.
CATCH_UP_MAX = timedelta(weeks=5)
CATCH_UP_HOURS_MAX = timedelta(days=2)
TOLD_DIMENSIONS = ("feature", "user", "model")
TOP_VALUES_MAX = 3

Reached = Mapping[int, tuple[Action, ...]]  # by threshold, what is done at it


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run came to. windows: that it looked at. changed: whose figures are others than before."""

    windows: int
    changed: int
    opened: int
    resolved: int


class _Seen(NamedTuple):
    """What the last run that saw a window kept of it."""

    limit: Decimal
    spent: Decimal
    evaluated_at: datetime


class _Finding(NamedTuple):
    """A window that is not as it was seen, None: that was not seen yet."""

    window: BudgetWindow
    spending: Spending
    seen: _Seen | None


def evaluate_budgets(*, now: datetime, since: datetime | None = None) -> Evaluation:
    """Look at every window of every budget that has gone on after `since`, when the last run was; None: only now's.

    Reads the rollups of all tenants in a few statements and writes, tenant by tenant, only what has changed. A second
    run of the same moment changes nothing.
    """
    since = min(since or now, now)
    tenants = {tenant.id: tenant for tenant in list_tenants()}
    budgets = [budget for budget in list_budgets_of_every_tenant() if budget.tenant_id in tenants]
    windows = [window for budget in budgets for window in _list_windows(budget, tenants[budget.tenant_id], since, now)]
    seen = _list_seen(min((window.end for window in windows), default=now))
    changed: dict[int, list[_Finding]] = defaultdict(list)
    for window, spending in zip(windows, read_windows_of_tenants(windows, tenants=tenants), strict=True):
        finding = _Finding(window, spending, seen.get((window.budget.tenant_id, window.budget.id, window.start)))
        if _has_changed(finding):
            changed[window.budget.tenant_id].append(finding)
    has_hour_turned = since.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) <= now
    opened = 0
    for tenant_id, findings in changed.items():
        try:
            opened += _tell_tenant(findings, tenants[tenant_id], now=now, has_hour_turned=has_hour_turned)
        except Exception:  # what nobody kept is found again by the next run; the other tenants are told meanwhile
            logger.exception("budgets of tenant %s could not be looked at", tenant_id)
    return Evaluation(
        windows=len(windows),
        changed=sum(map(len, changed.values())),
        opened=opened,
        resolved=_resolve_ended(now=now),
    )


def _tell_tenant(findings: Sequence[_Finding], tenant: TenantInfo, *, now: datetime, has_hour_turned: bool) -> int:
    """Keep what has changed of one tenant's windows together with what is told of it; how many alerts are new."""
    with tenant_scope(tenant.id):
        _keep_windows(tenant.id, findings, now=now)
        opened = sum(_open_alert(finding, tenant, now=now) for finding in findings)
        if has_hour_turned:
            _grow_alerts(findings, tenant, now=now)
    return opened


def _list_windows(budget: Budget, tenant: TenantInfo, since: datetime, now: datetime) -> list[BudgetWindow]:
    """The budget's windows between the last run and this one, the newest first; nothing is from before it was made."""
    back = CATCH_UP_HOURS_MAX if budget.window == "hour" else CATCH_UP_MAX
    after = max(since - LATE, now - back)
    if budget.created_at:
        after = max(after, budget.created_at)
    windows = [find_budget_window(budget, now, tenant=tenant)]
    while windows[-1].start > after:
        before = find_window_before(
            budget.window, windows[-1].start, timezone=tenant.timezone, fiscal_month=tenant.fiscal_month
        )
        windows.append(BudgetWindow(budget, *before))
    return windows


LIST_WINDOWS_SQL = """
    SELECT tenant_id, budget_id, window_start, limit_amount, spent, evaluated_at
    FROM budget_window WHERE window_end >= %(end)s"""


def _list_seen(end: datetime) -> dict[tuple[int, int, datetime], _Seen]:
    with connections["reader"].cursor() as cursor:
        cursor.execute(LIST_WINDOWS_SQL, {"end": end})
        return {(tenant_id, budget_id, start): _Seen(*seen) for tenant_id, budget_id, start, *seen in cursor.fetchall()}


def _has_changed(finding: _Finding) -> bool:
    seen, spending, changed_at = finding.seen, finding.spending, finding.window.budget.changed_at
    if seen is None or (changed_at and changed_at > seen.evaluated_at):
        return True
    return (seen.limit, seen.spent) != (spending.limit, spending.spent)


KEEP_WINDOWS_SQL = """
    INSERT INTO budget_window AS kept
        (tenant_id, budget_id, window_start, window_end, limit_amount, spent, evaluated_at)
    SELECT %(tenant_id)s, budget_id, window_start, window_end, limit_amount, spent, %(now)s
    FROM unnest(%(budget_ids)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(limits)s::numeric[],
                %(spent)s::numeric[]) AS new (budget_id, window_start, window_end, limit_amount, spent)
    ON CONFLICT (tenant_id, budget_id, window_start) DO UPDATE
    SET window_end = excluded.window_end, limit_amount = excluded.limit_amount, spent = excluded.spent,
        evaluated_at = excluded.evaluated_at
    WHERE kept.evaluated_at <= excluded.evaluated_at"""


def _keep_windows(tenant_id: int, findings: Sequence[_Finding], *, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            KEEP_WINDOWS_SQL,
            {
                "tenant_id": tenant_id,
                "now": now,
                "budget_ids": [finding.window.budget.id for finding in findings],
                "starts": [finding.window.start for finding in findings],
                "ends": [finding.window.end for finding in findings],
                "limits": [finding.spending.limit for finding in findings],
                "spent": [finding.spending.spent for finding in findings],
            },
        )


def _open_alert(finding: _Finding, tenant: TenantInfo, *, now: datetime) -> bool:
    """Tell the thresholds that were not reached when the window was last seen; whether any is new."""
    reached = _list_newly_reached(finding)
    if not reached:
        return False
    top = list_top(finding.window, tenant=tenant, now=now)
    budget, spending = finding.window.budget, finding.spending
    fresh = drop_told(reached, budget, on="actual", start=spending.window_start, tenant=tenant)
    return bool(fresh) and _open_thresholds(budget, spending, fresh, top=top, tenant=tenant, now=now)


def _list_newly_reached(finding: _Finding) -> Reached:
    """By threshold. All that are reached, where the budget has changed since it was seen: those of before open once."""
    budget, spending, seen = finding.window.budget, finding.spending, finding.seen
    reached = list_reached(budget.actions, on="actual", limit=spending.limit, amounts=[spending.spent])
    if seen is None or (budget.changed_at and budget.changed_at > seen.evaluated_at):
        return reached
    before = list_reached(budget.actions, on="actual", limit=seen.limit, amounts=[seen.spent])
    return {percent: actions for percent, actions in reached.items() if percent not in before}


LIST_TOLD_SQL = """
    SELECT event.facts->>'thresholds', episode
    FROM alert JOIN alert_event AS event
      ON event.tenant_id = alert.tenant_id AND event.alert_id = alert.id AND event.event = 'opened'
    WHERE alert.tenant_id = %(tenant_id)s AND budget_id = %(budget_id)s AND rule = %(rule)s
      AND opened_at >= %(start)s"""


def drop_told(reached: Reached, budget: Budget, *, on: Basis, start: datetime, tenant: TenantInfo) -> Reached:
    """The thresholds that no alert of the window that began at `start` has told yet, by itself or with a higher one.

    In the tenant's scope.
    """
    values = {"tenant_id": tenant.id, "budget_id": budget.id, "rule": RULE, "start": start}
    with connection.cursor() as cursor:
        cursor.execute(LIST_TOLD_SQL, values)
        rows = cursor.fetchall()
    told: set[int] = set()
    for noted, episode in rows:
        percents = read_thresholds(noted, episode)
        named = {name_episode(budget, percent=one, on=on, start=start, timezone=tenant.timezone) for one in percents}
        told |= percents if episode in named else set()
    return {percent: actions for percent, actions in reached.items() if percent not in told}


def _open_thresholds(
    budget: Budget,
    spending: Spending,
    reached: Reached,
    *,
    top: Sequence[TopValue],
    tenant: TenantInfo,
    now: datetime,
) -> bool:
    """Open one alert for all of them, in the caller's transaction: it is named after the highest, and tells the others
    with it. False where another run opened it."""
    percent = max(reached)
    facts = make_facts(
        budget,
        spending,
        percent=percent,
        actions=reached[percent],
        top=top,
        now=now,
        timezone=tenant.timezone,
        lower={one: actions for one, actions in reached.items() if one != percent},
    )
    alert_id = open_alert(
        tenant_id=tenant.id,
        rule=RULE,
        scope=budget.scope,
        episode=name_episode(
            budget, percent=percent, on="actual", start=spending.window_start, timezone=tenant.timezone
        ),
        severity=rate_severity(percent),
        title=write_title(budget, spending, now=now),
        facts=facts,
        impact=find_overspend(spending),
        budget_id=budget.id,
        owner=budget.owner,
        channel_ids=budget.channel_ids,
        noted=write_thresholds(reached),
        now=now,
    )
    return alert_id is not None


def find_overspend(spending: Spending) -> Decimal | None:
    """What an alert costs so far: what was spent beyond the limit, None within it."""
    return -spending.remaining if spending.remaining < 0 else None


def _grow_alerts(findings: Sequence[_Finding], tenant: TenantInfo, *, now: datetime) -> None:
    """Say how far overspent budgets have come, in the alert of the highest threshold. Once an hour is enough."""
    overspent = [finding for finding in findings if finding.spending.remaining < 0]
    if not overspent:
        return
    standing = list_standing_alerts(tenant_id=tenant.id, rules=[RULE])
    by_episode = {alert.episode: alert.id for alert in standing}
    for window, spending, _ in overspent:
        budget = window.budget
        reached = list_reached(budget.actions, on="actual", limit=spending.limit, amounts=[spending.spent])
        if not reached:
            continue
        percent = max(reached)
        episode = name_episode(budget, percent=percent, on="actual", start=window.start, timezone=tenant.timezone)
        if episode not in by_episode:
            continue
        top = list_top(window, tenant=tenant, now=now)
        grow_alert(
            tenant_id=tenant.id,
            alert_id=by_episode[episode],
            impact=find_overspend(spending),
            title=write_title(budget, spending, now=now),
            facts=make_facts(
                budget, spending, percent=percent, actions=reached[percent], top=top, now=now, timezone=tenant.timezone
            ),
            now=now,
        )


def list_top(window: BudgetWindow, *, tenant: TenantInfo, now: datetime) -> list[TopValue]:
    """The features, users and models that a window's spending went to, dearest first, without those the scope names.

    Each beside what it cost in the window before, as much of it as is gone of this one. Users only where they are
    summed by what the scope names.
    """
    scope = window.budget.scope
    query = _make_query(window, tenant)
    elapsed = Spending(window.start, window.end, Decimal(1), Decimal(0)).get_elapsed(now)
    calendar = {"timezone": tenant.timezone, "fiscal_month": tenant.fiscal_month}
    before = BudgetWindow(window.budget, *find_window_before(window.budget.window, window.start, **calendar))
    found: list[TopValue] = []
    for dimension in TOLD_DIMENSIONS:
        if dimension in scope or (dimension == "user" and not _has_users(window, tenant)):
            continue
        top = list_top_values(dimension, query, tenant_id=tenant.id, most=TOP_VALUES_MAX)
        expected = _read_values(before, dimension, [value for value, _ in top], tenant)
        found += [TopValue(dimension, value, cost, expected.get(value, Decimal(0)) * elapsed) for value, cost in top]
    return found


def _has_users(window: BudgetWindow, tenant: TenantInfo) -> bool:
    return set(window.budget.scope) <= set(USER_DIMENSIONS) and (
        window.budget.window == "hour" or has_whole_hours(window.start, window.end, ZoneInfo(tenant.timezone))
    )


def _read_values(window: BudgetWindow, dimension: str, values: Sequence[str], tenant: TenantInfo) -> dict[str, Decimal]:
    """What these values of a dimension cost in a window."""
    within = _make_query(window, tenant)
    dimensions = (*within.dimensions, dimension)
    query = replace(within, dimensions=dimensions, values={**(within.values or {}), dimension: values})
    return {cost.values[-1]: cost.billed_cost for cost in list_scope_costs(query, tenant_id=tenant.id)}


def _make_query(window: BudgetWindow, tenant: TenantInfo) -> ScopesQuery:
    scope = window.budget.scope
    return ScopesQuery(
        start=window.start,
        end=window.end,
        timezone="" if window.budget.window == "hour" else tenant.timezone,
        dimensions=tuple(name for name in DIMENSIONS if name in scope),
        values={name: [value] for name, value in scope.items()},
    )


# What has only just been told, of a window that ended in an outage, is left until it can have been sent.
LIST_ENDED_SQL = """
    SELECT alert.tenant_id, alert.id
    FROM alert LEFT JOIN budget ON budget.tenant_id = alert.tenant_id AND budget.id = alert.budget_id
    WHERE rule = %(rule)s AND state <> 'resolved' AND opened_at <= %(ended_by)s
      AND (retired_at IS NOT NULL OR (facts->>'end')::timestamptz <= %(ended_by)s)
    ORDER BY alert.tenant_id, alert.id"""


def _resolve_ended(*, now: datetime) -> int:
    """End the alerts whose window is over, or whose budget is retired; how many."""
    with connections["reader"].cursor() as cursor:
        cursor.execute(LIST_ENDED_SQL, {"rule": RULE, "ended_by": now - LATE})
        ended = cursor.fetchall()
    return sum(resolve_alert(tenant_id=tenant_id, alert_id=alert_id, now=now) for tenant_id, alert_id in ended)
