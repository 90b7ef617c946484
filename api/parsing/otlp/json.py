"""An export request in JSON, as spans: each is decoded by itself, so that a malformed one costs itself alone."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

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
from billing.core.spans import AttributeValue, SentSpan, is_wanted

INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1

T = TypeVar("T")

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_INTEGER = re.compile(r"-?[0-9]{1,20}")


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: "_Values | None" = None


class _Values(msgspec.Struct):
    values: list[_Value] = []


class _Attribute(msgspec.Struct):
    key: str = ""
    value: _Value | None = None


class _Resource(msgspec.Struct):
    attributes: list[_Attribute] = []


class _Scope(msgspec.Struct):
    name: str = ""


class _Status(msgspec.Struct):
    code: int = 0


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: int = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_Attribute] = []
    status: _Status | None = None


class _ScopeSpans(msgspec.Struct):
    scope: _Scope | None = None
    spans: list[msgspec.Raw] = []


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] = []


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] = []


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_span = msgspec.json.Decoder(_Span).decode


SPAN_NAMES = "resourceSpans, scopeSpans and spans"
NESTING = "spans stand in scopeSpans, and those in resourceSpans"
_OTHER_NAMES = re.compile(
    rb'"(resource_spans|scope_spans|instrumentation_library_spans|instrumentationLibrarySpans)"[ \t\r\n]*:'
)

# An escaped backslash, a whole pair of surrogates, or half of one.
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _mend_text(body: bytes) -> bytes:
    """The body with U+FFFD for what is no text: a prompt that was cut inside a character must not cost a booking."""
    mended = body.decode("utf-8", "replace").encode()
    return _SURROGATES.sub(lambda found: b"\\ufffd" if found["half"] else found[0], mended)


def _decode(decode: Callable[[bytes], T], text: bytes) -> T:
    """What `decode` makes of a text, mended where it must be. Raises ValueError, RecursionError."""
    try:
        return decode(text)
    except msgspec.ValidationError:
        raise
    except ValueError:
        return decode(_mend_text(text))


def read_json(body: bytes) -> list[SentSpan | UnreadableSpan]:
    """Every span of an ExportTraceServiceRequest, in order. Raises Problem."""
    try:
        request = _decode(_decode_request, body or b"{}")
        count = sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
        check_count(count)
        if count == 0:
            _refuse_other_names(body)
        found: list[SentSpan | UnreadableSpan] = []
        for resource_spans in request.resource_spans:
            resource = resource_spans.resource
            of_resource = dict(_pick(resource.attributes)) if resource else {}
            for scope_spans in resource_spans.scope_spans:
                scope = scope_spans.scope.name if scope_spans.scope else ""
                for raw in scope_spans.spans:
                    found.append(_read_span(len(found), raw, scope, of_resource))
    except RecursionError as error:
        raise Problem("body_malformed", "The body is nested too deep to be read.") from error
    except ValueError as error:  # msgspec's own, and an integer in words
        raise Problem("body_malformed", f"The body is no ExportTraceServiceRequest in JSON: {error}.") from error
    return found


def _refuse_other_names(body: bytes) -> None:
    """Raises Problem for a body without a span that has fields, and not those in which spans stand.

    The protocol passes over unknown names; here all that was sent would be lost without a word.
    """
    if found := _OTHER_NAMES.search(body):
        other = found[1].decode()
        raise Problem("body_malformed", f"The name {other!r} is none of OTLP's JSON: write {SPAN_NAMES}.")
    names = _decode(_decode_names, body or b"{}")
    if names and "resourceSpans" not in names:
        raise Problem("body_malformed", f"The body holds no resourceSpans, but {sorted(names)[0][:80]!r}: {NESTING}.")


def _read_span(
    index: int, raw: msgspec.Raw, scope: str, of_resource: dict[str, AttributeValue]
) -> SentSpan | UnreadableSpan:
    try:
        span = _decode(_decode_span, bytes(raw))
        started_ns = _read_integer(span.start_time_unix_nano, UINT64_MAX)
        ended_ns = _read_integer(span.end_time_unix_nano, UINT64_MAX)
        attributes = dict(_pick(span.attributes))
    except (ValueError, RecursionError) as error:
        return UnreadableSpan(index, "", f"the span cannot be read: {error}")
    trace_id, span_id, parent_span_id = span.trace_id.lower(), span.span_id.lower(), span.parent_span_id.lower()
    if parent_span_id == "0000000000000000":
        parent_span_id = ""
    if fault := _find_id_fault(trace_id, span_id, parent_span_id):
        return UnreadableSpan(index, "", fault)
    return SentSpan(
        index,
        trace_id,
        span_id,
        parent_span_id,
        clean_name(span.name),
        span.kind,
        started_ns,
        ended_ns,
        span.status is not None and span.status.code == STATUS_ERROR,
        scope,
        of_resource | attributes if attributes else of_resource,
    )


def _find_id_fault(trace_id: str, span_id: str, parent_span_id: str) -> str:
    """What is wrong with the ids; '' when nothing is."""
    if not _TRACE_ID.fullmatch(trace_id):
        return TRACE_ID_FAULT
    if not _SPAN_ID.fullmatch(span_id):
        return SPAN_ID_FAULT
    if parent_span_id and not _SPAN_ID.fullmatch(parent_span_id):
        return PARENT_ID_FAULT
    return ""


def _pick(attributes: Iterable[_Attribute]) -> Iterator[tuple[str, AttributeValue]]:
    """Raises ValueError for an integer that is none."""
    for attribute in attributes:
        if attribute.value is not None and is_wanted(attribute.key):
            yield attribute.key, _read_value(attribute.value)


def _read_value(value: _Value) -> AttributeValue:
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _read_integer(value.int_value, INT64_MAX)
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return value.double_value
    if value.array_value is not None:
        return [_read_value(item) for item in value.array_value.values[:LIST_ITEMS_MAX]]
    return None


def _read_integer(value: int | str, most: int) -> int:
    """Raises ValueError."""
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise ValueError(f"{value[:40]!r} is no integer")
        value = int(value)
    if not -most - 1 <= value <= most:
        raise ValueError(f"{value} has more than 64 bits")
    return value
