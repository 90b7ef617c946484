"""What budgets have spent: as the ledger's sum, for one tenant and for all, in few statements."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from alerts.budgets import list_budgets_of_every_tenant, retire_budget
from alerts.core.budgets import Budget
from alerts.spending import find_budget_window, read_spending, read_windows_of_tenants
from billing.rollups import apply_batches
from tests.alerts.budgets import create
from tests.billing.ledger_rows import book_entries, make_entry
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def roll_up():
    while apply_batches(now=datetime.now(UTC)):
        pass


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_budget(tenant, number=1, **terms):
    return Budget(tenant_id=tenant.id, id=number, **{"name": "B", "window": "month", "amount": Decimal(100)} | terms)


def spend(tenant, budget):
    return read_spending(tenant_id=tenant.id, budgets=[budget], now=NOW)[budget.id].spent


def test_a_scope_counts_what_has_all_of_its_values_rolled_up_or_not():
    acme = make_tenant("acme")
    book_entries(acme, make_entry(time=at("2026-11-03T10:00"), cost="1", feature="chat", user_ref="ada"))
    roll_up()
    book_entries(
        acme,
        make_entry(time=at("2026-11-22T12:10"), cost="2", feature="chat", user_ref="bob", environment="staging"),
        make_entry(time=at("2026-11-22T11:10"), cost="4", feature="search", cost_center="r&d", model="luna-1"),
        make_entry(time=at("2026-11-22T11:10"), cost=None, feature="chat"),
        make_entry(time=at("2026-10-31T23:59"), cost="800", feature="chat", user_ref="ada"),
    )
    scopes = {
        "7": {},
        "3": {"feature": "chat"},
        "2": {"feature": "chat", "environment": "staging"},
        "1": {"feature": "chat", "user": "ada"},
        "4": {
            "cost_center": "r&d",
            "feature": "search",
            "model": "luna-1",
            "key": "testkey",
            "environment": "production",
        },
        "0": {"feature": "nothing"},
    }
    budgets = [make_budget(acme, number, scope=scope) for number, scope in enumerate(scopes.values())]
    found = read_spending(tenant_id=acme.id, budgets=budgets, now=NOW)
    assert [f"{found[budget.id].spent.normalize():f}" for budget in budgets] == list(scopes)


def test_each_window_counts_its_own_time():
    acme = make_tenant("acme", timezone="Europe/Berlin", fiscal_month=11)
    moments = {
        "1": "2026-11-22T12:10", "2": "2026-11-22T11:59", "4": "2026-11-21T22:59", "8": "2026-11-15T22:59",
        "16": "2026-10-31T23:00", "32": "2026-10-31T22:59",
    }  # fmt: skip
    book_entries(acme, *(make_entry(time=at(moment), cost=cost) for cost, moment in moments.items()))
    # The week from Monday the 16th; November, the quarter and the year from 1 November, each at midnight in Berlin.
    expected = {"hour": 1, "day": 3, "week": 7, "month": 31, "quarter": 31, "year": 31}
    assert {window: spend(acme, make_budget(acme, window=window)) for window in expected} == expected
    roll_up()
    assert {window: spend(acme, make_budget(acme, window=window)) for window in expected} == expected


def test_what_the_window_before_left_is_added_once():
    acme = make_tenant("acme")
    book_entries(acme, make_entry(time=at("2026-11-21T12:00"), cost="60"))
    book_entries(acme, make_entry(time=at("2026-11-22T12:00"), cost="5"))
    terms = {"window": "day", "rollover": True}
    found = read_spending(tenant_id=acme.id, budgets=[make_budget(acme, **terms)], now=NOW)[1]
    # Nothing was spent on the 20th, and of its 100 nothing is left on the 22nd.
    assert (found.limit, found.carried, found.spent) == (140, 40, 5)


def test_nothing_is_carried_from_before_the_budget_was_made():
    acme = make_tenant("acme")
    terms = {"window": "day", "rollover": True, "created_at": at("2026-11-22T08:00")}
    found = read_spending(tenant_id=acme.id, budgets=[make_budget(acme, **terms)], now=NOW)[1]
    assert (found.limit, found.carried) == (100, 0)


def test_everybodys_budgets_are_read_in_as_many_statements_as_there_are_kinds():
    tenants = [make_tenant(name) for name in ("acme", "globex")] + [make_tenant("veltra", timezone="Europe/Berlin")]
    for number, tenant in enumerate(tenants, 1):
        book_entries(tenant, make_entry(time=at("2026-11-22T12:10"), cost=str(number), feature="chat"))
        book_entries(tenant, make_entry(time=at("2026-11-22T12:10"), cost=str(10 * number), feature="search"))
    roll_up()
    budgets = [
        make_budget(tenant, number, window=window, scope=scope)
        for tenant in tenants
        for number, (window, scope) in enumerate(
            [("month", {}), ("month", {"feature": "chat"}), ("month", {"feature": "search"}), ("hour", {})]
        )
    ]
    directory = {tenant.id: tenant for tenant in tenants}
    windows = [find_budget_window(budget, NOW, tenant=directory[budget.tenant_id]) for budget in budgets]
    with CaptureQueriesContext(connections["reader"]) as asked:
        found = read_windows_of_tenants(windows, tenants=directory)
    assert [int(spending.spent) for spending in found] == [11, 1, 10, 11, 22, 2, 20, 22, 33, 3, 30, 33]
    # By zone the whole month and its features, and for all of them the hour.
    assert len(asked) == 5


def test_the_job_sees_the_budgets_of_every_tenant_and_none_that_is_retired():
    acme, globex = make_tenant("acme"), make_tenant("globex")
    ids = [create(tenant).id for tenant in (acme, globex)]
    gone = create(globex, name="Gone")
    retire_budget(tenant_id=globex.id, budget_id=gone.id, actor="person 7", now=NOW)
    assert [one.id for one in list_budgets_of_every_tenant() if one.tenant_id in (acme.id, globex.id)] == ids
