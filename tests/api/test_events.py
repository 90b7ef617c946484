"""POST /v1/events: one verdict an item, and no bad item costs a good one its booking."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from tenants.keys import revoke_api_key
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.rows import read

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def rates():
    publish_test_rates()


@pytest.fixture
def acme():
    return make_tenant("acme")


@pytest.fixture
def key(acme):
    return make_key(acme, "ingest")


def post(key, body, *, content_type="application/json", query="", **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return Client().post(
        f"/v1/events{query}", body, content_type=content_type, HTTP_AUTHORIZATION=f"Bearer {key}", **headers
    )


def test_one_event_is_booked_and_receipted(acme, key):
    answer = post(key, make_wire_event())
    assert answer.status_code == 200
    receipt = answer.json()
    assert {name: receipt[name] for name in ("accepted", "duplicates", "conflicts", "rejected", "unpriced")} == {
        "accepted": 1, "duplicates": 0, "conflicts": 0, "rejected": 0, "unpriced": 0,
    }  # fmt: skip
    assert receipt["results"] == []
    assert read(acme, "SELECT batch_id::text, receipt FROM ledger_batch") == [(receipt["batch_id"], receipt["receipt"])]
    assert read(acme, "SELECT billed_cost FROM ledger_entry") == [(Decimal("0.004750000000"),)]


def test_ndjson_gzip_and_cloudevents_are_the_same_events(acme, key):
    events = [make_wire_event() for _ in range(6)]
    lines = b"\n".join(json.dumps(event).encode() for event in events[:2]) + b"\n"
    assert post(key, lines, content_type="application/x-ndjson").json()["accepted"] == 2
    packed = gzip.compress(json.dumps(events[2:3]).encode())
    assert post(key, packed, **{"content-encoding": "gzip"}).json()["accepted"] == 1

    def wrap(event):
        data = {name: value for name, value in event.items() if name not in ("id", "source", "time")}
        envelope = {name: event[name] for name in ("id", "source", "time")}
        return {"specversion": "1.0", "type": "llm.usage", "data": data, **envelope}

    single, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
    assert post(key, wrap(events[3]), content_type=single).json()["accepted"] == 1
    assert post(key, [wrap(events[4]), wrap(events[5])], content_type=batch).json()["accepted"] == 2
    again = post(key, events).json()
    assert (again["accepted"], again["duplicates"]) == (0, 6)


def test_results_lists_what_was_not_newly_accepted_and_everything_when_asked(key):
    known = make_wire_event()
    first = post(key, known).json()
    bad = make_wire_event(usage={"input_tokens": 100, "cache_read_tokens": 900})
    new = make_wire_event()
    answer = post(key, [new, known, bad])
    assert answer.status_code == 207
    duplicate, invalid = answer.json()["results"]
    assert duplicate == {
        "index": 1, "id": known["id"], "status": "duplicate", "batch_id": first["batch_id"],
        "entry_id": f"{first['batch_id']}.0",
    }  # fmt: skip
    assert (invalid["index"], invalid["status"], invalid["code"]) == (2, "invalid", "usage_inconsistent")
    assert "cache_read_tokens 900 exceed input_tokens 100" in invalid["detail"]
    everything = post(key, [new, known], query="?results=all").json()["results"]
    assert [item["status"] for item in everything] == ["duplicate", "duplicate"]


def test_what_is_booked_without_a_price_is_told_with_its_reason(key):
    events = [make_wire_event(model="our-llama"), make_wire_event(model="our-llama"), make_wire_event()]
    events.append(make_wire_event(usage={"input_tokens": 1, "sandbox_minutes": 2}))
    answer = post(key, events).json()
    assert (answer["accepted"], answer["unpriced"], answer["results"]) == (4, 3, [])
    assert answer["unpriced_reasons"] == {"no_rate_for_model": 2, "no_price_for_meter:sandbox_minutes": 1}
    assert "unpriced_reasons" not in post(key, make_wire_event()).json()


def test_a_conflict_speaks_of_what_was_sent_and_says_what_can_be_done(key):
    event = make_wire_event(time="2026-11-20T05:00:00Z")
    post(key, event)
    [conflict] = post(key, event | {"time": "2026-11-20T05:00:01Z"}).json()["results"]
    assert conflict["fields"] == ["time"]
    assert conflict["detail"] == (
        "was booked before with another time; what is booked is never changed by an event: "
        "if this is another call, give it another id"
    )


@pytest.mark.parametrize(
    ("sent", "field", "detail"),
    [
        ({"usage": {"prompt_tokens": 9}}, "usage.prompt_tokens", "write input_tokens, or send the provider's own"),
        ({"usage": {"total_tokens": 9}}, "usage.total_tokens", "write input_tokens and output_tokens, or send"),
        ({"usage": {"inputTokens": 9}}, "usage.inputTokens", "write input_tokens, or send the provider's own object"),
        ({"usage": {"inptu_tokens": 9}}, "usage.inptu_tokens", "did you mean input_tokens?"),
        ({"usage": {"input_tokens": 12.0}}, "usage.input_tokens", "whole: write 12, not 12.0"),
        ({"time": 1763780000}, "time", "write it as 2026-11-22T05:00:00.123456Z"),
    ],
)
def test_a_refusal_says_what_to_write(key, sent, field, detail):
    [problem] = post(key, make_wire_event(**sent)).json()["results"][0]["problems"]
    assert problem["field"] == field
    assert detail in problem["detail"]


def test_a_list_in_an_envelope_is_one_problem_with_its_cure(key):
    [problem] = post(key, {"events": [make_wire_event()]}).json()["results"][0]["problems"]
    assert problem == {
        "field": "events", "code": "unknown_field", "detail": "is no field of an event: send the list itself",
    }  # fmt: skip


def test_a_conflict_names_the_fields_that_differ(key):
    event = make_wire_event()
    post(key, event)
    answer = post(key, event | {"model": "gpt-5", "feature": "other"})
    assert answer.status_code == 207
    [conflict] = answer.json()["results"]
    assert (conflict["status"], conflict["code"], conflict["fields"]) == (
        "conflict", "event_conflict", ["model", "feature"],
    )  # fmt: skip


def test_atomic_books_all_or_nothing(acme, key):
    bad = make_wire_event(usage={})
    answer = post(key, [make_wire_event(), bad | {"colour": "red"}], query="?atomic=true")
    assert answer.status_code == 422
    assert answer.json()["code"] == "nothing_booked"
    assert answer.json()["results"][0]["problems"][0]["field"] == "colour"
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(0,)]
    assert post(key, [make_wire_event()], query="?atomic=true").json()["accepted"] == 1


TOO_DEEP = {"a": 1}
for _ in range(100):
    TOO_DEEP = {"a": TOO_DEEP}

BAD_EVENTS = [
    ({"id": 7}, "id", "wrong_type"),
    ({"id": ""}, "id", "missing_field"),
    ({"id": ...}, "id", "missing_field"),
    ({"model": None}, "model", "wrong_type"),
    ({"colour": "red"}, "colour", "unknown_field"),
    ({"feature": "x" * 257}, "feature", "too_long"),
    ({"feature": "a\x00b"}, "feature", "invalid_text"),
    ({"feature": "\ud800"}, "feature", "invalid_text"),
    ({"time": "1970-01-01T00:00:00Z"}, "time", "time_out_of_window"),
    ({"time": "2999-01-01T00:00:00Z"}, "time", "time_out_of_window"),
    ({"time": "2026-11-22T05:00:00"}, "time", "invalid_time"),
    ({"time": "2026-02-30T05:00:00Z"}, "time", "invalid_time"),
    ({"time": "yesterday"}, "time", "invalid_time"),
    ({"usage": {"input_tokens": 2**63}}, "usage.input_tokens", "out_of_range"),
    ({"usage": {"input_tokens": 10**400}}, "usage.input_tokens", "out_of_range"),
    ({"usage": {"input_tokens": -1}}, "usage.input_tokens", "out_of_range"),
    ({"usage": {"input_tokens": 1.5}}, "usage.input_tokens", "wrong_type"),
    ({"usage": {"input_tokens": True}}, "usage.input_tokens", "wrong_type"),
    ({"usage": {"input_tokens": "12"}}, "usage.input_tokens", "wrong_type"),
    ({"usage": {"Input Tokens": 1}}, "usage.Input Tokens", "unknown_field"),
    ({"usage": {"prompt_tokens": 9, "completion_tokens": 1}}, "usage.completion_tokens", "unknown_field"),
    ({"usage": {"inptu_tokens": 9}}, "usage.inptu_tokens", "unknown_field"),
    ({"usage": {"input_tokens": 1, "cache_read_tokens": 2}}, "usage", "usage_inconsistent"),
    ({"usage": {"output_tokens": 1, "reasoning_tokens": 2}}, "usage", "usage_inconsistent"),
    ({"usage": ...}, "usage", "missing_field"),
    ({"usage": [1]}, "usage", "wrong_type"),
    ({"usage": {"input_tokens": TOO_DEEP}}, "usage.input_tokens", "wrong_type"),
    ({"provider_usage": TOO_DEEP, "usage": ...}, "provider_usage", "too_deep"),
    ({"provider_usage": {"prompt_tokens": 1}}, "usage", "duplicate_field"),
    ({"provider_usage": {"colours": 1}, "usage": ...}, "provider_usage", "provider_usage_unknown"),
    ({"latency_ms": -1}, "latency_ms", "out_of_range"),
    ({"latency_ms": 2**63}, "latency_ms", "out_of_range"),
    ({"cache_hit": "yes"}, "cache_hit", "wrong_type"),
    ({"status": "fine"}, "status", "wrong_value"),
    ({"tags": {"plan": 1}}, "tags.plan", "wrong_type"),
    ({"tags": {str(number): "" for number in range(51)}}, "tags", "too_many"),
    ({"tags": {"tokenledger.mapping_rule": "7"}}, "tags.tokenledger.mapping_rule", "wrong_value"),
    ({"reported_cost": {"amount": "1", "currency": "EUR"}}, "reported_cost.currency", "currency_unsupported"),
    ({"reported_cost": {"amount": "NaN", "currency": "USD"}}, "reported_cost.amount", "wrong_type"),
    ({"tenant": "globex"}, "tenant", "tenant_forbidden"),
]


@pytest.mark.parametrize(("change", "field", "code"), BAD_EVENTS, ids=[f"{f}-{c}" for _, f, c in BAD_EVENTS])
def test_a_bad_event_is_named_and_costs_its_neighbours_nothing(acme, key, change, field, code):
    good = [make_wire_event(), make_wire_event()]
    answer = post(key, [good[0], make_wire_event(**change), good[1]])
    assert answer.status_code == 207, answer.content
    document = answer.json()
    assert (document["accepted"], document["rejected"]) == (2, 1)
    [item] = document["results"]
    assert (item["index"], item["status"], item["code"]) == (1, "invalid", code)
    assert field in [problem["field"] for problem in item["problems"]]
    assert read(acme, "SELECT code FROM rejected_event") == [(code,)]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"id": "a", "id": "b", %s}', "duplicate_field"),
        (b'{"usage": {"input_tokens": 1, "input_tokens": 2}, %s}', "duplicate_field"),
        (b'{"usage":{"input_tokens":1,"a":1,"a":2,"x":1.5,"y":1.5,"z":2.5},%s}', "duplicate_field"),
        (b'{"usage":{"a":1,"a":2,"u":1e3,"v":1e3,"w":1e3,"x":1e3,"y":1e3,"z":1e3},%s}', "duplicate_field"),
        (b'{"usage": {"input_tokens": NaN}, %s}', "malformed_json"),
        (b'{"usage": {"input_tokens": 1e400}, %s}', "wrong_type"),
        (b'{"id": "half', "malformed_json"),
        (b"[" * 2000 + b"]" * 2000, "too_deep"),
        (b'{"id": "\xff"}', "invalid_text"),
        (b"7", "wrong_type"),
    ],
)
def test_a_line_that_is_no_event_is_refused_alone(acme, key, raw, code):
    rest = json.dumps(make_wire_event(usage=...))[1:-1].encode()
    lines = b"\n".join([json.dumps(make_wire_event()).encode(), raw.replace(b"%s", rest)])
    answer = post(key, lines, content_type="application/x-ndjson")
    assert answer.status_code == 207, answer.content
    assert answer.json()["accepted"] == 1
    assert answer.json()["results"][0]["problems"][0]["code"] == code


@pytest.mark.parametrize(
    ("body", "options", "status", "code"),
    [
        (b"", {}, 400, "body_empty"),
        (b"[]", {}, 400, "body_empty"),
        (b'[{"id": "a"', {}, 400, "body_malformed"),
        (b"\xff\xfe", {}, 400, "body_malformed"),
        (b"[" * 100_000 + b"]" * 100_000, {}, 400, "body_malformed"),
        (b"{}", {"content_type": "text/csv"}, 415, "content_type_unknown"),
        (b"{}", {"content-encoding": "br"}, 415, "content_encoding_unknown"),
        (b"not gzip", {"content-encoding": "gzip"}, 400, "body_malformed"),
        (gzip.compress(b"[{}]", mtime=0)[:-9], {"content-encoding": "gzip"}, 400, "body_incomplete"),
        (gzip.compress(b" " * 80_000_000, mtime=0), {"content-encoding": "gzip"}, 413, "body_too_large"),
        (b" " * 8_000_001, {}, 413, "body_too_large"),
        (b" " * 10_000_000, {}, 413, "body_too_large"),
        (b"[" + b"{}," * 5000 + b"{}]", {}, 413, "too_many_events"),
        (b"{}", {"query": "?atomc=true"}, 422, "query_invalid"),
        (b"{}", {"query": "?atomic=maybe"}, 422, "query_invalid"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_whole(key, body, options, status, code):
    answer = post(key, body, **options)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_old_events_need_the_backfill_scope(acme, key):
    old = make_wire_event(time=(datetime.now(UTC) - timedelta(days=401)).isoformat())
    assert post(key, old).json()["results"][0]["code"] == "time_out_of_window"
    assert post(make_key(acme, "ingest,backfill"), old).json()["accepted"] == 1


def test_times_in_any_zone_are_the_same_moment_to_the_microsecond(acme, key):
    moment = datetime.now(UTC).replace(microsecond=123456)
    east = moment.astimezone(tz=None).isoformat()
    event = make_wire_event(time=moment.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"))
    post(key, event)
    assert post(key, event | {"time": east}).json()["duplicates"] == 1
    assert read(acme, "SELECT charge_period_start FROM ledger_entry") == [(moment,)]


def test_a_revoked_key_is_refused_by_the_next_request(acme, key):
    assert post(key, make_wire_event()).status_code == 200
    revoke_api_key(tenant_id=acme.id, key_id=key.split("_")[1], now=datetime.now(UTC))
    answer = post(key, make_wire_event())
    assert (answer.status_code, answer.json()["code"]) == (401, "key_invalid")
    assert post(key, [make_wire_event() for _ in range(21)]).status_code == 401  # too large to share a commit
    assert post(key, make_wire_event(model=7)).status_code == 401  # nothing to book, but an event to keep as refused
    assert read(acme, "SELECT (SELECT count(*) FROM ledger_entry), (SELECT count(*) FROM rejected_event)") == [(1, 0)]


def test_a_key_without_the_scope_books_nothing(acme):
    assert post(make_key(acme, "read"), make_wire_event()).status_code == 403


def test_an_operator_books_for_tenants_that_the_events_name():
    acme, globex = make_tenant("acme"), make_tenant("globex")
    operator = make_operator_key()
    events = [make_wire_event(tenant=acme.slug), make_wire_event(tenant=globex.slug), make_wire_event(tenant="nobody")]
    answer = post(operator, events)
    assert answer.status_code == 207
    document = answer.json()
    assert (document["accepted"], document["rejected"], len(document["batches"])) == (2, 1, 2)
    assert document["results"][0]["code"] == "tenant_unknown"
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]
    assert read(globex, "SELECT count(*) FROM ledger_entry") == [(1,)]


def make_operator_key():
    from tenants.selectors import get_tenant

    return make_key(get_tenant("operator"), "ingest,read")


def test_what_came_is_let_go_with_the_answer(machine):
    request = machine.post("/v1/events", json.dumps(make_wire_event())).wsgi_request
    assert "wsgi.input" not in request.META
    assert not hasattr(request, "_body")
    assert request._stream is None
