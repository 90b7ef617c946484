"""Budgets for tests: Chat's, unless a test says otherwise."""

from dataclasses import replace
from decimal import Decimal

from alerts.budgets import create_budget
from alerts.core.budgets import Action, BudgetTerms, RequestLimits
from tests.factories import NOW

CHAT = BudgetTerms(
    name="Chat",
    scope={"feature": "chat"},
    window="month",
    amount=Decimal("3000.50"),
    actions=(Action(80, "actual", "notify"), Action(100, "actual", "suggest", "luna-mini")),
    per_request=RequestLimits(32_000, None, Decimal("1.25")),
    rollover=True,
    owner="Support",
)


def create(tenant, terms=CHAT, *, now=NOW, **values):
    """A budget of the tenant, made by person 7."""
    return create_budget(replace(terms, **values), tenant_id=tenant.id, actor="person 7", now=now)[0]
