"""/v1/periods and /v1/adjustments: the steps of a month by operators' keys, and what is told of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tenants.selectors import get_tenant
from tests.api.conftest import Machine
from tests.factories import make_event, make_key

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
THIS_MONTH = f"{NOW:%Y-%m}"
LAST = NOW.replace(day=1) - timedelta(days=1)
LAST_MONTH = f"{LAST:%Y-%m}"


@pytest.fixture
def ann(acme):
    return Machine(make_key(get_tenant("operator"), "admin,read"), **{"X-Tenant": acme.slug})


@pytest.fixture
def bob(acme):
    return Machine(make_key(get_tenant("operator"), "admin,read"), **{"X-Tenant": acme.slug})


def take(machine, step, *, period=LAST_MONTH, **said):
    return machine.post(f"/v1/periods/{period}/{step}", json.dumps(said) if said else b"")


def read(answer, status=200):
    assert answer.status_code == status, answer.content
    return answer.json()


def test_a_month_is_closed_by_two_calls_and_tells_what_stands_in_it(acme, ann, machine, book):
    book(acme, make_event(time=LAST, cost_center="retail"))
    assert read(take(ann, "review"))["state"] == "in_review"
    closed = read(take(ann, "close", reason="all bills are in"))
    assert (closed["period"], closed["state"]) == (LAST_MONTH, "closed")
    reviewed, step = closed["steps"]
    assert (reviewed["step"], reviewed["totals"]) == ("reviewed", None)
    assert (step["step"], step["reason"]) == ("closed", "all bills are in")
    cost = {"billed_cost": "0.004750000000", "list_cost": "0.004750000000"}
    assert step["totals"]["by_cost_center"] == {"retail": {"entries": 1, "calls": 1, "unpriced_calls": 0, **cost}}
    assert read(machine.get("/v1/periods"))["periods"] == [closed]
    (act,) = read(Machine(make_key(acme, "audit")).get("/v1/audit/log", {"name": "period.closed"}))["acts"]
    assert act["facts"]["totals_sha256"] == step["totals"]["sha256"]


def test_an_event_of_a_closed_month_is_charged_in_this_one(acme, ann, machine, book):
    take(ann, "review")
    take(ann, "close")
    book(acme, make_event(time=LAST))
    (entry,) = read(machine.get("/v1/entries", {"kind": "usage"}))["entries"]
    assert entry["charge_period_start"].startswith(LAST_MONTH)
    assert entry["billing_period"] == f"{THIS_MONTH}-01"


def test_a_month_is_reopened_by_two_keys(ann, bob, settings):
    settings.RATES_FOUR_EYES = True
    take(ann, "review")
    take(ann, "close")
    asked = read(take(ann, "reopen", reason="a bill came late"))
    assert asked["state"] == "closed" and asked["reopen_asked_by"].startswith("key ")
    refused = read(take(ann, "approve"), 409)
    assert (refused["code"], refused["reason"]) == ("period_refused", "period_needs_another")
    assert refused["detail"] == "Somebody else than who asked reopens a month."
    opened = read(take(bob, "approve"))
    assert (opened["state"], opened["reopen_asked_by"]) == ("open", "")
    assert opened["steps"][-1]["reason"] == "a bill came late"


def test_who_comes_second_is_told_who_was_first(ann, bob):
    take(ann, "review")
    take(ann, "close")
    refused = read(take(bob, "close"), 409)
    assert refused["code"] == "period_refused"
    assert "is closed since" in refused["detail"] and "by key " in refused["detail"]


@pytest.mark.parametrize(
    ("period", "step", "said", "status", "code"),
    [
        (LAST_MONTH, "shut", {}, 404, "path_unknown"),
        ("2026-13", "review", {}, 404, "path_unknown"),
        ("2150-01", "review", {}, 404, "path_unknown"),
        (THIS_MONTH, "review", {}, 409, "period_refused"),
        (LAST_MONTH, "close", {}, 409, "period_refused"),
        (LAST_MONTH, "review", {"reason": 7}, 422, "period_step_invalid"),
        (LAST_MONTH, "review", {"comment": "x"}, 422, "period_step_invalid"),
        (LAST_MONTH, "review", {"reason": "x" * 501}, 422, "period_step_invalid"),
    ],
)
def test_what_is_wrong_with_a_step_is_told(ann, period, step, said, status, code):
    assert read(take(ann, step, period=period, **said), status)["code"] == code


def test_reopening_without_a_reason_is_refused(ann):
    take(ann, "review")
    take(ann, "close")
    assert read(take(ann, "reopen"), 422)["code"] == "period_step_invalid"


def test_a_tenants_own_key_closes_nothing_and_credits_nothing(acme):
    own = Machine(make_key(acme, "admin,read"))
    assert read(take(own, "review"), 403)["code"] == "operators_only"
    assert read(own.post("/v1/adjustments", "{}"), 403)["code"] == "operators_only"


# --- amounts ---


CREDIT = {"id": "dispute-7", "kind": "credit", "amount": "-12.50", "reason": "the provider failed twice"}


def test_a_credit_is_booked_once(acme, ann, machine):
    booked = read(ann.post("/v1/adjustments", json.dumps(CREDIT | {"cost_center": "retail"})))
    assert booked["billing_period"] == THIS_MONTH
    assert read(ann.post("/v1/adjustments", json.dumps(CREDIT | {"cost_center": "retail"}))) == booked
    entry = read(machine.get(f"/v1/entries/{booked['entry_id']}"))["entry"]
    assert (entry["kind"], entry["billed_cost"], entry["cost_center"]) == ("credit", "-12.500000000000", "retail")
    other = read(ann.post("/v1/adjustments", json.dumps(CREDIT | {"amount": "-1"})), 409)
    assert other["code"] == "adjustment_conflict"


def test_an_adjustment_of_a_closed_month_is_charged_in_this_one(ann):
    take(ann, "review")
    take(ann, "close")
    bill = {"id": "bill", "kind": "adjustment", "amount": "0.000000000001", "reason": "as billed"}
    booked = read(ann.post("/v1/adjustments", json.dumps(bill | {"time": f"{LAST_MONTH}-03T00:00:00Z"})))
    assert booked["billing_period"] == THIS_MONTH


def test_everything_wrong_with_an_amount_is_told_at_once(ann):
    wrong = {"kind": 7, "amount": 12.5, "reason": "x", "time": "yesterday", "colour": "red"}
    refused = read(ann.post("/v1/adjustments", json.dumps(wrong)), 422)
    assert refused["code"] == "adjustment_invalid"
    assert [problem["field"] for problem in refused["problems"]] == ["id", "colour", "kind", "amount", "time"]


@pytest.mark.parametrize("amount", ["", "-", "1.", "1e3", "1234567890123", "0.0000000000001", "+1", " 1", "٣", "1.٣"])
def test_an_amount_is_plain_digits(ann, amount):
    assert read(ann.post("/v1/adjustments", json.dumps(CREDIT | {"amount": amount})), 422)["problems"]


def test_a_credit_corrects_an_entry_that_there_is(ann):
    refused = read(ann.post("/v1/adjustments", json.dumps(CREDIT | {"corrects": "no-entry"})), 404)
    assert refused["code"] == "entry_unknown"
