"""Budgets made, changed and retired: each once, each an act of the tenant's ledger, and nobody else's business."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from alerts.budgets import (
    BudgetUnknown,
    change_budget,
    create_budget,
    get_budget,
    list_budgets,
    retire_budget,
)
from alerts.core.budgets import BudgetRefused
from ledger.models import LedgerEntry
from tenants.scope import tenant_scope
from tests.alerts.budgets import CHAT, create
from tests.factories import NOW, make_tenant

pytestmark = pytest.mark.usefixtures("db")


def list_acts(tenant):
    with tenant_scope(tenant.id):
        rows = LedgerEntry.objects.filter(tenant_id=tenant.id, kind="admin_act").order_by("batch_id")
        return [(row.operation, row.tags) for row in rows]


def refuse(action, *arguments, **values):
    with pytest.raises(BudgetRefused) as refused:
        action(*arguments, **values)
    return [(problem.field, problem.code) for problem in refused.value.problems]


def test_a_budget_is_kept_as_it_was_written():
    acme = make_tenant("acme")
    budget = create(acme)
    assert get_budget(tenant_id=acme.id, budget_id=budget.id) == budget
    assert {name: getattr(budget, name) for name in CHAT.__dataclass_fields__} == {
        name: getattr(CHAT, name) for name in CHAT.__dataclass_fields__
    }
    assert (budget.tenant_id, budget.created_by, budget.created_at) == (acme.id, "person 7", NOW)


def test_the_same_terms_again_are_the_same_budget():
    acme = make_tenant("acme")
    first, is_new = create_budget(CHAT, tenant_id=acme.id, actor="key a", now=NOW)
    again, is_new_again = create_budget(
        replace(CHAT, amount=Decimal("3000.500")), tenant_id=acme.id, actor="key a", now=NOW
    )
    assert (is_new, is_new_again) == (True, False)
    assert again == first
    assert [name for name, _ in list_acts(acme)] == ["budget.created"]


def test_a_name_is_taken_until_its_budget_is_retired():
    acme = make_tenant("acme")
    budget = create(acme)
    assert refuse(create, acme, amount=Decimal(5)) == [("name", "taken")]
    retire_budget(tenant_id=acme.id, budget_id=budget.id, actor="person 7", now=NOW)
    assert create(acme, amount=Decimal(5)).id != budget.id


def test_each_step_is_an_act_of_the_ledger():
    acme = make_tenant("acme")
    budget = create(acme)
    later = NOW + timedelta(minutes=1)
    values = {"tenant_id": acme.id, "budget_id": budget.id, "actor": "person 8", "now": later}
    changed = change_budget(replace(CHAT, amount=Decimal(4000)), **values)
    assert (changed.amount, changed.created_at, changed.changed_at) == (Decimal(4000), NOW, later)
    change_budget(replace(CHAT, amount=Decimal("4000.00")), **values)  # nothing new
    retire_budget(**values)
    acts = list_acts(acme)
    assert [name for name, _ in acts] == ["budget.created", "budget.changed", "budget.retired"]
    assert [tags["actor"] for _, tags in acts] == ["person 7", "person 8", "person 8"]
    assert json.loads(acts[1][1]["terms_before"])["amount"] == "3000.50"
    assert json.loads(acts[1][1]["terms"])["amount"] == "4000.00"


def test_a_retired_budget_is_told_only_to_who_asks_for_it():
    acme = make_tenant("acme")
    budget = create(acme)
    retire_budget(tenant_id=acme.id, budget_id=budget.id, actor="person 7", now=NOW)
    assert list_budgets(tenant_id=acme.id) == []
    assert [one.retired_at for one in list_budgets(tenant_id=acme.id, with_retired=True)] == [NOW]
    with pytest.raises(BudgetUnknown):
        get_budget(tenant_id=acme.id, budget_id=budget.id)
    assert get_budget(tenant_id=acme.id, budget_id=budget.id, with_retired=True).name == "Chat"


def test_a_parent_holds_its_children_and_is_not_retired_over_them():
    acme = make_tenant("acme")
    parent = create(acme, name="All", scope={})
    child = create(acme, parent_id=parent.id)
    assert refuse(create, acme, name="Lost", parent_id=parent.id + 10**9) == [("parent", "unknown_parent")]
    step = {"tenant_id": acme.id, "budget_id": parent.id, "actor": "person 7", "now": NOW}
    assert refuse(change_budget, replace(CHAT, name="All", scope={}, parent_id=child.id), **step) == [
        ("parent", "circular")
    ]
    assert refuse(retire_budget, **step) == [("parent", "has_children")]


def test_channels_are_the_tenants_own():
    assert refuse(create, make_tenant("acme"), channel_ids=(10**12,)) == [("channels", "unknown_channel")]


def test_users_are_not_counted_by_days_whose_hours_are_not_those_of_utc():
    acme = make_tenant("acme", timezone="Asia/Kolkata")
    assert refuse(create, acme, scope={"user": "ada"}) == [("scope.user", "wrong_value")]
    assert create(acme, scope={"user": "ada"}, window="hour").window == "hour"


def test_another_tenants_budgets_are_not_there():
    acme, globex = make_tenant("acme"), make_tenant("globex")
    budget = create(acme)
    assert list_budgets(tenant_id=globex.id) == []
    for ask in (get_budget, retire_budget):
        step = {} if ask is get_budget else {"actor": "person 9", "now": NOW}
        with pytest.raises(BudgetUnknown):
            ask(tenant_id=globex.id, budget_id=budget.id, **step)
    assert refuse(create, globex, name="Below", parent_id=budget.id) == [("parent", "unknown_parent")]
    assert create(globex).id != budget.id  # a name is a tenant's own
