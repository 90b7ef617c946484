"""The OpenTelemetry protocol over HTTP: a body in protobuf or JSON, as spans, and the answer in the same encoding.

The specification is "OTLP Specification 1.x", section OTLP/HTTP: JSON has hexadecimal ids, enums as numbers, 64-bit
integers as text or numbers, lowerCamelCase names, and unknown names are passed over.
"""

from api.parsing.bodies import JSON
from api.parsing.otlp.answers import write_response
from api.parsing.otlp.bounds import UnreadableSpan
from api.parsing.otlp.json import read_json
from api.parsing.otlp.protobuf import read_protobuf
from api.problems import PROTOBUF
from billing.core.spans import SentSpan

__all__ = ["CONTENT_TYPES", "UnreadableSpan", "read_spans", "write_response"]

CONTENT_TYPES = (PROTOBUF, JSON)


def read_spans(body: bytes, *, content_type: str) -> list[SentSpan | UnreadableSpan]:
    """Every span of an export request, in order. Raises Problem: body_malformed, too_many_events."""
    return read_protobuf(body) if content_type == PROTOBUF else read_json(body)
