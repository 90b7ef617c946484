"""Reads a report, by the very functions that the pages and `GET /v1/costs` read the same figures by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from zoneinfo import ZoneInfo

from alerts.budgets import list_budgets
from alerts.core.budgets import Budget, describe_scope
from alerts.core.findings import RULES
from alerts.core.outlooks import Outlook
from alerts.core.routing import rank_severity
from alerts.core.spending import Spending
from alerts.forecasts import list_events, read_month
from alerts.forecasts.days import to_dollars
from alerts.inbox import ALERTS_PER_PAGE_MAX, AlertFilters, list_alerts
from alerts.spending import read_spending
from billing.core.changes import compare_amounts
from billing.selectors import CostQuery, Quantities, QueryRefused, get_cost_changes, get_costs, get_percentiles
from billing.selectors.changes import CHANGE_STEPS, CostChange
from billing.selectors.costs import Costs
from billing.selectors.groups import Group, Groups, count_input, get_cost_per_call, get_known_cost, get_share, sum_by
from billing.selectors.quantities import sum_quantities
from chargeback.core.reports.periods import ReportPeriod
from chargeback.core.reports.report import (
    AlertLine,
    Alerts,
    BudgetLine,
    ChangeLine,
    Changes,
    Efficiency,
    MonthEnd,
    Report,
    Top,
    TopLine,
    Total,
    Unallocated,
    UnpricedLine,
)
from chargeback.reports.links import PageLinks
from ledger.selectors import name_users
from tenants.selectors import TenantInfo

TOP = 5
LINES_MAX = 10  # of budgets, alerts and models without a price
INSTANT = timedelta(microseconds=1)
NOTHING = Quantities()
NAMELESS = {"feature": "No feature", "user": "No user", "model": "No model"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What every part of a report is read by."""

    tenant: TenantInfo
    period: ReportPeriod
    scope: Mapping[str, str]
    links: PageLinks

    @property
    def filters(self) -> dict[str, Group]:
        return {name: (value,) for name, value in self.scope.items()}

    def ask(self, period: ReportPeriod, group_by: Group) -> CostQuery:
        zone = self.tenant.timezone
        return CostQuery(self.tenant.id, *period.get_bounds(zone), "total", zone, group_by, self.filters)

    def read_both(self, group_by: Group) -> tuple[Costs, Costs]:
        """Of the report's days and of those before."""
        return get_costs(self.ask(self.period, group_by)), get_costs(self.ask(self.period.find_previous(), group_by))


def read_report(
    *, tenant: TenantInfo, period: ReportPeriod, scope: Mapping[str, str], now: datetime, missing: Sequence[str] = ()
) -> Report:
    """The report as it stands now; in one snapshot, where the caller's transaction has one. missing: see Report."""
    links = PageLinks(tenant_slug=tenant.slug, period=period, scope=scope)
    reading = Reading(tenant, period, scope, links)
    features, features_before = reading.read_both(("feature",))
    models, models_before = map(sum_by, reading.read_both(("model", "provider")))
    by_feature, by_feature_before = sum_by(features), sum_by(features_before)
    totals = sum_quantities(by_feature.values())
    return Report(
        tenant_name=tenant.name,
        timezone=tenant.timezone,
        is_simulated=tenant.is_demo,
        period=period,
        scope=scope,
        complete_to=features.complete_to,
        missing=tuple(missing),
        total=_make_total(totals, sum_quantities(by_feature_before.values()), href=links.show_total()),
        budgets=_read_budgets(reading),
        budgets_href=links.find("budgets"),
        month_end=_read_month_end(reading, now=now),
        changes=_read_changes(reading),
        changes_href=links.make("explore", by="feature", why="yes", **scope),
        features=_make_top(reading, "feature", by_feature, by_feature_before),
        users=_read_users(reading),
        models=_make_top(reading, "model", models, models_before),
        efficiency=_read_efficiency(reading, totals),
        alerts=_read_alerts(reading),
        unpriced=_list_unpriced(reading, models),
        unallocated=None if scope else _read_unallocated(reading, totals),
    )


