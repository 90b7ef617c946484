"""Thresholds of budgets on the forecast: told when three runs in a row say that one is crossed."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec import structs

from alerts.budgets import list_budgets
from alerts.core.budget_alerts import make_facts, name_episode, write_money, write_percent
from alerts.core.budgets import DAYS_FORECAST, Action, Budget
from alerts.core.facts import Figure
from alerts.core.spending import FORECASTS_IN_A_ROW, Spending, list_reached, rate_severity
from alerts.episodes import open_alert
from alerts.evaluation import RULE
from alerts.forecasts.records import list_budget_forecasts
from alerts.spending import read_spending
from tenants.selectors import TenantInfo


def open_crossings(*, tenant: TenantInfo, now: datetime) -> int:
    """Open an alert for each threshold that the last runs all cross; how many are new. In the tenant's scope."""
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
        for actions in list_reached(budget.actions, on="forecast", limit=stands.limit, amounts=seen).values():
            opened += _open(budget, stands, actions, expected=seen[-1], tenant=tenant, now=now)
    return opened


def _open(
    budget: Budget,
    spending: Spending,
    actions: Sequence[Action],
    *,
    expected: Decimal,
    tenant: TenantInfo,
    now: datetime,
) -> bool:
    """False where this window's crossing was told before."""
    percent = actions[0].at_percent
    share = write_percent(expected * 100 / spending.limit)
    start = spending.window_start
    facts = make_facts(budget, spending, percent=percent, actions=actions, top=(), now=now, timezone=tenant.timezone)
    sentence = (
        f"{budget.name} is forecast to reach {write_money(expected)} by the end of the {budget.window}, {share} of its "
        f"limit. {FORECASTS_IN_A_ROW} nightly forecasts in a row say that it crosses {percent} percent."
    )
    figures = (Figure("Forecast", f"{write_money(expected)} of {write_money(spending.limit)}"), *facts.figures)
    alert_id = open_alert(
        tenant_id=tenant.id,
        rule=RULE,
        scope=budget.scope,
        episode=name_episode(budget, percent=percent, on="forecast", start=start, timezone=tenant.timezone),
        severity=rate_severity(percent),
        title=f"{budget.name} is forecast to reach {write_money(expected)} of {write_money(spending.limit)}, {share}",
        facts=structs.replace(facts, sentence=sentence, figures=figures),
        impact=None,
        budget_id=budget.id,
        owner=budget.owner,
        channel_ids=budget.channel_ids,
        now=now,
    )
    return alert_id is not None
