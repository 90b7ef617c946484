"""An export request in protobuf, as spans. Only what is read of it is taken apart."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from api.parsing.otlp.bounds import (
    LIST_ITEMS_MAX,
    PARENT_ID_FAULT,
    SPAN_ID_FAULT,
    STATUS_ERROR,
    TRACE_ID_FAULT,
    UnreadableSpan,
    check_count,
    clean_name,
)
from api.problems import Problem
from billing.core.spans import OWN, SAID_AGAIN, WANTED, AttributeValue, SentSpan

Attribute = tuple[str, AttributeValue]

# Of each message of the protocol the fields that are read. Events and links are not: prompts stand there, too.
READ_FIELDS = {
    ExportTraceServiceRequest: ("resource_spans",),
    ResourceSpans: ("resource", "scope_spans"),
    Resource: ("attributes",),
    ScopeSpans: ("scope", "spans"),
    InstrumentationScope: ("name",),
    Span: (
        "trace_id", "span_id", "parent_span_id", "name", "kind", "start_time_unix_nano", "end_time_unix_nano",
        "attributes", "status",
    ),
    Status: ("code",),
}  # fmt: skip


def _make_request_type() -> Any:
    """ExportTraceServiceRequest of READ_FIELDS alone, each attribute left as the bytes of its KeyValue.

    A message, a text and bytes are the same on the wire, as are enums and numbers.
    """
    package = "tokenledger.otlp"
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for official, wanted in READ_FIELDS.items():
        described = DescriptorProto()
        official.DESCRIPTOR.CopyToProto(described)
        message = file.message_type.add(name=described.name)
        for field in described.field:
            if field.name not in wanted:
                continue
            is_left = field.name == "attributes" or field.type == FieldDescriptorProto.TYPE_STRING
            if is_left or field.type == FieldDescriptorProto.TYPE_ENUM:
                field.type = FieldDescriptorProto.TYPE_BYTES if is_left else FieldDescriptorProto.TYPE_INT32
                field.ClearField("type_name")
            elif field.type_name:
                field.type_name = f".{package}.{field.type_name.rpartition('.')[2]}"
            message.field.append(field)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{package}.{ExportTraceServiceRequest.DESCRIPTOR.name}"))


_Request = _make_request_type()


def read_protobuf(body: bytes) -> list[SentSpan | UnreadableSpan]:
    """Every span of an ExportTraceServiceRequest, in order. Raises Problem."""
    try:
        request = _Request.FromString(body)
        check_count(sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans))
        found: list[SentSpan | UnreadableSpan] = []
        for resource_spans in request.resource_spans:
            of_resource = _read_attributes(resource_spans.resource.attributes, {})
            for scope_spans in resource_spans.scope_spans:
                scope = _read_text(scope_spans.scope.name)
                for span in scope_spans.spans:
                    found.append(_read_span(len(found), span, scope, of_resource))
    except DecodeError as error:
        raise Problem("body_malformed", "The body is no ExportTraceServiceRequest in protobuf.") from error
    return found


def _read_span(index: int, span: Any, scope: str, of_resource: dict[str, AttributeValue]) -> SentSpan | UnreadableSpan:
    trace_id, span_id, parent_span_id = span.trace_id, span.span_id, span.parent_span_id
    if fault := _find_id_fault(trace_id, span_id, parent_span_id):
        return UnreadableSpan(index, span_id.hex()[:16], fault)
    return SentSpan(
        index,
        trace_id.hex(),
        span_id.hex(),
        parent_span_id.hex() if any(parent_span_id) else "",
        clean_name(_read_text(span.name)),
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == STATUS_ERROR,
        scope,
        _read_attributes(span.attributes, of_resource),
    )


def _find_id_fault(trace_id: bytes, span_id: bytes, parent_span_id: bytes) -> str:
    """What is wrong with the ids; '' when nothing is."""
    if len(trace_id) != 16 or not any(trace_id):
        return TRACE_ID_FAULT
    if len(span_id) != 8 or not any(span_id):
        return SPAN_ID_FAULT
    if len(parent_span_id) not in (0, 8):
        return PARENT_ID_FAULT
    return ""


def _read_text(raw: bytes) -> str:
    """Text with U+FFFD for what is none: a name that was cut inside a character must not cost a booking."""
    return raw.decode("utf-8", "replace")


# --- attributes ---

KEY_FIELD = 0x0A  # a KeyValue's first byte: a field's number with its wire type, as in what follows
SHORT = 0x80  # below it a length is one byte
# A value of so many bytes, with its field, its length and its kind in front, begins so.
SHORT_TEXT = [b""] * 4 + [bytes((0x12, size - 2, 0x0A, size - 4)) for size in range(4, SHORT)]
SMALL_NUMBER = [b""] * 4 + [bytes((0x12, size - 2, 0x18)) for size in range(4, 8)]
MORE_FOLLOWS = [0] * 4 + [0x00, 0x80, 0x8080, 0x808080]  # the highest bit of each byte of a number but its last
REMEMBERED_MAX, REMEMBERED_BYTES_MAX = 4096, 200

_WANTED = {name.encode(): name for name in WANTED}
_OWN = OWN.encode()
_remembered: dict[bytes, Attribute] = {}


def _read_attributes(attributes: Sequence[bytes], of_resource: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Those that are wanted, by name; a span's own before its resource's."""
    found = of_resource.copy()
    for raw in attributes[:]:  # as a list: one by one takes twice as long
        if attribute := _remembered.get(raw) or _read_attribute(raw):
            found[attribute[0]] = attribute[1]
    return found


