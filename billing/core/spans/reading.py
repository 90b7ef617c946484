"""One span as one event: its role, and its fields in the words of `POST /v1/events`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from billing.core.model_names import PROVIDERS, canonical_provider
from billing.core.spans import names
from billing.core.spans.leaves import CALL, OTHER, SUMMARY
from billing.core.spans.usage import Attributes, AttributeValue, SpanUsage, read_usage
from billing.core.usage import UsageInconsistent

UNKNOWN = "unknown"
CLIENT_KIND = 3  # SpanKind.CLIENT of the OpenTelemetry protocol
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS_MAX = 253_402_300_799 * 10**9  # the end of the year 9999
COST_STEP = Decimal("0.000000000001")
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
    has_usage: bool = False
    knows_caches: bool = False
    knows_hours: bool = False
    says_tier: bool = False
    problem: str = ""


def read_span(span: SentSpan) -> SpanReading:
    """The role of a span, and its event where it is one. Never raises for a span."""
    attributes = span.attributes
    role, operation = find_role(span)
    if role == OTHER:
        return SpanReading(OTHER, operation, tenant=_read_text(attributes, (names.TENANT,)))
    provider = find_provider(attributes, scope=span.scope)
    tenant = _read_text(attributes, (names.TENANT,))
    try:
        usage = read_usage(attributes, provider=provider)
        fields = _make_fields(span, usage, provider=provider, operation=operation)
    except UsageInconsistent as error:
        return SpanReading(role, operation, tenant, {"id": _name_event(span, "")}, has_usage=True, problem=str(error))
    if not usage.is_said and (role == SUMMARY or fields["model"] == UNKNOWN):
        return SpanReading(OTHER, operation, tenant)
    return SpanReading(
        role,
        operation,
        tenant,
        fields,
        has_usage=bool(usage.wire),
        knows_caches=usage.knows_caches,
        knows_hours=usage.knows_hours,
        says_tier="service_tier" in fields,
    )


def find_role(span: SentSpan) -> tuple[str, str]:
    """The role that a span's own words give it, and its operation in an event's words.

    Who says that it is an agent, a chain or a tool is no call, whatever else it repeats of its children. An unknown
    operation is a call only where the span is a client's.
    """
    attributes = span.attributes
    if not attributes:
        return OTHER, ""
    operation = _read_text(attributes, (names.OPERATION,))
    if kind := _read_text(attributes, (names.TRACELOOP_KIND,)):
        return SUMMARY, operation or kind
    if sdk := _read_text(attributes, (names.AI_SDK_OPERATION,)):
        suffix = sdk[sdk.rfind(".") :]
        call = names.AI_SDK_CALLS.get(suffix)
        return (CALL, call) if call else (SUMMARY, sdk)
    if operation in names.CALLS:
        return CALL, names.CALLS[operation]
    if kind := _read_text(attributes, (names.OPENINFERENCE_KIND,)).upper():
        call = names.OPENINFERENCE_CALLS.get(kind)
        return (CALL, call) if call and not operation else (SUMMARY, operation or kind.lower())
    if operation:
        return SUMMARY, operation
    if request_type := _read_text(attributes, (names.REQUEST_TYPE,)):
        call = names.CALLS.get(request_type)
        return (CALL, call) if call else (SUMMARY, request_type)
    if _is_said(attributes, names.INPUT_TOKENS) or _is_said(attributes, names.OUTPUT_TOKENS):
        return (CALL, "chat") if span.kind == CLIENT_KIND else (SUMMARY, "")
    return OTHER, ""


def find_provider(attributes: Attributes, *, scope: str) -> str:
    """Who answered: by the address, else by name, else by the instrumentation; in the words of the rate book.

    Canonical here, where other doors keep what was sent: `aws.bedrock` in a span and `aws` in a callback name one
    provider, whose response id makes both one event.
    """
    address = _read_text(attributes, names.ADDRESS).lower()
    if address:
        host = address.partition("://")[2].partition("/")[0].partition(":")[0] or address
        for suffix, provider in names.PROVIDER_BY_HOST.items():
            if host == suffix or host.endswith(f".{suffix}"):
                return provider
    for name in names.PROVIDER:
        said = _read_text(attributes, (name,))
        if said and said.lower() not in names.FRAMEWORKS:
            return canonical_provider(said)
    for word in reversed(_SCOPE_WORD.findall(scope.lower())):
        if (provider := canonical_provider(word)) in PROVIDERS:
            return provider
    return UNKNOWN


def _make_fields(span: SentSpan, usage: SpanUsage, *, provider: str, operation: str) -> dict[str, Any]:
    attributes = span.attributes
    response_id = _read_text(attributes, names.RESPONSE_ID)
    requested = _read_text(attributes, names.MODEL_REQUESTED) or _read_model_parameter(attributes)
    fields: dict[str, Any] = {
        "id": _name_event(span, response_id),
        "time": write_time(span.started_ns),
        "provider": provider,
        "model": _read_text(attributes, names.MODEL_ANSWERED) or requested or UNKNOWN,
        "usage": usage.wire,
        "operation": operation or UNKNOWN,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "status": "error" if span.is_failed or _is_said(attributes, names.ERROR_TYPE) else "ok",
    }
    optional = {
        "response_id": response_id,
        "requested_model": requested,
        "parent_span_id": span.parent_span_id,
        "service_tier": _read_text(attributes, names.SERVICE_TIER),
        "finish_reason": _read_first(attributes, names.FINISH_REASON),
    }
    optional |= {field: _read_text(attributes, spellings) for field, spellings in names.ATTRIBUTION.items()}
    fields |= {name: text for name, text in optional.items() if text}
    if span.ended_ns >= span.started_ns:
        fields["latency_ms"] = (span.ended_ns - span.started_ns + 500_000) // 1_000_000
    if attributes.get(names.CACHE_HIT) is True:
        fields["cache_hit"] = True
    if tags := _make_tags(attributes, usage):
        fields["tags"] = tags
    if reported_cost := _read_reported_cost(attributes):
        fields["reported_cost"] = reported_cost
    return fields


class _Parameters(msgspec.Struct):
    model: str = ""


_decode_parameters = msgspec.json.Decoder(_Parameters).decode


def _read_model_parameter(attributes: Attributes) -> str:
    parameters = attributes.get(names.MODEL_PARAMETERS)
    if not isinstance(parameters, str) or _is_said(attributes, names.MODEL_ANSWERED):
        return ""
    try:
        return _decode_parameters(parameters).model
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""


def _name_event(span: SentSpan, response_id: str) -> str:
    return response_id or f"{span.trace_id}-{span.span_id}"


def _make_tags(attributes: Attributes, usage: SpanUsage) -> dict[str, str]:
    """The caller's own, and what an event has no field for."""
    tags = {
        name.removeprefix(names.OWN_TAG): value if isinstance(value, str) else str(value)
        for name, value in attributes.items()
        if name.startswith(names.OWN_TAG)
    }
    if error_type := _read_text(attributes, names.ERROR_TYPE):
        tags["error_type"] = error_type
    if any(attributes.get(name) is True for name in names.STREAMING):
        tags["streaming"] = "true"
    if usage.beside:
        tags["counted_beside"] = ", ".join(usage.beside)
    return tags


