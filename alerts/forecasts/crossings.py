"""Thresholds of budgets on the forecast: told when three runs in a row say that one is crossed."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec import structs

from alerts.budgets import list_budgets
from alerts.core.budget_alerts import (
    make_facts,
    name_episode,
    write_percent,
    write_percents,
    write_thresholds,
)
from alerts.core.budgets import DAYS_FORECAST, Budget
from alerts.core.facts import Figure
from alerts.core.messages import write_usd
from alerts.core.spending import FORECASTS_IN_A_ROW, Spending, list_reached, rate_severity
from alerts.episodes import open_alert
from alerts.evaluation import RULE, Reached, drop_told
from alerts.forecasts.records import list_budget_forecasts
from alerts.spending import read_spending
from tenants.selectors import TenantInfo


def open_crossings(*, tenant: TenantInfo, now: datetime) -> int:
    """Open an alert for the thresholds that the last runs all cross, the highest's; how many. In the tenant's scope."""
    budgets = [
        budget
        for budget in list_budgets(tenant_id=tenant.id)
        if budget.window in DAYS_FORECAST and any(action.on == "forecast" for action in budget.actions)
    ]
    if not budgets:
        return 0
    zone = ZoneInfo(tenant.timezone)
    today = now.astimezone(zone).date()
    spending = read_spending(tenant_id=tenant.id, budgets=budgets, now=now)
    starts = {budget.id: spending[budget.id].window_start.astimezone(zone).date() for budget in budgets}
    totals = list_budget_forecasts(tenant_id=tenant.id, starts=starts, today=today)
    opened = 0
    for budget in budgets:
        seen, stands = totals.get(budget.id, []), spending[budget.id]
        reached = list_reached(budget.actions, on="forecast", limit=stands.limit, amounts=seen)
        if reached:
            fresh = drop_told(reached, budget, on="forecast", start=stands.window_start, tenant=tenant)
            opened += bool(fresh) and _open(budget, stands, fresh, expected=seen[-1], tenant=tenant, now=now)
    return opened


def _open(
    budget: Budget,
    spending: Spending,
    reached: Reached,
    *,
    expected: Decimal,
    tenant: TenantInfo,
    now: datetime,
) -> bool:
    """One alert for all of them; False where another run opened it."""
    percent = max(reached)
    share = write_percent(expected * 100 / spending.limit)
    start = spending.window_start
    facts = make_facts(
        budget, spending, percent=percent, actions=reached[percent], top=(), now=now, timezone=tenant.timezone
    )
    crossed = write_percents(reached)
    sentence = (
        f"{budget.name} is forecast to reach {write_usd(expected)} by the end of the {budget.window}, {share} of its "
        f"limit. {FORECASTS_IN_A_ROW} nightly forecasts in a row say that it crosses {crossed}."
    )
    figures = (Figure("Forecast", f"{write_usd(expected)} of {write_usd(spending.limit)}"), *facts.figures)
    alert_id = open_alert(
        tenant_id=tenant.id,
        rule=RULE,
        scope=budget.scope,
        episode=name_episode(budget, percent=percent, on="forecast", start=start, timezone=tenant.timezone),
        severity=rate_severity(percent),
        title=f"{budget.name} is forecast to reach {write_usd(expected)} of {write_usd(spending.limit)}, {share}",
        facts=structs.replace(facts, sentence=sentence, figures=figures),
        impact=None,
        budget_id=budget.id,
        owner=budget.owner,
        channel_ids=budget.channel_ids,
        noted=write_thresholds(reached),
        now=now,
    )
    return alert_id is not None
