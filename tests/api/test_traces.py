"""POST /v1/traces: each call of a model once, whoever reports it, and no bad span costs a good one its booking."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from billing.spans import QUIET_SECONDS, prune_spans, settle_traces
from ledger.rejected import list_rejected
from tenants.selectors import get_tenant
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.rows import read
from tests.spans import (
    CALL,
    make_agent,
    make_request,
    make_span,
    make_step,
    new_trace_id,
    write_json,
    write_protobuf,
)

pytestmark = pytest.mark.usefixtures("committed_db")

PROTOBUF, JSON = "application/x-protobuf", "application/json"


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


def post(key, body, *, content_type=PROTOBUF, path="/v1/traces", **headers):
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    # Django's client names no type where there is no body; exporters do.
    headers |= {"CONTENT_TYPE": content_type, "HTTP_AUTHORIZATION": f"Bearer {key}"}
    return Client().post(path, body, content_type=content_type, **headers)


def send(key, *spans, **resource):
    """Send spans in protobuf; the answer's partial success."""
    answer = post(key, write_protobuf(make_request(*spans, **resource)))
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == PROTOBUF
    return ExportTraceServiceResponse.FromString(answer.content).partial_success


def list_states(tenant):
    return dict(read(tenant, "SELECT name, state FROM span"))


def settle():
    return settle_traces(now=datetime.now(UTC) + timedelta(seconds=QUIET_SECONDS + 1))


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


# --- what cannot be booked ---


def test_a_failed_call_is_booked_without_usage_and_one_that_says_nothing_of_it_is_refused(acme, key):
    silent = {name: value for name, value in CALL.items() if "usage" not in name}
    failed = make_span(attributes=silent | {"error.type": "RateLimitError"}, is_failed=True, name="failed")
    mute = make_span(attributes=silent, name="mute")
    partial = send(key, failed, mute, make_span(name="good"))
    assert partial.rejected_spans == 1
    assert f"usage_missing: span {mute.span_id}" in partial.error_message
    assert list_states(acme) == {"failed": "booked", "mute": "refused", "good": "booked"}
    assert read(acme, "SELECT status, billed_cost, tags ->> 'error_type' FROM ledger_entry ORDER BY status") == [
        ("error", Decimal(0), "RateLimitError"), ("ok", Decimal("0.006000000000"), None),
    ]  # fmt: skip


def test_a_refused_call_can_be_corrected_and_replayed(acme, key):
    silent = {name: value for name, value in CALL.items() if "usage" not in name}
    send(key, make_span(attributes=silent))
    [kept] = list_rejected(tenant_id=acme.id)
    event = json.loads(kept.body) | {"usage": {"input_tokens": 10, "output_tokens": 1}}
    answer = post(key, json.dumps(event), content_type=JSON, path=f"/v1/rejected/{kept.id}/replay")
    assert answer.json()["status"] == "accepted"


BAD_SPANS = [
    ({"gen_ai.usage.input_tokens": 2**63 - 1}, "gen_ai.usage.input_tokens is 9223372036854775807"),
    ({"gen_ai.usage.input_tokens": -1}, "gen_ai.usage.input_tokens is -1"),
    ({"gen_ai.usage.input_tokens": "many"}, "gen_ai.usage.input_tokens is text"),
    ({"gen_ai.usage.input_tokens": True}, "gen_ai.usage.input_tokens is true or false"),
    ({"gen_ai.usage.input_tokens": 1.5}, "gen_ai.usage.input_tokens is 1.5"),
    ({"gen_ai.usage.input_tokens": float("nan")}, "gen_ai.usage.input_tokens is nan"),
    ({"gen_ai.usage.input_tokens": float("inf")}, "gen_ai.usage.input_tokens is inf"),
    ({"gen_ai.usage.input_tokens": [1]}, "gen_ai.usage.input_tokens is a list"),
    ({"tokenledger.usage.images": "two"}, "tokenledger.usage.images is text"),
    ({"tokenledger.usage.Images": 2}, "a meter's name is lower-case"),
    ({"tokenledger.usage.a\x00b": "two"}, "tokenledger.usage.a\\u0000b is text"),
    ({"tokenledger.feature": "x" * 257}, "feature: has 257 characters"),
    ({"tokenledger.feature": "a\x00b"}, "feature: holds a NUL character"),
    ({"gen_ai.response.model": "a\x00b"}, "model: holds a NUL character"),
    ({"tokenledger.tag.plan": "x" * 600}, "tags.plan: has 600 characters"),
    (
        {"gen_ai.usage.total_tokens": 1500, "gen_ai.usage.cache_read.input_tokens": 1300},
        "cache_read_tokens 1300 exceed input_tokens 1200",
    ),
]


