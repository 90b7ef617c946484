"""POST /v1/traces: each call of a model once, whoever reports it."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from billing.spans import QUIET_SECONDS, settle_traces
from ledger.rejected import list_rejected
from tests.api.exporting import JSON, list_states, post, send, settle
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.rows import read
from tests.spans import (
    CALL,
    make_agent,
    make_request,
    make_span,
    make_step,
    write_json,
    write_protobuf,
)

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def rates():
    publish_test_rates()
    settle()  # what other tests left waiting


@pytest.fixture
def acme():
    return make_tenant("acme")


@pytest.fixture
def key(acme):
    return make_key(acme, "ingest,read")


def test_a_call_is_booked_with_all_that_its_span_says(acme, key):
    span = make_span(
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.response.id": "chatcmpl-9f",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.cache_read.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 300,
            "gen_ai.usage.reasoning.output_tokens": 120,
            "gen_ai.conversation.id": "s-1",
            "openai.response.service_tier": "default",
            "tokenledger.feature": "summarizer",
            "tokenledger.cost_center": "retail",
        },
        duration_ms=812,
    )
    partial = send(key, span, **{"service.name": "checkout", "deployment.environment.name": "staging"})
    assert (partial.rejected_spans, partial.error_message) == (0, "")
    [entry] = read(
        acme,
        """SELECT event_source, event_id, response_id, environment, feature, cost_center, session_id, trace_id, span_id,
                  operation, provider, model, requested_model, service_tier, status, finish_reason, latency_ms,
                  input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, billed_cost FROM ledger_entry""",
    )
    # 200 × 2.50 + 1,000 × 1.25 + 300 × 10 USD a million tokens
    assert entry == (
        "checkout", "chatcmpl-9f", "chatcmpl-9f", "staging", "summarizer", "retail", "s-1", span.trace_id, span.span_id,
        "chat", "openai", "gpt-4o-2024-08-06", "gpt-4o", "standard", "ok", "stop", 812,
        200, 1000, 300, 120, Decimal("0.004750000000"),
    )  # fmt: skip


def test_a_span_names_what_was_logged_of_its_call_as_an_event_does(acme, key):
    digest = f"sha256:{'0f' * 32}"
    assert send(key, make_span(attributes=CALL | {"tokenledger.content_digest": digest})).rejected_spans == 0
    assert read(acme, "SELECT content_digest FROM ledger_entry") == [(digest,)]
    partial = send(key, make_span(attributes=CALL | {"tokenledger.content_digest": "sha256:beef"}))
    assert partial.rejected_spans == 1
    assert "content_digest: must be what POST /v1/content answered" in partial.error_message


def test_json_and_gzip_are_the_same_spans(acme, key):
    spans = [make_span(), make_span()]
    answer = post(key, write_json(make_request(spans[0])), content_type=JSON)
    assert (answer.status_code, answer["Content-Type"], answer.json()) == (200, JSON, {})
    packed = gzip.compress(write_protobuf(make_request(*spans)))
    assert post(key, packed, **{"content-encoding": "gzip"}).status_code == 200
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(2,)]


# --- a call counts once ---


def test_an_agent_that_repeats_its_calls_is_not_billed(acme, key):
    agent = make_agent()
    step = make_step(agent)
    send(key, make_span(step, name="first"), make_span(step, name="second"), step, agent)
    assert list_states(acme) == {
        "first": "booked", "second": "booked", "GET /search": "other", "invoke_agent helper": "inside",
    }  # fmt: skip
    assert settle() == 0
    assert read(acme, "SELECT count(*), sum(billed_cost) FROM ledger_entry") == [(2, Decimal("0.012000000000"))]


def test_an_agent_without_a_billed_call_is_billed_when_its_trace_is_quiet(acme, key):
    agent = make_agent()
    send(key, agent, make_step(agent))
    assert list_states(acme)["invoke_agent helper"] == "waiting"
    assert settle_traces(now=datetime.now(UTC) + timedelta(seconds=QUIET_SECONDS - 10)) == 0
    assert settle() == 1
    assert settle() == 0
    [(operation, span_id, cost)] = read(acme, "SELECT operation, span_id, billed_cost FROM ledger_entry")
    assert (operation, span_id, cost) == ("invoke_agent", agent.span_id, Decimal("0.006000000000"))
    assert list_states(acme)["invoke_agent helper"] == "booked"
    assert read(acme, "SELECT is_waiting FROM trace") == [(False,)]


@pytest.mark.parametrize("calls_first", [True, False], ids=["calls first", "agent first"])
def test_an_agent_and_its_calls_find_each_other_across_requests(acme, key, calls_first):
    agent = make_agent()
    step = make_step(agent)
    requests = [[make_span(step, name="call")], [step], [agent]]
    for spans in requests if calls_first else reversed(requests):
        send(key, *spans)
    assert list_states(acme) == {"call": "booked", "GET /search": "other", "invoke_agent helper": "inside"}
    assert settle() == 0
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]


def test_of_agents_in_agents_the_lowest_is_billed(acme, key):
    outer = make_agent(name="outer")
    send(key, outer, make_agent(outer, name="inner"))
    assert settle() == 1
    assert list_states(acme) == {"outer": "inside", "inner": "booked"}


def test_a_call_that_comes_after_its_agent_was_billed_is_not_billed_again(acme, key):
    agent = make_agent()
    send(key, agent)
    assert settle() == 1
    send(key, make_span(agent, name="late"))
    assert list_states(acme) == {"invoke_agent helper": "booked", "late": "inside"}
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]


def test_a_call_whose_way_up_was_never_sent_is_taken_for_the_agents_that_spans_its_time(acme, key):
    agent = make_agent(age_ms=10_000, duration_ms=9_000)
    lost = make_span(agent)
    send(key, make_span(lost, name="call", age_ms=8_000), agent)
    assert settle() == 0
    assert list_states(acme) == {"call": "booked", "invoke_agent helper": "inside"}


def test_a_call_inside_a_call_is_one_call_even_without_response_ids(acme, key):
    framework = make_span(name="ChatOpenAI.chat")
    client = make_span(framework, name="openai.chat")
    send(key, client, framework)
    assert list_states(acme) == {"openai.chat": "booked", "ChatOpenAI.chat": "inside"}
    other = make_span(name="outer")
    send(key, other)
    send(key, make_span(other, name="inner"))
    assert {name: list_states(acme)[name] for name in ("outer", "inner")} == {"outer": "booked", "inner": "inside"}
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(2,)]


def test_one_response_is_one_event_whether_two_spans_report_it_or_a_callback(acme, key):
    attributes = CALL | {"gen_ai.response.id": "chatcmpl-1"}
    send(key, make_span(attributes=attributes), make_span(attributes=attributes))
    event = make_wire_event(
        response_id="chatcmpl-1", usage={"input_tokens": 1200, "output_tokens": 300}, feature=..., environment=...
    )
    answer = Client().post("/v1/events", json.dumps(event), content_type=JSON, HTTP_AUTHORIZATION=f"Bearer {key}")
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (0, 1)
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]


def test_a_second_report_that_says_less_is_a_duplicate_and_one_that_says_otherwise_is_kept(acme, key):
    event = make_wire_event(response_id="chatcmpl-1", service_tier="standard", cost_center="retail")
    Client().post("/v1/events", json.dumps(event), content_type=JSON, HTTP_AUTHORIZATION=f"Bearer {key}")
    less = CALL | {"gen_ai.response.id": "chatcmpl-1"}
    assert send(key, make_span(attributes=less)).rejected_spans == 0
    otherwise = less | {"gen_ai.usage.output_tokens": 301}
    partial = send(key, make_span(attributes=otherwise))
    assert partial.rejected_spans == 1
    assert "another output_tokens; the first report stands" in partial.error_message
    assert read(acme, "SELECT count(*), sum(output_tokens) FROM ledger_entry") == [(1, 300)]
    [kept] = list_rejected(tenant_id=acme.id)
    assert (kept.code, json.loads(kept.body)["usage"]["output_tokens"]) == ("event_conflict", 301)
    assert read(acme, "SELECT sum(booked), sum(duplicates), sum(conflicts), sum(rejected) FROM intake_tally") == [
        (1, 0, 2, 0)
    ]


SEARCHED = {"input_tokens": 1200, "output_tokens": 300, "server_tool_use": {"web_search_requests": 2}}


def report_searches(key, response_id):
    """The provider's own usage object of a call, at the events' door: its one verdict."""
    event = make_wire_event(
        response_id=response_id, provider="anthropic", model="claude-sonnet-4-5", usage=..., provider_usage=SEARCHED,
        feature=..., environment=...,
    )  # fmt: skip
    answer = post(key, json.dumps(event), content_type=JSON, path="/v1/events?results=all")
    [result] = answer.json()["results"]
    return result


def test_a_usage_object_that_counts_searches_and_a_span_that_does_not_are_one_entry(acme, key):
    def call(response_id, **more):
        named = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
        return make_span(attributes=CALL | named | {"gen_ai.response.id": response_id} | more)

    # The span says less than what is booked, and denies nothing.
    assert report_searches(key, "msg_1")["status"] == "accepted"
    assert send(key, call("msg_1")).rejected_spans == 0
    # The object says more, and what it says costs money that nobody would miss were it called a duplicate.
    send(key, call("msg_2"))
    second = report_searches(key, "msg_2")
    assert (second["status"], second["fields"]) == ("conflict", ["usage"])
    # The span that counts the searches says the same.
    send(key, call("msg_3", **{"tokenledger.usage.searches": 2}))
    assert report_searches(key, "msg_3")["status"] == "duplicate"
    assert read(acme, "SELECT response_id, other_usage ->> 'searches' FROM ledger_entry ORDER BY response_id") == [
        ("msg_1", "2"), ("msg_2", None), ("msg_3", "2"),
    ]  # fmt: skip


def test_the_same_request_again_changes_nothing(acme, key):
    agent = make_agent()
    request = write_protobuf(make_request(make_span(agent), agent, make_agent(name="alone")))
    assert post(key, request).status_code == 200
    before = read(acme, "SELECT span_id, state, entry_id, event FROM span ORDER BY span_id")
    assert post(key, request).status_code == 200
    assert read(acme, "SELECT span_id, state, entry_id, event FROM span ORDER BY span_id") == before
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]