def _make_total(now: Quantities, before: Quantities, *, href: str) -> Total:
    cost, cost_before = get_known_cost(now), get_known_cost(before)
    change = None if cost is None or cost_before is None else compare_amounts(cost, cost_before)
    return Total(cost, cost_before, change, now.calls, now.unpriced_calls, href)


# --- budgets and the month ---


def _read_budgets(reading: Reading) -> list[BudgetLine]:
    """In the windows that the last moment of the report lies in, the most used first; of a part, its own."""
    budgets = [
        budget
        for budget in list_budgets(tenant_id=reading.tenant.id)
        if all(budget.scope.get(name) == value for name, value in reading.scope.items())
    ]
    last = reading.period.get_bounds(reading.tenant.timezone)[1] - INSTANT
    spendings = read_spending(tenant_id=reading.tenant.id, budgets=budgets, now=last)
    lines = [_make_budget_line(reading, budget, spendings[budget.id]) for budget in budgets]
    return sorted(lines, key=lambda line: (-line.percent, line.name.casefold()))


def _make_budget_line(reading: Reading, budget: Budget, spending: Spending) -> BudgetLine:
    zone = ZoneInfo(reading.tenant.timezone)
    first, last = spending.window_start.astimezone(zone), (spending.window_end - INSTANT).astimezone(zone)
    return BudgetLine(
        name=budget.name,
        scope_words=describe_scope(budget.scope),
        window=f"{budget.window}, {first.day} {first:%b}–{last.day} {last:%b}",
        spent=spending.spent,
        limit=spending.limit,
        percent=spending.percent.quantize(Decimal(1), ROUND_DOWN),
        href=reading.links.find("budget", budget.id),
    )


def _read_month_end(reading: Reading, *, now: datetime) -> MonthEnd:
    events = list_events(tenant_id=reading.tenant.id)
    view = read_month(tenant=reading.tenant, now=now, events=events, filters=reading.scope)
    href = reading.links.find("forecast", environment="all", **reading.scope)
    booked, outlook = to_dollars(view.booked), view.outlook
    if not isinstance(outlook, Outlook):
        return MonthEnd(view.month.first, booked, None, None, None, outlook.reason, href)
    ends = (to_dollars(end) for end in (outlook.expected, outlook.low, outlook.high))
    return MonthEnd(view.month.first, booked, *ends, "", href)


# --- what changed ---


def _read_changes(reading: Reading) -> Changes | None:
    before = reading.period.find_previous().get_bounds(reading.tenant.timezone)
    try:
        found = get_cost_changes(reading.ask(reading.period, ("feature",)), before=before)
    except QueryRefused:  # of more kinds than any answer has
        return None
    changed = [row for row in found.rows if row.difference]
    lines = [_make_change(reading, row, row.group[0]) for row in changed[:TOP]]
    return Changes(lines, len(changed) - len(lines), _make_change(reading, found.total, None))


def _make_change(reading: Reading, change: CostChange, feature: str | None) -> ChangeLine:
    steps = {name: getattr(change.steps, name) for name in CHANGE_STEPS}
    named = {} if feature is None else {"feature": feature}
    return ChangeLine(
        name="Total" if feature is None else feature or NAMELESS["feature"],
        difference=change.difference,
        steps={name: amount for name, amount in steps.items() if amount},
        href=reading.links.make("explore", by="model", why="yes", **{**reading.scope, **named}),
    )


# --- the dearest ---


def _make_top(
    reading: Reading, dimension: str, now: Groups, before: Groups, *, names: Mapping[str, str] | None = None
) -> Top:
    """In the order of the pages' tables. names: what people call a value, else its own."""
    known = names or {}

    def rank(group: Group) -> tuple[Decimal, Decimal, str]:
        costs = (get_known_cost(sums.get(group, NOTHING)) or Decimal(0) for sums in (now, before))
        return *(-cost for cost in costs), known.get(group[0], group[0]) or NAMELESS[dimension]

    lines = [
        _make_line(reading, dimension, group, now[group], before.get(group, NOTHING), known)
        for group in sorted(now, key=rank)
    ]
    shown, rest = lines[:TOP], lines[TOP:]
    other = sum((line.cost for line in rest if line.cost is not None), Decimal(0))
    return Top(shown, len(rest), other, reading.links.show_table(dimension))


