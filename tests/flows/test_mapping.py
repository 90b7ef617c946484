"""Calls without a cost centre get one by a rule: tried, booked, and told alike by every door, however the month stands.

An engineer posts four calls of 0.00475 USD: 200 tokens in at 2.50, 1,000 cached at 1.25, 300 out at 10.00 a million.
Two of them are of *chat* and name no cost centre, one of *mail* names none either, and one names *growth* itself.
"""

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from alerts.budgets import list_budgets
from alerts.spending import read_spending
from audit.bundles import stream_bundle
from audit.core.focus import PROVIDER, write_field
from audit.files import list_focus_rows
from audit.sealed_months import find_sealed_month
from audit.statements import get_statement, snapshot_scope
from billing.periods import close_month, compare_closed_periods, review_month
from billing.reratings import work_job
from billing.rollups import apply_batches, reconcile_rollups
from tests.api.conftest import Machine
from tests.audit.verifying import find_faults
from tests.dashboards.pages import sign_in
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.ledger.sealing import seal

NOW = datetime.now(UTC)
TODAY = NOW.date()
THIS_MONTH = TODAY.replace(day=1)
LAST_MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
TOMORROW = TODAY + timedelta(days=1)
CALL = Decimal("0.00475")
BEFORE = {"": 3 * CALL, "growth": CALL}
AFTER = {"": CALL, "growth": 3 * CALL}
RULE = {"terms": [{"dimension": "feature", "values": ["Chat"]}], "cost_center": "growth"}
OWN = {"actor": "person 7", "now": NOW}


@dataclass(frozen=True)
class Case:
    """When the calls were used, whether that month is closed before they are re-allocated, and where it is charged."""

    used_at: datetime
    closes: bool
    charged: date


MEANT = datetime(LAST_MONTH.year, LAST_MONTH.month, 14, 9, 30, tzinfo=UTC)
CASES = {
    "this month": Case(NOW - timedelta(seconds=5), closes=False, charged=THIS_MONTH),
    "last month, open": Case(MEANT, closes=False, charged=LAST_MONTH),
    "last month, closed": Case(MEANT, closes=True, charged=THIS_MONTH),
}


@pytest.fixture
def acme(committed_db):
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def finance(acme):
    return Machine(make_key(acme, "ingest,backfill,read,admin"))


def send(machine, path, body):
    answer = machine.post(path, json.dumps(body))
    assert answer.status_code in (200, 201, 202), answer.content
    return answer.json()


def post_calls(machine, used_at):
    time = used_at.isoformat().replace("+00:00", "Z")
    calls = [{"feature": "chat"}, {"feature": "chat"}, {"feature": "mail"}, {"feature": "x", "cost_center": "growth"}]
    sent = [make_wire_event(time=time, **call) for call in calls]
    assert send(machine, "/v1/events", sent)["accepted"] == 4
    return sent


def close(tenant, period):
    review_month(tenant_id=tenant.id, period=period, **OWN)
    close_month(tenant_id=tenant.id, period=period, **OWN)


def reallocate(machine):
    days = {"from": LAST_MONTH.isoformat(), "to": TOMORROW.isoformat()}
    job = send(machine, "/v1/re-allocations", days | {"reason": "The rule came late."})
    while work_job(job["id"], now=datetime.now(UTC)):
        pass
    return machine.get(f"/v1/re-allocations/{job['id']}").json()


# --- what each door says, by cost centre ---


def ask_api(machine):
    query = {"from": LAST_MONTH.isoformat(), "to": TOMORROW.isoformat(), "granularity": "total"}
    rows = machine.get("/v1/costs", query | {"group_by": "cost_center"}).json()["rows"]
    return {row["cost_center"]: Decimal(row["billed_cost"]) for row in rows}


def ask_showback(client):
    path = f"/showback/file?by=cost_center&environment=all&from={LAST_MONTH}&to={TODAY}"
    rows = csv.DictReader(io.StringIO(client.get(path).content.decode()))
    costs = {row["cost_center"]: Decimal(row["cost"]) for row in rows}
    assert costs.pop("Total") == sum(costs.values())
    return {"" if name == "Unallocated" else name: cost for name, cost in costs.items()}


def ask_focus(tenant, period):
    """The cost of a month's FOCUS rows by sub-account."""
    sums = {}
    with snapshot_scope(tenant.id):
        for row in list_focus_rows(tenant=tenant, period=period, view=PROVIDER):
            name = write_field(row["SubAccountId"]).replace("unallocated", "")
            sums[name] = sums.get(name, Decimal(0)) + row["BilledCost"]
    return {name: cost for name, cost in sums.items() if cost}


def ask_statement(tenant, period):
    return get_statement(tenant=tenant, period=period, now=NOW).amount


def ask_budget(tenant):
    (budget,) = list_budgets(tenant_id=tenant.id)
    return read_spending(tenant_id=tenant.id, budgets=[budget], now=datetime.now(UTC))[budget.id].spent


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_door_says_the_same_before_and_after_a_rule_came_late(acme, finance, case, tmp_path):
    owner = sign_in(acme, role="owner")
    terms = {"name": "growth", "scope": {"cost_center": "growth"}, "window": "month", "amount": "5.00"}
    send(finance, "/v1/budgets", terms)
    sent = post_calls(finance, case.used_at)
    apply_batches(now=NOW)
    used_in = case.used_at.date().replace(day=1)
    is_this_month = used_in == THIS_MONTH
    assert ask_api(finance) == ask_showback(owner) == ask_focus(acme, used_in) == BEFORE
    assert ask_statement(acme, used_in) == 4 * CALL
    assert ask_budget(acme) == (CALL if is_this_month else 0)
    if case.closes:
        close(acme, LAST_MONTH)

    send(finance, "/v1/cost-centers", {"code": "growth", "name": "Growth", "gl_account": "6420"})
    days = {"from": LAST_MONTH.isoformat(), "to": TOMORROW.isoformat()}
    tried = send(finance, "/v1/mapping-rules/try", {"rule": RULE, **days})
    send(finance, "/v1/mapping-rules", RULE)
    job = reallocate(finance)
    assert (tried["rules"][0]["calls"], tried["left_total"]["calls"]) == (job["calls_moved"], 1) == (2, 1)
    assert Decimal(tried["rules"][0]["billed_cost"]) == Decimal(job["billed_cost_moved"]) == 2 * CALL

    assert ask_api(finance) == AFTER, "with what waits to be rolled up"
    apply_batches(now=datetime.now(UTC))
    assert ask_api(finance) == ask_showback(owner) == AFTER
    if case.closes:
        assert ask_focus(acme, LAST_MONTH) == BEFORE
        assert ask_focus(acme, THIS_MONTH) == {"": -2 * CALL, "growth": 2 * CALL}
        assert (ask_statement(acme, LAST_MONTH), ask_statement(acme, THIS_MONTH)) == (4 * CALL, 0)
    else:
        assert ask_focus(acme, used_in) == AFTER
        assert ask_statement(acme, used_in) == 4 * CALL
    assert ask_budget(acme) == (3 * CALL if is_this_month else 0)
    assert compare_closed_periods(tenant_id=acme.id) == []
    assert reconcile_rollups(tenant_id=acme.id, now=datetime.now(UTC)).count == 0

    again = send(finance, "/v1/events", sent)
    assert (again["duplicates"], again["conflicts"]) == (4, 0)
    assert reallocate(finance)["calls_moved"] == 0
    seal(at_once=True)
    month = find_sealed_month(tenant=acme, period=case.charged, now=datetime.now(UTC))
    assert find_faults(tmp_path, b"".join(stream_bundle(month))) == []
