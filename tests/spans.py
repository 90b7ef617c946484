"""Builders of OpenTelemetry spans: plain values, written as protobuf or as JSON."""

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from billing.core.spans import SentSpan

CLIENT, INTERNAL = 3, 1
# A call of 1,200 tokens in, 300 out: 0.006 USD at the tests' rates.
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 300,
}


@dataclass
class Span:
    """One span as it will be sent; ids are hexadecimal."""

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str = "chat gpt-4o"
    kind: int = CLIENT
    started_ns: int = 0
    ended_ns: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    is_failed: bool = False


def new_trace_id() -> str:
    return secrets.token_hex(16)


def make_span(
    parent: Span | None = None, *, trace_id: str = "", duration_ms: int = 800, age_ms: int = 5_000, **fields: Any
) -> Span:
    """A call, unless `attributes` say otherwise: in its parent's trace, begun `age_ms` ago."""
    started_ns = time.time_ns() - age_ms * 1_000_000
    values: dict[str, Any] = {
        "trace_id": parent.trace_id if parent else trace_id or new_trace_id(),
        "span_id": secrets.token_hex(8),
        "parent_span_id": parent.span_id if parent else "",
        "started_ns": started_ns,
        "ended_ns": started_ns + duration_ms * 1_000_000,
        "attributes": dict(CALL),
    }
    return Span(**(values | fields))


def make_agent(parent: Span | None = None, **fields: Any) -> Span:
    """An agent's span, which repeats 1,200 tokens in and 300 out."""
    attributes = CALL | {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
    return make_span(parent, **({"name": "invoke_agent helper", "kind": INTERNAL, "attributes": attributes} | fields))


def make_step(parent: Span | None = None, **fields: Any) -> Span:
    """A span that has nothing to do with a model."""
    return make_span(parent, **({"name": "GET /search", "attributes": {"http.method": "GET"}} | fields))


def as_sent(span: Span, *, scope: str = "", **resource: Any) -> SentSpan:
    """The same as the core reads it."""
    return SentSpan(
        0, span.trace_id, span.span_id, span.parent_span_id, span.name, span.kind, span.started_ns, span.ended_ns,
        span.is_failed, scope, resource | span.attributes,
    )  # fmt: skip


def make_request(*spans: Span, scope: str = "tests", **resource: Any) -> dict[str, Any]:
    """An ExportTraceServiceRequest in OTLP's JSON; attribute values are plain until it is written."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _list_attributes(resource)},
                "scopeSpans": [{"scope": {"name": scope}, "spans": [_describe(span) for span in spans]}],
            }
        ]
    }


def write_json(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode()


def write_protobuf(request: dict[str, Any]) -> bytes:
    message = ExportTraceServiceRequest()
    for resource_spans in request["resourceSpans"]:
        resource = message.resource_spans.add()
        resource.resource.attributes.extend(_write_attributes(resource_spans["resource"]["attributes"]))
        for scope_spans in resource_spans["scopeSpans"]:
            scope = resource.scope_spans.add()
            scope.scope.name = scope_spans["scope"]["name"]
            for span in scope_spans["spans"]:
                scope.spans.add(
                    trace_id=bytes.fromhex(span["traceId"]),
                    span_id=bytes.fromhex(span["spanId"]),
                    parent_span_id=bytes.fromhex(span["parentSpanId"]),
                    name=span["name"],
                    kind=span["kind"],
                    start_time_unix_nano=int(span["startTimeUnixNano"]),
                    end_time_unix_nano=int(span["endTimeUnixNano"]),
                    attributes=_write_attributes(span["attributes"]),
                    status={"code": span["status"]["code"]},
                )
    return message.SerializeToString()


def _describe(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.started_ns),
        "endTimeUnixNano": str(span.ended_ns),
        "attributes": _list_attributes(span.attributes),
        "status": {"code": 2 if span.is_failed else 0},
    }


def _list_attributes(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _describe_value(value)} for name, value in attributes.items()]


def _describe_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_describe_value(item) for item in value]}}
    return {"stringValue": value}


def _write_attributes(attributes: list[dict[str, Any]]) -> list[KeyValue]:
    return [KeyValue(key=attribute["key"], value=_write_value(attribute["value"])) for attribute in attributes]


def _write_value(value: dict[str, Any]) -> AnyValue:
    [(kind, plain)] = value.items()
    match kind:
        case "boolValue":
            return AnyValue(bool_value=plain)
        case "intValue":
            return AnyValue(int_value=int(plain))
        case "doubleValue":
            return AnyValue(double_value=plain)
        case "arrayValue":
            return AnyValue(array_value=ArrayValue(values=[_write_value(item) for item in plain["values"]]))
    return AnyValue(string_value=plain)