def _read_attribute(raw: bytes) -> Attribute | None:
    """A KeyValue that is wanted. Raises DecodeError.

    Nearly all have a short name and a short text or a small number, which are read here; protobuf reads the others.
    """
    if len(raw) < 2 or raw[0] != KEY_FIELD or raw[1] >= SHORT:
        return _read_any_attribute(raw)
    at = 2 + raw[1]
    name = _WANTED.get(raw[2:at])
    if name is None:
        return _read_any_attribute(raw) if raw.startswith(_OWN, 2) else None
    size = len(raw) - at
    if 4 <= size < SHORT:
        if raw[at : at + 4] == SHORT_TEXT[size]:
            value = raw[at + 4 :].decode("utf-8", "replace")
            return _remember(raw, name, value) if name in SAID_AGAIN else (name, value)
        if size < 8 and raw[at : at + 3] == SMALL_NUMBER[size]:
            bits = int.from_bytes(raw[at + 3 :], "little")
            if bits & 0x80808080 == MORE_FOLLOWS[size]:
                return name, bits & 0x7F | bits >> 1 & 0x3F80 | bits >> 2 & 0x1FC000 | bits >> 3 & 0xFE00000
    return _read_any_attribute(raw)


def _read_any_attribute(raw: bytes) -> Attribute | None:
    attribute = KeyValue.FromString(raw)
    name, value = attribute.key, _read_value(attribute.value)
    if name in SAID_AGAIN or name.startswith(OWN):
        return _remember(raw, name, value)
    return (name, value) if name in WANTED else None


def _remember(raw: bytes, name: str, value: AttributeValue) -> Attribute:
    """The attribute, kept by its bytes: thousands of spans are to say the same."""
    if len(_remembered) >= REMEMBERED_MAX:
        _remembered.clear()
    if len(raw) <= REMEMBERED_BYTES_MAX:
        _remembered[raw] = name, value
    return name, value


def _read_value(value: AnyValue) -> AttributeValue:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_read_value(item) for item in value.array_value.values[:LIST_ITEMS_MAX]]
    if kind is None or kind in ("kvlist_value", "string_value_strindex"):
        return None
    plain: AttributeValue = getattr(value, kind)
    return plain
