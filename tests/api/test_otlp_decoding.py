"""Bodies of the OpenTelemetry protocol, good, damaged and made up: spans come out, or one refusal, and nothing else."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.parsing.otlp import UnreadableSpan, read_spans, write_response
from api.parsing.spans import take_span
from api.problems import PROTOBUF, Problem
from billing.core.spans import SentSpan
from tests.spans import CALL, make_agent, make_request, make_span, make_step, write_json, write_protobuf

JSON = "application/json"
NOW = datetime.now(UTC)
AGENT = make_agent()
REQUEST = make_request(
    AGENT,
    make_step(AGENT),
    make_span(
        AGENT,
        attributes=CALL | {"gen_ai.response.finish_reasons": ["stop"], "tokenledger.cache_hit": True, "x.y": 1.5},
    ),
    **{"service.name": "shop"},
)
GOOD = {PROTOBUF: write_protobuf(REQUEST), JSON: write_json(REQUEST)}


def read(body, content_type):
    """The spans of a body, each read and judged as far as its event; None where it was refused whole."""
    try:
        spans = read_spans(body, content_type=content_type)
    except Problem as problem:
        assert problem.code in ("body_malformed", "too_many_events")
        return None
    for span in spans:
        assert isinstance(span, SentSpan | UnreadableSpan)
        if isinstance(span, SentSpan):
            taken, tenant = take_span(span, now=NOW, may_backfill=False)
            assert isinstance(tenant, str)
            assert taken.problems or taken.event or taken.reading.role == "other"
    return spans


def test_both_encodings_of_a_request_are_the_same_spans():
    assert read(GOOD[PROTOBUF], PROTOBUF) == read(GOOD[JSON], JSON)
    agent, step, call = read(GOOD[JSON], JSON)
    assert (agent.attributes["gen_ai.operation.name"], step.attributes) == ("invoke_agent", {"service.name": "shop"})
    assert call.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert "x.y" not in call.attributes


NAMES = st.sampled_from(["gen_ai.usage.input_tokens", "gen_ai.request.model", "tokenledger.tag.plan", "x.y"])
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**35)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: text * 40) | st.text(
    "aß", max_size=150
)
PLAIN = WHOLE | TEXTS | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.dictionaries(NAMES, PLAIN | st.lists(PLAIN, max_size=3)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_an_attribute_is_the_same_in_both_encodings_however_long_it_is(attributes):
    request = make_request(*(make_span(attributes=some) for some in attributes), **{"service.name": "shop"})
    spans = read_spans(write_protobuf(request), content_type=PROTOBUF)
    assert spans == read_spans(write_json(request), content_type=JSON)
    assert [span.attributes for span in spans] == [
        {"service.name": "shop"} | {name: value for name, value in some.items() if name != "x.y"} for some in attributes
    ]


def test_what_is_no_text_costs_no_span_its_booking():
    span = make_span(name="cut", attributes=CALL | {"gen_ai.prompt": "unread", "tokenledger.feature": "cut"})
    body = write_protobuf(make_request(span))
    [read] = read_spans(
        body.replace(b"unread", b"\xf0\x9f\x98\xff\xff\xff").replace(b"cut", b"cu\xf0"), content_type=PROTOBUF
    )
    assert (read.name, read.attributes["tokenledger.feature"]) == ("cu\ufffd", "cu\ufffd")


@given(st.binary(max_size=200), st.sampled_from([PROTOBUF, JSON]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_spans_or_refused(body, content_type):
    read(body, content_type)


@given(st.data(), st.sampled_from([PROTOBUF, JSON]))
@settings(max_examples=400, deadline=None)
def test_a_damaged_request_is_spans_or_refused(data, content_type):
    body = bytearray(GOOD[content_type])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["set", "cut", "add"])):
            case "set":
                body[at] = data.draw(st.integers(0, 255))
            case "cut":
                del body[at : at + data.draw(st.integers(1, 20))]
            case "add":
                body[at:at] = data.draw(st.binary(max_size=6))
        if not body:
            return
    read(bytes(body), content_type)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=8), v, max_size=3))
FIELDS = st.sampled_from(
    [
        "traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes",
        "status", "events", "flags",
    ]
)  # fmt: skip


@given(FIELDS, VALUES)
@settings(max_examples=400, deadline=None)
def test_a_field_of_any_value_costs_its_own_span_alone(field, value):
    request = json.loads(GOOD[JSON])
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0][field] = value
    spans = read(json.dumps(request).encode(), JSON)
    if spans is not None:  # a number like NaN is no JSON, and nobody can tell where the span would end
        assert len(spans) == 3
        assert all(isinstance(span, SentSpan) for span in spans[1:])


@pytest.mark.parametrize(
    ("kind", "field"), [("traces", "rejectedSpans"), ("metrics", "rejectedDataPoints"), ("logs", "rejectedLogRecords")]
)
def test_an_answer_says_something_only_where_there_is_something_to_say(kind, field):
    assert write_response(kind=kind, content_type=PROTOBUF) == b""
    assert write_response(kind=kind, content_type=JSON) == b"{}"
    said = json.loads(write_response(kind=kind, content_type=JSON, rejected=2, message="why"))
    assert said == {"partialSuccess": {field: "2", "errorMessage": "why"}}


def test_more_spans_than_are_taken_at_once_are_refused():
    spans = [{"traceId": "1" * 32, "spanId": "1" * 16}] * 20_001
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    with pytest.raises(Problem, match="20,001 spans"):
        read_spans(body, content_type=JSON)
