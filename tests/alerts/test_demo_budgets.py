"""The demo's budgets fit what the demo spends, and are made once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alerts.budgets import list_budgets
from alerts.demo_budgets import seed_budgets
from tests.billing.ledger_rows import book_entries, make_entry
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("db")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_budgets_are_made_after_what_sixty_days_cost_and_once():
    tenant = make_tenant("acme")
    acme = replace(tenant, slug="acme")  # as the demo's
    days = (NOW - timedelta(days=number) for number in range(1, 61))
    book_entries(tenant, *(make_entry(time=day, cost="2", cost_center="retail", feature="research") for day in days))
    assert (seed_budgets(tenant=acme, now=NOW), seed_budgets(tenant=acme, now=NOW)) == (5, 0)
    budgets = {budget.name: budget for budget in list_budgets(tenant_id=tenant.id)}
    # 2 USD a day: 63 and 78 a month, 198 a quarter, to two digits; nothing is engineering's.
    assert {name: budget.amount for name, budget in budgets.items()} == {
        "Everything": 63, "Engineering": 1, "Code assistant, a day": 1, "Retail": 78,
        "Research this quarter": Decimal(200),
    }  # fmt: skip
    assert budgets["Code assistant, a day"].parent_id == budgets["Engineering"].id
    assert budgets["Retail"].created_at == datetime(2026, 9, 23, tzinfo=UTC)


def test_another_tenant_gets_none():
    assert seed_budgets(tenant=make_tenant("globex"), now=NOW) == 0