def _make_line(
    reading: Reading, dimension: str, group: Group, now: Quantities, before: Quantities, names: Mapping[str, str]
) -> TopLine:
    value, provider = names.get(group[0], group[0]), group[1] if dimension == "model" else ""
    cost, cost_before = get_known_cost(now), get_known_cost(before)
    return TopLine(
        name=value or NAMELESS[dimension],
        under=provider,
        calls=now.calls,
        cost=cost,
        change=None if cost is None or cost_before is None else compare_amounts(cost, cost_before),
        href=reading.links.list_entries(model=value, provider=provider)
        if dimension == "model"
        else reading.links.show_one(dimension, value),
    )


def _read_users(reading: Reading) -> Top:
    """By the names that they were sent under; one who was erased has a reference alone."""
    href = reading.links.show_table("user")
    try:
        now, before = map(sum_by, reading.read_both(("user",)))
    except QueryRefused as refused:
        return Top((), 0, Decimal(0), href, refusal=f"Users are not told apart here: {refused}.")
    references = [reference for (reference,) in now if reference]
    return _make_top(
        reading, "user", now, before, names=name_users(tenant_id=reading.tenant.id, user_refs=references)
    )  # fmt: skip


# --- how well it is used, and what wants attention ---


def _read_efficiency(reading: Reading, totals: Quantities) -> Efficiency:
    try:
        spread = get_percentiles(
            tenant_id=reading.tenant.id,
            start_day=reading.period.first,
            end_day=reading.period.after,
            measure="billed_cost",
            filters=reading.filters,
            percents=(50, 95),
        )
    except QueryRefused:  # it is not kept by cost centre
        spread = {}
    return Efficiency(
        input_tokens=count_input(totals),
        output_tokens=totals.output_tokens,
        cache_share=get_share(totals.cache_read_tokens, count_input(totals)),
        saved=totals.saved_cost,
        per_call=get_cost_per_call(totals) if spread else None,
        p50=spread.get(50),
        p95=spread.get(95),
        href=reading.links.show_table("feature"),
    )


def _read_alerts(reading: Reading) -> Alerts:
    """Those that opened in the report's days; of a part, those about it. As many as a page of the API has."""
    start, end = reading.period.get_bounds(reading.tenant.timezone)
    found = [
        alert
        for alert in list_alerts(
            tenant_id=reading.tenant.id, filters=AlertFilters(start=start, end=end), limit=ALERTS_PER_PAGE_MAX
        )
        if all(alert.scope.get(name) == value for name, value in reading.scope.items())
    ]
    worst = sorted(found, key=lambda alert: -rank_severity(alert.severity))[:LINES_MAX]
    anomalies = sum(alert.rule in RULES for alert in found)
    lines = [
        AlertLine(
            title=alert.title,
            severity=alert.severity,
            state=alert.state,
            is_anomaly=alert.rule in RULES,
            impact=alert.impact,
            href=reading.links.find("alert", alert.id),
        )
        for alert in worst
    ]
    return Alerts(lines, anomalies, len(found) - anomalies, reading.links.find("alerts", state="all"))


def _list_unpriced(reading: Reading, models: Groups) -> list[UnpricedLine]:
    lines = [
        UnpricedLine(
            name=model,
            under=provider,
            calls=sums.unpriced_calls,
            href=reading.links.list_entries(model=model, provider=provider, pricing_status="unpriced"),
        )
        for (model, provider), sums in models.items()
        if sums.unpriced_calls
    ]
    return sorted(lines, key=lambda line: (-line.calls, line.name))


def _read_unallocated(reading: Reading, totals: Quantities) -> Unallocated | None:
    centers = sum_by(get_costs(reading.ask(reading.period, ("cost_center",))))
    sums = centers.get(("",))
    if sums is None:
        return None
    cost = get_known_cost(sums)
    share = get_share(cost or 0, totals.billed_cost)
    return Unallocated(cost, share, sums.calls, reading.links.list_entries(cost_center=""))
