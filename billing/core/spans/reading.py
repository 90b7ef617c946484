"""One span as one event: its role, and its fields in the words of `POST /v1/events`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from billing.core.model_names import PROVIDERS, canonical_provider
from billing.core.spans import names
from billing.core.spans.leaves import CALL, OTHER, SUMMARY
from billing.core.spans.saying import AttributeValue, Said, gather
from billing.core.spans.usage import SpanUsage, read_usage
from billing.core.usage import UsageInconsistent

UNKNOWN = "unknown"
CLIENT_KIND = 3  # SpanKind.CLIENT of the OpenTelemetry protocol
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS_MAX = 253_402_300_799 * 10**9  # the end of the year 9999
COST_STEP = Decimal("0.000000000001")
ROLE_SLOTS = frozenset((
    "traceloop_kind", "operation", "ai_sdk_operation", "openinference_kind", "request_type", "input_tokens",
    "output_tokens",
))  # fmt: skip
_SCOPE_WORD = re.compile(r"[a-z]+")


class SentSpan(msgspec.Struct, frozen=True, gc=False):
    """A span as it was sent, whatever the encoding; of its attributes and its resource's those that are wanted."""

    index: int  # its place in the request, from 0
    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16
    parent_span_id: str  # 16, or ''
    name: str
    kind: int
    started_ns: int
    ended_ns: int
    is_failed: bool
    scope: str  # the instrumentation's name
    attributes: Mapping[str, AttributeValue]

    @property
    def duration_us(self) -> int:
        return max(self.ended_ns - self.started_ns, 0) // 1000


class SpanReading(msgspec.Struct, frozen=True, gc=False):
    """What a span means.

    role: `call`, one call of a model; `summary`, something else that counts tokens, as an agent does; `other`.
    fields: the event, as `POST /v1/events` takes it; empty for `other`. problem: why it is none.
    """

    role: str
    operation: str
    tenant: str = ""  # named by the span; '' for the key's own
    fields: dict[str, Any] = {}
    time: datetime | None = None  # the event's, which its field says as text
    has_usage: bool = False
    knows_caches: bool = False
    knows_hours: bool = False
    says_tier: bool = False
    problem: str = ""


def read_span(span: SentSpan) -> SpanReading:
    """The role of a span, and its event where it is one. Never raises for a span."""
    said = gather(span.attributes)
    tenant = said.text("tenant")
    role, operation = find_role(said, kind=span.kind)
    if role == OTHER:
        return SpanReading(OTHER, operation, tenant)
    provider = find_provider(said, scope=span.scope)
    try:
        usage = read_usage(said, provider=provider)
    except UsageInconsistent as error:
        event_id = _name_event(span, said.text("response_id"))
        return SpanReading(role, operation, tenant, {"id": event_id}, has_usage=True, problem=str(error))
    time = read_time(span.started_ns)
    fields = _make_fields(span, said, usage, time=write_time(time), provider=provider, operation=operation)
    if not usage.is_said and (role == SUMMARY or fields["model"] == UNKNOWN):
        return SpanReading(OTHER, operation, tenant)
    return SpanReading(
        role,
        operation,
        tenant,
        fields,
        time,
        has_usage=bool(usage.wire),
        knows_caches=usage.knows_caches,
        knows_hours=usage.knows_hours,
        says_tier="service_tier" in fields,
    )


def find_role(said: Said, *, kind: int) -> tuple[str, str]:
    """The role that a span's own words give it, and its operation in an event's words.

    Who says that it is an agent, a chain or a tool is no call, whatever else it repeats of its children. An unknown
    operation is a call only where the span is a client's and names none.
    """
    if not said.meters and ROLE_SLOTS.isdisjoint(said.values):
        return OTHER, ""
    operation = said.text("operation")
    if "traceloop_kind" in said.values and (traceloop_kind := said.text("traceloop_kind")):
        return SUMMARY, operation or traceloop_kind
    if "ai_sdk_operation" in said.values and (sdk_operation := said.text("ai_sdk_operation")):
        call = names.AI_SDK_CALLS.get(sdk_operation[sdk_operation.rfind(".") :])
        return (CALL, call) if call else (SUMMARY, sdk_operation)
    if operation in names.CALLS:
        return CALL, names.CALLS[operation]
    if openinference_kind := said.text("openinference_kind").upper():
        call = names.OPENINFERENCE_CALLS.get(openinference_kind)
        return (CALL, call) if call and not operation else (SUMMARY, operation or openinference_kind.lower())
    if operation:
        return SUMMARY, operation
    if request_type := said.text("request_type"):
        call = names.CALLS.get(request_type)
        return (CALL, call) if call else (SUMMARY, request_type)
    if "input_tokens" in said.values or "output_tokens" in said.values or said.meters:
        return (CALL, "chat") if kind == CLIENT_KIND else (SUMMARY, "")
    return OTHER, ""