@pytest.mark.parametrize(("attributes", "said"), BAD_SPANS, ids=[said for _, said in BAD_SPANS])
def test_a_bad_span_is_named_and_kept_and_its_neighbour_is_booked(acme, key, attributes, said):
    bad = make_span(attributes=CALL | attributes)
    for name in ("gen_ai.input.messages", "gen_ai.prompt.0.content", "input.value", "llm.input_messages.0.content"):
        bad.attributes[name] = "the secret of the prompt"
    partial = send(key, bad, make_span())
    assert partial.rejected_spans == 1
    assert said in partial.error_message
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]
    [kept] = list_rejected(tenant_id=acme.id)
    assert said in kept.detail
    assert "secret" not in kept.body


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"traceId": "5B8EFFF798038103D269B633813FC60"}, "trace_id is not 16 bytes"),
        ({"traceId": "0" * 32}, "trace_id is not 16 bytes"),
        ({"spanId": "W47/95gDgQM="}, "span_id is not 8 bytes"),
        ({"parentSpanId": "1"}, "parent_span_id is not 8 bytes"),
        ({"startTimeUnixNano": "soon"}, "'soon' is no integer"),
        ({"startTimeUnixNano": 2**64}, "has more than 64 bits"),
        ({"startTimeUnixNano": "0"}, "time"),
        ({"startTimeUnixNano": str(2**63)}, "time"),
        ({"attributes": {"gen_ai.system": "openai"}}, "Expected `array`"),
        ({"kind": "SPAN_KIND_CLIENT"}, "Expected `int`"),
    ],
)
def test_a_malformed_span_in_json_costs_itself_alone(acme, key, change, said):
    request = make_request(make_span(), make_span())
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(change)
    answer = post(key, write_json(request), content_type=JSON)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert said in partial["errorMessage"]
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]


def test_text_that_was_cut_inside_a_character_costs_nobody_a_booking(acme, key):
    request = make_request(make_span(name="cut \ud83d"), make_span(name="whole \U0001f600 \\ud83d"))
    assert post(key, write_json(request), content_type=JSON).json() == {}
    broken = write_json(make_request(make_span(name="latin"))).replace(b"latin", b"caf\xe9")
    assert post(key, broken, content_type=JSON).json() == {}
    assert set(list_states(acme)) == {"cut \ufffd", "whole \U0001f600 \\ud83d", "caf\ufffd"}


def test_ids_in_json_may_be_upper_case_and_unknown_names_are_passed_over(acme, key):
    span = make_span()
    request = make_request(span)
    wire = request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    wire |= {"traceId": span.trace_id.upper(), "spanId": span.span_id.upper(), "droppedEventsCount": 3, "new": {"a": 1}}
    wire["startTimeUnixNano"] = span.started_ns
    assert post(key, json.dumps(request), content_type=f"{JSON}; charset=utf-8").json() == {}
    assert read(acme, "SELECT trace_id, span_id FROM ledger_entry") == [(span.trace_id, span.span_id)]


BODIES = [
    (b"\xff\xff\xff", PROTOBUF, 400, "body_malformed"),
    (b"not json", JSON, 400, "body_malformed"),
    (b"[]", JSON, 400, "body_malformed"),
    (b'{"resourceSpans": 7}', JSON, 400, "body_malformed"),
    (b'{"resourceSpans": ' + b"[" * 5000 + b"]" * 5000 + b"}", JSON, 400, "body_malformed"),
    (b'{"resource_spans": [{"scope_spans": [{"spans": []}]}]}', JSON, 400, "body_malformed"),
    (b'{"resourceSpans": [{"scope_spans": [{"spans": [{}]}]}]}', JSON, 400, "body_malformed"),
    (b'{"spans": [{"traceId": "5b8efff798038103d269b633813fc60c"}]}', JSON, 400, "body_malformed"),
    (b"{}", "text/plain", 415, "content_type_unknown"),
    (b" " * 8_000_001, JSON, 413, "body_too_large"),
]


