"""/v1/quota over HTTP: what is asked, what is answered, and what an event that names a reservation lets go of."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import redis

from alerts import quota
from alerts.budgets import create_budget
from alerts.core.budget_terms import read_terms
from alerts.counters import get_counters, name_keys
from alerts.decisions import fold_decisions
from billing.ingestion import RejectedItem, ingest_events
from tenants.keys import revoke_api_key
from tests.api.conftest import Machine
from tests.api.exporting import send
from tests.dashboards.pages import sign_in
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.spans import make_span

pytestmark = pytest.mark.usefixtures("committed_db")

CALL = {"provider": "openai", "model": "gpt-4o-2024-08-06", "feature": "summarizer"}
DENY = [{"at_percent": 100, "do": "deny"}]


@pytest.fixture(autouse=True)
def fresh_process(committed_db):
    publish_test_rates()
    quota._reads.clear()
    get_counters.cache_clear()
    yield
    get_counters.cache_clear()


@pytest.fixture
def acme():
    return make_tenant("acme")


@pytest.fixture
def asker(acme):
    return Machine(make_key(acme, "quota,ingest,read"))


@pytest.fixture
def server(redis_server):
    return redis.Redis.from_url(redis_server)


def add_budget(tenant, amount="1.00", *, name="all", actions=DENY, **fields):
    document = {"name": name, "window": "month", "amount": amount, "actions": actions} | fields
    budget, _ = create_budget(read_terms(document), tenant_id=tenant.id, actor="key test", now=datetime.now(UTC))
    return budget


def ask(machine, **fields):
    return machine.post("/v1/quota/check", json.dumps(CALL | fields))


def reserve(machine, cost="0.10"):
    answer = ask(machine, estimated_cost=cost, reserve=True)
    assert answer.status_code == 200, answer.content
    return answer.json()["reservation_id"]


def read_settled(server, tenant):
    """The reservations that the next refresh lets go of."""
    return {one.decode() for one in server.smembers(name_keys(tenant.id, "settled")[0])}


@pytest.fixture
def no_refresh(monkeypatch):
    """Standings that are held for fresh, so that what was settled stands until it is read."""
    monkeypatch.setattr(quota, "FRESH_SECONDS", 3600)
    monkeypatch.setattr(quota, "RENEWED_SECONDS", 3600)


def test_an_answer_says_who_decided_what_is_left_and_what_is_held(acme, asker):
    budget = add_budget(acme)
    answer = ask(asker, estimated_input_tokens=1000, max_output_tokens=500, reserve=True).json()
    held_until = datetime.fromisoformat(answer.pop("held_until"))
    assert timedelta(seconds=100) < held_until - datetime.now(UTC) < timedelta(seconds=125)
    assert len(answer.pop("reservation_id")) == 32
    assert answer.pop("budget") | {"window_start": 0, "window_end": 0} == {
        "id": budget.id, "name": "all", "window": "month", "window_start": 0, "window_end": 0,
    }  # fmt: skip
    assert answer == {
        "decision": "allow",
        "limit": "1.000000000000",
        "spent": "0.000000000000",
        "held": "0.000000000000",
        "remaining": "1.000000000000",
        "estimated_cost": "0.007500000000",
        "estimate_missing": None,
        "unchecked_limits": [],
        "retry_after_seconds": None,
        "suggested_model": None,
        "currency": "USD",
        "counters": "redis",
    }


def test_a_denial_is_a_429_that_says_when_to_ask_again(acme, asker):
    add_budget(acme, "0.05")
    answer = ask(asker, estimated_cost="0.06", reserve=True)
    document = answer.json()
    assert (answer.status_code, answer["Content-Type"], document["code"]) == (
        429, "application/problem+json", "quota_denied",
    )  # fmt: skip
    assert int(answer["Retry-After"]) == document["retry_after_seconds"] > 0
    assert (document["decision"], document["reservation_id"]) == ("deny", None)
    assert document["detail"] == "The budget “all” has used 0.00 of 0.05 USD; the call may cost 0.06."
    assert document["remaining"] == "0.050000000000"


def test_a_call_that_no_window_would_take_is_denied_without_a_time(acme, asker):
    add_budget(acme, per_request={"output_tokens": 100})
    answer = ask(asker, max_output_tokens=101)
    assert (answer.status_code, answer.has_header("Retry-After")) == (429, False)
    assert answer.json()["detail"] == "The budget “all”: 101 output tokens, where one call may have 100."


def test_everything_wrong_with_a_check_is_told_at_once(asker):
    answer = asker.post("/v1/quota/check", json.dumps({
        "model": "", "feature": 7, "estimated_cost": 0.5, "max_output_tokens": -1, "reserve": "yes", "tokens": 1,
        "hold_seconds": 3601, "request_id": "x" * 129, "user": None,
    }))  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "quota_invalid")
    assert [(problem["field"], problem["code"]) for problem in answer.json()["problems"]] == [
        ("provider", "missing_field"),
        ("model", "missing_field"),
        ("feature", "wrong_type"),
        ("estimated_cost", "wrong_type"),
        ("max_output_tokens", "out_of_range"),
        ("reserve", "wrong_type"),
        ("tokens", "unknown_field"),
        ("hold_seconds", "out_of_range"),
        ("request_id", "too_long"),
        ("user", "wrong_type"),
    ]


@pytest.mark.parametrize(("body", "code"), [
    ("", "body_empty"),
    ("[]", "quota_invalid"),
    ("{", "quota_invalid"),
    ('{"provider": "a", "provider": "b", "model": "m"}', "quota_invalid"),
    ('{"provider": "a\\u0000", "model": "m"}', "quota_invalid"),
    ('{"provider": "a", "model": "m", "estimated_cost": "NaN"}', "quota_invalid"),
    ('{"provider": "a", "model": "m", "estimated_cost": "1000000.01"}', "quota_invalid"),
])  # fmt: skip
def test_a_body_that_is_no_check_is_refused(asker, body, code):
    assert asker.post("/v1/quota/check", body).json()["code"] == code


def test_a_key_without_the_scope_asks_nothing(acme):
    assert ask(Machine(make_key(acme, "ingest,read"))).json()["code"] == "scope_missing"


def test_the_budget_of_a_key_is_that_of_the_key_that_sends_the_event(acme):
    sender, asking = make_key(acme, "ingest"), make_key(acme, "quota")
    add_budget(acme, "0.05", scope={"key": sender.split("_")[1]})
    machine = Machine(asking)
    assert ask(machine, estimated_cost="1").status_code == 200
    assert ask(machine, estimated_cost="1", key=sender.split("_")[1]).status_code == 429


def test_asking_again_under_the_same_id_answers_the_same_reservation(acme, asker):
    add_budget(acme)
    fields = {"estimated_cost": "0.10", "reserve": True, "request_id": "r-1"}
    assert ask(asker, **fields).json() == ask(asker, **fields).json()


def test_an_event_or_its_duplicate_lets_go_of_what_was_held_and_a_refused_one_does_not(
    acme, asker, server, no_refresh
):  # fmt: skip
    add_budget(acme)
    first, second, third, fourth = (reserve(asker) for _ in range(4))
    event = make_wire_event(reservation_id=first)
    refused = make_wire_event(reservation_id=second, usage={"tokens": 1})
    stranger = Machine(make_key(make_tenant("globex"), "ingest"))
    assert stranger.post("/v1/events", json.dumps(make_wire_event(reservation_id=fourth))).json()["accepted"] == 1
    assert asker.post("/v1/events", json.dumps([event, refused])).json()["accepted"] == 1
    assert read_settled(server, acme) == {first}
    again = asker.post("/v1/events", json.dumps(event | {"reservation_id": third})).json()
    assert again["duplicates"] == 1  # what holds it is nothing that makes an event another one
    assert read_settled(server, acme) == {first, third}
    conflict = asker.post("/v1/events", json.dumps(event | {"reservation_id": second, "feature": "other"})).json()
    assert (conflict["conflicts"], read_settled(server, acme)) == (1, {first, third})


def test_an_event_names_its_reservation_as_a_text(asker):
    for wrong in (7, None, "x" * 257):
        answer = asker.post("/v1/events", json.dumps(make_wire_event(reservation_id=wrong))).json()
        assert answer["results"][0]["problems"][0]["field"] == "reservation_id"
    assert asker.post("/v1/events", json.dumps(make_wire_event(reservation_id=""))).json()["accepted"] == 1


def test_the_ledger_keeps_nothing_of_a_reservation(acme, asker, reader):
    add_budget(acme)
    held = reserve(asker)
    assert asker.post("/v1/events", json.dumps(make_wire_event(reservation_id=held))).json()["accepted"] == 1
    row = "SELECT count(*) FROM ledger_entry WHERE tenant_id = %s AND strpos(ledger_entry::text, %s) > 0"
    assert reader.execute(row, [acme.id, held]).fetchone() == (0,)


def test_a_replayed_event_lets_go_of_what_was_held(acme, asker, server, no_refresh):
    add_budget(acme)
    held = reserve(asker)
    refused = make_wire_event(reservation_id=held, usage={"tokens": 1})
    asker.post("/v1/events", json.dumps(refused))
    [kept] = asker.get("/v1/rejected").json()["rejected"]
    corrected = json.dumps(refused | {"usage": {"input_tokens": 1, "output_tokens": 1}})
    assert asker.post(f"/v1/rejected/{kept['id']}/replay", corrected).json()["status"] == "accepted"
    assert read_settled(server, acme) == {held}


def test_an_event_that_is_booked_on_its_page_lets_go_of_what_was_held(acme, asker, server, no_refresh):
    add_budget(acme)
    held = [reserve(asker) for _ in range(3)]
    wrong, right = {"tokens": 1}, {"input_tokens": 1, "output_tokens": 1}
    one, early, never = (make_wire_event(reservation_id=held[i], usage=[wrong, right, wrong][i]) for i in range(3))
    waiting = [RejectedItem(i, e["id"], "time_out_of_window", "", json.dumps(e)) for i, e in enumerate((early, never))]
    ingest_events(tenant_id=acme.id, api_key_id="testkey1", events=[], rejected=waiting, now=datetime.now(UTC))
    asker.post("/v1/events", json.dumps(one))
    page = f"/rejected/{asker.get('/v1/rejected').json()['rejected'][0]['id']}"
    person = sign_in(acme, role="owner")
    assert person.post(page, {"act": "check", "text": json.dumps(one | {"usage": right})}).status_code == 200
    assert read_settled(server, acme) == set()
    assert person.post(page, {"act": "book", "text": json.dumps(one | {"usage": right})}).status_code == 302
    assert read_settled(server, acme) == {held[0]}
    assert person.post("/rejected?code=time_out_of_window", {"act": "replay"}).status_code == 302
    assert read_settled(server, acme) == {held[0], held[1]}  # the third is still refused


def test_a_span_lets_go_of_what_was_held(acme, server, no_refresh):
    add_budget(acme)
    token = make_key(acme, "quota,ingest")
    held = reserve(Machine(token))
    attributes = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": CALL["model"],
        "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "tokenledger.reservation_id": held,
    }  # fmt: skip
    assert send(token, make_span(attributes=attributes)).rejected_spans == 0
    assert read_settled(server, acme) == {held}


def test_decisions_are_listed_by_hour_and_budget_and_to_nobody_else(acme, asker):
    budget = add_budget(acme, "0.15")
    assert [ask(asker, estimated_cost="0.10", reserve=True).status_code for _ in range(3)] == [200, 429, 429]
    now = datetime.now(UTC)
    fold_decisions(now=now)
    period = {"from": (now - timedelta(hours=2)).isoformat(), "to": (now + timedelta(hours=2)).isoformat()}
    [row] = asker.get("/v1/quota/decisions", period).json()["decisions"]
    assert row.pop("hour").endswith(":00:00.000000Z")
    assert row == {
        "budget": budget.id, "allow_checks": 1, "warn_checks": 0, "throttle_checks": 0, "deny_checks": 2,
    }  # fmt: skip
    stranger = Machine(make_key(make_tenant("globex"), "read"))
    assert stranger.get("/v1/quota/decisions", period | {"budget": budget.id}).json() == {"decisions": []}
    backwards = {"from": period["to"], "to": period["from"]}
    assert asker.get("/v1/quota/decisions", backwards).json()["code"] == "query_invalid"


def test_a_revoked_key_is_refused_within_a_second(acme, asker):
    token = make_key(acme, "quota")
    assert ask(Machine(token)).status_code == 200
    revoke_api_key(tenant_id=acme.id, key_id=token.split("_")[1], now=datetime.now(UTC))
    time.sleep(1)
    assert ask(Machine(token)).json()["code"] == "key_invalid"


def test_two_processes_let_through_no_more_than_fit_and_see_what_was_spent(acme, live_server_url):
    add_budget(acme, "1.00")
    token = make_key(acme, "quota,ingest")
    where = urlsplit(live_server_url).netloc

    def call(number):
        connection = HTTPConnection(where, timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = json.dumps(CALL | {"estimated_cost": "0.03", "reserve": True})
        connection.request("POST", "/v1/quota/check", body, headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        if answer.status == 200:  # 0.02 in truth: 2,000 output tokens of 10 USD a million
            usage = {"input_tokens": 0, "output_tokens": 2000}
            event = make_wire_event(reservation_id=document["reservation_id"], usage=usage)
            connection.request("POST", "/v1/events", json.dumps(event), headers)
            assert connection.getresponse().status == 200
        connection.close()
        return answer.status

    with ThreadPoolExecutor(32) as pool:
        passed = list(pool.map(call, range(100))).count(200)
    # 33 fit as held and 50 as spent; for a moment a call counts as both, and then 20 fit.
    assert 20 <= passed <= 50
    time.sleep(2.5)  # until both processes have read what was spent and let go of what was held
    call(0)
    time.sleep(2.5)
    machine = Machine(token)
    answer = ask(machine, estimated_cost="0.01").json()
    assert (Decimal(answer["spent"]), Decimal(answer["held"])) == ((passed + 1) * Decimal("0.02"), 0)