def find_provider(said: Said, *, scope: str) -> str:
    """Who answered: by the address, else by name, else by the instrumentation; in the words of the rate book.

    Canonical here, where other doors keep what was sent: `aws.bedrock` in a span and `aws` in a callback name one
    provider, whose response id makes both one event.
    """
    named = tuple([value for value in said.providers if isinstance(value, str) and value])
    return _name_provider(said.text("address"), named, scope)


@lru_cache(maxsize=4096)
def _name_provider(address: str, named: tuple[str, ...], scope: str) -> str:
    if address:
        host = address.lower().rpartition("://")[2].partition("/")[0].partition(":")[0]
        for suffix, provider in names.PROVIDER_BY_HOST.items():
            if host == suffix or host.endswith(f".{suffix}"):
                return provider
    for name in named:
        if name.lower() not in names.FRAMEWORKS:
            return canonical_provider(name)
    for word in reversed(_SCOPE_WORD.findall(scope.lower())):
        if (provider := canonical_provider(word)) in PROVIDERS:
            return provider
    return UNKNOWN


_OPTIONAL = ("response_id", "requested_model", "service_tier", *names.ATTRIBUTION)


def _make_fields(
    span: SentSpan, said: Said, usage: SpanUsage, *, time: str, provider: str, operation: str
) -> dict[str, Any]:
    values = said.values
    fields: dict[str, Any] = {
        "id": _name_event(span, said.text("response_id")),
        "time": time,
        "provider": provider,
        "model": said.text("model") or said.text("requested_model") or _read_model_parameter(said) or UNKNOWN,
        "usage": usage.wire,
        "operation": operation or UNKNOWN,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "status": "error" if span.is_failed or "error_type" in values else "ok",
    }
    for name in _OPTIONAL:
        if name in values and (text := said.text(name)):
            fields[name] = text
    if span.parent_span_id:
        fields["parent_span_id"] = span.parent_span_id
    if finish_reason := said.first_text("finish_reason"):
        fields["finish_reason"] = finish_reason
    if span.ended_ns >= span.started_ns:
        fields["latency_ms"] = (span.ended_ns - span.started_ns + 500_000) // 1_000_000
    if values.get("cache_hit") is True:
        fields["cache_hit"] = True
    if tags := _make_tags(said, usage):
        fields["tags"] = tags
    if "cost_amount" in values and (reported_cost := _read_reported_cost(said)):
        fields["reported_cost"] = reported_cost
    return fields


def _make_tags(said: Said, usage: SpanUsage) -> dict[str, str]:
    """The caller's own, and what an event has no field for."""
    tags = {name: value if isinstance(value, str) else str(value) for name, value in said.tags.items()}
    if "error_type" in said.values and (error_type := said.text("error_type")):
        tags["error_type"] = error_type
    if said.values.get("streaming") is True:
        tags["streaming"] = "true"
    if usage.beside:
        tags["counted_beside"] = ", ".join(usage.beside)
    return tags


def _read_reported_cost(said: Said) -> dict[str, str] | None:
    """What the provider itself said that the call cost; an instrumentation's own estimate is not kept."""
    amount = said.values.get("cost_amount")
    if said.values.get("cost_source") != names.COST_SOURCE_PROVIDER or isinstance(amount, bool):
        return None
    if not isinstance(amount, int | float) or not 0 <= amount < 10**11:
        return None
    currency = said.text("cost_currency") or "USD"
    return {"amount": f"{Decimal(str(amount)).quantize(COST_STEP):f}", "currency": currency.upper()}


class _Parameters(msgspec.Struct):
    model: str = ""


_decode_parameters = msgspec.json.Decoder(_Parameters).decode


def _read_model_parameter(said: Said) -> str:
    parameters = said.values.get("model_parameters")
    if not isinstance(parameters, str):
        return ""
    try:
        return _decode_parameters(parameters).model
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""


def _name_event(span: SentSpan, response_id: str) -> str:
    return response_id or f"{span.trace_id}-{span.span_id}"


def read_time(ns: int) -> datetime | None:
    """The moment of so many nanoseconds since 1970, cut to the microsecond; None for what is no time."""
    return EPOCH + timedelta(microseconds=ns // 1000) if 0 < ns <= NS_MAX else None


def write_time(time: datetime | None) -> str:
    """RFC 3339 of a time in UTC; '' for none.

    >>> write_time(read_time(1_763_787_600_123_456_789))
    '2025-11-22T05:00:00.123456Z'
    """
    return f"{time.isoformat(timespec='microseconds')[:-6]}Z" if time else ""