@pytest.mark.parametrize(("body", "content_type", "status", "code"), BODIES, ids=range(len(BODIES)))
def test_a_body_that_cannot_be_read_is_refused_in_its_own_encoding(key, body, content_type, status, code):
    answer = post(key, body, content_type=content_type)
    assert answer.status_code == status
    if content_type == PROTOBUF:
        assert answer["Content-Type"] == PROTOBUF
        assert Status.FromString(answer.content).message.startswith(f"{code}: ")
    else:
        assert answer.json()["code"] == code


def test_a_small_gzip_that_unpacks_to_much_is_refused_before_it_is_unpacked(key):
    answer = post(key, gzip.compress(b"\x00" * 100_000_000), **{"content-encoding": "gzip"})
    assert answer.status_code == 413
    assert Status.FromString(answer.content).message.startswith("body_too_large: ")


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_a_request_without_spans_is_a_good_one(key, content_type):
    assert post(key, b"", content_type=content_type).status_code == 200
    answer = post(key, b'{"resourceSpans": []}' if content_type == JSON else b"", content_type=content_type)
    assert (answer.status_code, answer.content) == (200, b"{}" if content_type == JSON else b"")


def test_an_empty_object_is_answered_with_a_warning(key):
    """In proto3's JSON it is a request without spans; whoever sends it by hand meant something else."""
    answer = post(key, b"{}", content_type=JSON)
    assert answer.status_code == 200
    assert answer.json() == {
        "partialSuccess": {
            "rejectedSpans": "0",
            "errorMessage": "The body is {}: no resourceSpans, nothing to book.",
        }
    }


def test_other_names_than_the_protocols_are_refused_with_its_own(key):
    snake = post(key, b'{"resource_spans": []}', content_type=JSON).json()["detail"]
    assert snake == "The name 'resource_spans' is none of OTLP's JSON: write resourceSpans, scopeSpans and spans."
    flat = post(key, b'{"spans": []}', content_type=JSON).json()["detail"]
    assert (
        flat == "The body holds no resourceSpans, but 'spans': spans stand in scopeSpans, and those in resourceSpans."
    )


def test_a_trace_id_that_cannot_be_one_is_told_how_one_looks(acme):
    answer = ask_trace(make_key(acme, "read"), "nothex")
    assert (answer.status_code, answer.json()["detail"]) == (404, "A span's trace id is 32 hexadecimal digits.")


@pytest.mark.parametrize(
    ("kind", "response_type"), [("metrics", ExportMetricsServiceResponse), ("logs", ExportLogsServiceResponse)]
)
def test_nothing_is_billed_from_metrics_and_logs_and_the_answer_says_so(key, kind, response_type):
    answer = post(key, b"anything", path=f"/v1/{kind}")
    assert answer.status_code == 200
    assert f"Nothing is billed from {kind}" in response_type.FromString(answer.content).partial_success.error_message
    said = post(key, b"{}", content_type=JSON, path=f"/v1/{kind}").json()["partialSuccess"]
    assert f"Nothing is billed from {kind}" in said["errorMessage"]


# --- who may ---


def test_a_key_is_asked_for_in_the_encoding_of_the_request(acme):
    answer = Client().post("/v1/traces", b"\n\x00", content_type=PROTOBUF)
    assert (answer.status_code, answer["Content-Type"]) == (401, PROTOBUF)
    assert Status.FromString(answer.content).message.startswith("key_missing: ")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert post(make_key(acme, "read"), b"").status_code == 403


def test_an_operator_books_for_the_tenant_that_a_span_names_and_no_other_key_does(acme, key):
    globex = make_tenant("globex")
    operator = make_key(get_tenant("operator"), "ingest")
    assert send(operator, make_span(), make_step(), **{"tokenledger.tenant": acme.slug}).rejected_spans == 0
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]
    partial = send(key, make_span(), make_span(attributes=CALL | {"tokenledger.tenant": globex.slug}))
    assert partial.rejected_spans == 1
    assert "tenant_forbidden" in partial.error_message
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(2,)]
    assert read(globex, "SELECT count(*) FROM ledger_entry") == [(0,)]
    assert "tenant_unknown" in send(operator, make_span(), **{"tokenledger.tenant": "nobody"}).error_message


# --- the trace ---


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
