"""POST /v1/traces: what cannot be booked is named and kept, and no bad span costs a good one its booking."""

import gzip
import json
from decimal import Decimal

import pytest
from django.test import Client
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from ledger.rejected import list_rejected
from tenants.selectors import get_tenant
from tests.api.exporting import JSON, PROTOBUF, list_states, post, send
from tests.factories import make_key, make_tenant, publish_test_rates
from tests.rows import read
from tests.spans import (
    CALL,
    make_request,
    make_span,
    make_step,
    write_json,
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
