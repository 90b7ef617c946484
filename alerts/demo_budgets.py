"""The demo's budgets: some that last, one that is nearly used up, one that was used up on the days of its spike."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from alerts.budgets import create_budget, list_budgets
from alerts.core.budget_terms import read_terms
from alerts.core.budgets import BudgetTerms
from alerts.trials import read_costs
from billing.core.periods import start_of_day
from tenants.selectors import TenantInfo

ACTOR = "the demo"
TWO_DIGITS = Context(prec=2, rounding=ROUND_HALF_EVEN)
MONTH, DAYS_LOOKED_AT = 30, 60
TELL = [{"at_percent": 80, "do": "notify"}, {"at_percent": 100, "do": "notify"}]
SLOW = [{"at_percent": 80, "do": "notify"}, {"at_percent": 100, "do": "throttle"}]
# A parent stands before what is below it. share: of what a window's length of the last sixty days cost.
BUDGETS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "acme": (
        {"name": "Everything", "share": "1.05", "actions": TELL, "owner": "Finance"},
        {"name": "Engineering", "scope": {"cost_center": "engineering"}, "share": "1", "actions": TELL,
         "below": "Everything"},
        {"name": "Code assistant, a day", "scope": {"cost_center": "engineering", "feature": "code-assistant"},
         "window": "day", "share": "2", "actions": SLOW, "below": "Engineering"},
        {"name": "Retail", "scope": {"cost_center": "retail"}, "share": "1.3", "actions": TELL, "below": "Everything",
         "rollover": True},
        {"name": "Research this quarter", "scope": {"feature": "research"}, "window": "quarter", "share": "1.1",
         "actions": [*TELL, {"at_percent": 100, "on": "forecast", "do": "notify"}]},
    ),
}  # fmt: skip
WINDOW_DAYS = {"day": 1, "month": MONTH, "quarter": 3 * MONTH}


def seed_budgets(*, tenant: TenantInfo, now: datetime) -> int:
    """Make a demo tenant's budgets, as if sixty days ago; how many. One of a name that there is already is left."""
    made = {budget.name: budget.id for budget in list_budgets(tenant_id=tenant.id)}
    zone = ZoneInfo(tenant.timezone)
    today = now.astimezone(zone).date()
    start, end = start_of_day(today - timedelta(days=DAYS_LOOKED_AT), zone), start_of_day(today, zone)
    before = len(made)
    for wanted in BUDGETS.get(tenant.slug, ()):
        if wanted["name"] in made:
            continue
        terms = _make_terms(wanted, tenant=tenant, parent=made.get(wanted.get("below", "")), start=start, end=end)
        budget, _ = create_budget(terms, tenant_id=tenant.id, actor=ACTOR, now=start)
        made[budget.name] = budget.id
    return len(made) - before


def _make_terms(
    wanted: Mapping[str, Any], *, tenant: TenantInfo, parent: int | None, start: datetime, end: datetime
) -> BudgetTerms:
    document = {name: wanted[name] for name in ("name", "scope", "actions", "owner", "rollover") if name in wanted}
    window = wanted.get("window", "month")
    terms = read_terms({**document, "window": window, "amount": 1, "parent": parent})
    costs = read_costs(terms, tenant_id=tenant.id, timezone=tenant.timezone, start=start, end=end)
    a_day = sum((cost for _, cost in costs), Decimal(0)) / DAYS_LOOKED_AT
    amount = TWO_DIGITS.create_decimal(a_day * WINDOW_DAYS[window] * Decimal(wanted["share"])) or Decimal(1)
    return read_terms({**document, "window": window, "amount": f"{amount:f}", "parent": parent})