def _read_reported_cost(attributes: Attributes) -> dict[str, str] | None:
    """What the provider itself said that the call cost; an instrumentation's own estimate is not kept."""
    amount = attributes.get(names.COST_AMOUNT)
    if attributes.get(names.COST_SOURCE) != names.COST_SOURCE_PROVIDER or isinstance(amount, bool):
        return None
    if not isinstance(amount, int | float) or not 0 <= amount < 10**11:
        return None
    currency = _read_text(attributes, (names.COST_CURRENCY,)) or "USD"
    return {"amount": f"{Decimal(str(amount)).quantize(COST_STEP):f}", "currency": currency.upper()}


def write_time(ns: int) -> str:
    """RFC 3339 in UTC of nanoseconds since 1970, to the microsecond; '' for what is no time.

    >>> write_time(1_763_787_600_123_456_789)
    '2025-11-22T05:00:00.123456Z'
    """
    if not 0 < ns <= NS_MAX:
        return ""
    moment = EPOCH + timedelta(microseconds=ns // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _read_text(attributes: Attributes, spellings: tuple[str, ...]) -> str:
    """The first of `spellings` that holds a text, or a number, which then is one."""
    for name in spellings:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def _read_first(attributes: Attributes, spellings: tuple[str, ...]) -> str:
    """The same where a list may stand, as finish reasons do: its first text. `["stop"]` may come as text, too."""
    for name in spellings:
        value = attributes.get(name)
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, str) and item), "")
        if isinstance(value, str) and value:
            return value.strip("[]()\"' ,").partition('"')[0] if value[0] in "[(" else value
    return ""


def _is_said(attributes: Attributes, spellings: tuple[str, ...]) -> bool:
    return any(name in attributes for name in spellings)
