"""GET /v1/traces/{trace_id}: the spans of a trace with what each cost, and how long they are kept."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from billing.spans import prune_spans
from tests.api.exporting import JSON, send
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.rows import read
from tests.spans import (
    CALL,
    make_agent,
    make_span,
    make_step,
    new_trace_id,
)

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def rates():
    publish_test_rates()


@pytest.fixture
def acme():
    return make_tenant("acme")


@pytest.fixture
def key(acme):
    return make_key(acme, "ingest,read")


def ask_trace(key, trace_id):
    return Client().get(f"/v1/traces/{trace_id}", HTTP_AUTHORIZATION=f"Bearer {key}")


def test_a_trace_shows_its_spans_with_what_each_cost(acme, key):
    agent = make_agent(age_ms=9_000)
    step = make_step(agent, age_ms=8_000)
    call = make_span(agent, age_ms=7_000)
    send(key, call, step, agent, **{"service.name": "checkout"})
    trace = ask_trace(key, agent.trace_id).json()
    assert (trace["billed_cost"], trace["unpriced"], trace["complete"]) == ("0.006000000000", 0, True)
    told = [(span["name"], span["billing"], span["billed_cost"], span["input_tokens"]) for span in trace["spans"]]
    assert told == [
        ("invoke_agent helper", "inside", None, 0),
        ("GET /search", "other", None, 0),
        ("chat gpt-4o", "booked", "0.006000000000", 1200),
    ]
    shown = trace["spans"][2]
    assert (shown["parent_span_id"], shown["service"], shown["duration_ms"]) == (agent.span_id, "checkout", 800)
    [(entry_id,)] = read(acme, "SELECT batch_id || '.' || line FROM ledger_entry")
    assert shown["entries"] == [entry_id]


def test_a_trace_holds_what_other_doors_booked_in_it_and_another_tenant_sees_none(acme, key):
    trace_id = new_trace_id()
    event = make_wire_event(trace_id=trace_id, span_id="00f067aa0ba902b7")
    Client().post("/v1/events", json.dumps(event), content_type=JSON, HTTP_AUTHORIZATION=f"Bearer {key}")
    [span] = ask_trace(key, trace_id).json()["spans"]
    assert (span["billing"], span["billed_cost"]) == ("booked", "0.004750000000")
    stranger = make_key(make_tenant("globex"), "read")
    answer = ask_trace(stranger, trace_id)
    assert (answer.status_code, answer.json()["code"]) == (404, "trace_unknown")
    assert ask_trace(key, new_trace_id()).status_code == 404
    assert ask_trace(make_key(acme, "ingest"), trace_id).status_code == 403


def test_a_response_reported_by_two_spans_costs_once_in_their_trace(acme, key):
    first = make_span(attributes=CALL | {"gen_ai.response.id": "chatcmpl-7"})
    second = make_span(trace_id=first.trace_id, attributes=first.attributes)
    send(key, first, second)
    trace = ask_trace(key, first.trace_id).json()
    assert trace["billed_cost"] == "0.006000000000"
    assert sorted(span["billed_cost"] or "" for span in trace["spans"]) == ["", "0.006000000000"]
    assert len({*trace["spans"][0]["entries"], *trace["spans"][1]["entries"]}) == 1


def test_no_text_of_a_prompt_is_kept(acme, key, owner_connection):
    attributes = CALL | {
        "gen_ai.input.messages": "secret", "gen_ai.prompt.0.content": "secret", "input.value": "secret",
        "traceloop.entity.input": "secret", "db.statement": "secret", "gen_ai.system_instructions": "secret",
    }  # fmt: skip
    agent = make_agent(attributes=attributes | {"gen_ai.operation.name": "invoke_agent"})
    send(key, make_span(agent, attributes=attributes), agent, make_agent(attributes=agent.attributes))
    for table in ("span", "trace", "ledger_entry", "rejected_event"):
        assert read(acme, f"SELECT count(*) FROM {table} WHERE {table}::text LIKE '%secret%'") == [(0,)]


def test_spans_without_a_call_go_within_the_hour_and_all_go_after_30_days(acme, key):
    send(key, make_step())
    send(key, make_span())
    now = datetime.now(UTC)
    assert prune_spans(tenant_id=acme.id, now=now + timedelta(minutes=20)) == 0
    assert prune_spans(tenant_id=acme.id, now=now + timedelta(minutes=31)) == 1
    assert prune_spans(tenant_id=acme.id, now=now + timedelta(days=31)) == 1
    assert read(acme, "SELECT count(*) FROM trace") == [(0,)]
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]


def test_a_trace_id_that_cannot_be_one_is_told_how_one_looks(acme):
    answer = ask_trace(make_key(acme, "read"), "nothex")
    assert (answer.status_code, answer.json()["detail"]) == (404, "A span's trace id is 32 hexadecimal digits.")
