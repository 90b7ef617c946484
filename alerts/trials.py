"""A budget tried on the past, before it is switched on."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from alerts.core.budgets import BudgetTerms
from alerts.core.past_firings import PastFiring, find_past_firings
from alerts.core.windows import find_window
from billing.core.periods import start_of_day
from billing.selectors import CostQuery, get_billed_costs
from tenants.selectors import get_tenant_by_id

TRIAL_DAYS = (30, 90)


def try_on_past(
    terms: BudgetTerms, *, tenant_id: int, days: int, now: datetime, using: str = "default"
) -> list[PastFiring]:
    """What the terms would have told in the last `days` days, by what is booked now; by the day, or by the hour for
    windows of an hour. Writes nothing."""
    tenant = get_tenant_by_id(tenant_id)
    calendar = {"timezone": tenant.timezone, "fiscal_month": tenant.fiscal_month}
    since = now - timedelta(days=days)
    start, _ = find_window(terms.window, since, **calendar)
    costs = read_costs(
        terms, tenant_id=tenant_id, timezone=tenant.timezone, start=start, end=_find_end(terms, now, tenant.timezone),
        using=using,
    )  # fmt: skip
    return find_past_firings(
        terms, costs, find_window=lambda moment: find_window(terms.window, moment, **calendar), since=since
    )


def read_costs(
    terms: BudgetTerms, *, tenant_id: int, timezone: str, start: datetime, end: datetime, using: str = "default"
) -> list[tuple[datetime, Decimal]]:
    """What the scope cost in each day of [start, end), or in each hour for windows of an hour, where any."""
    is_hourly = terms.window == "hour"
    query = CostQuery(
        tenant_id=tenant_id,
        start=start,
        end=end,
        granularity="hour" if is_hourly else "day",
        timezone="UTC" if is_hourly else timezone,
        filters={name: (value,) for name, value in terms.scope.items()},
    )
    return [
        (row.period_start, row.billed_cost) for row in get_billed_costs(query, using=using).rows if row.period_start
    ]


def _find_end(terms: BudgetTerms, now: datetime, timezone: str) -> datetime:
    """Of the hour or day that goes on."""
    if terms.window == "hour":
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    zone = ZoneInfo(timezone)
    return start_of_day(now.astimezone(zone).date() + timedelta(days=1), zone)
