"""OpenTelemetry spans, read: which of them are calls of a model, what they used, and which of a trace are billed.

Attribute names of every dialect stand in `names`; nothing outside this folder knows one. Texts of prompts and
answers are in no list of `names`, so they are never read.
"""

from billing.core.spans.leaves import (
    BOOKED,
    CALL,
    INSIDE,
    OTHER,
    REFUSED,
    SUMMARY,
    WAITING,
    SpanNode,
    decide_spans,
    settle_spans,
)
from billing.core.spans.names import OWN, SAID_AGAIN, WANTED, is_wanted
from billing.core.spans.reading import SentSpan, SpanReading, read_span
from billing.core.spans.saying import AttributeValue

__all__ = [
    "BOOKED", "CALL", "INSIDE", "OTHER", "OWN", "REFUSED", "SAID_AGAIN", "SUMMARY", "WAITING", "WANTED",
    "AttributeValue", "SentSpan", "SpanNode", "SpanReading", "decide_spans", "is_wanted", "read_span", "settle_spans",
]  # fmt: skip
