"""How the budget of the whole tenant stands, for the Overview."""

from datetime import datetime

from alerts.budgets import list_budgets
from alerts.spending import read_spending
from dashboards.access import Seat
from dashboards.budgets.standing import Standing, make_standing

WINDOWS = ("month", "quarter", "year", "week", "day", "hour")  # the first that there is


def read_whole_budget(seat: Seat, *, now: datetime) -> Standing | None:
    """None where no budget counts all that the tenant uses. Of several the month's, and of those the least."""
    whole = [budget for budget in list_budgets(tenant_id=seat.tenant.id) if not budget.scope]
    if not whole:
        return None
    budget = min(whole, key=lambda one: (WINDOWS.index(one.window), one.amount))
    spending = read_spending(tenant_id=seat.tenant.id, budgets=[budget], now=now)[budget.id]
    return make_standing(budget, spending, now=now, timezone=seat.tenant.timezone, link_query=seat.link_query)
