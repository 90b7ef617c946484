"""Spans of OpenTelemetry: booked once for each call, kept for the waterfall, settled when their trace is quiet.

`intake.book_spans` is the door; `kept` alone touches the tables `trace` and `span`. What is billed of a trace is
decided in `billing.core.spans.leaves`.
"""

from billing.spans.intake import RefusedSpan, SpanReceipt, TakenSpan, book_spans
from billing.spans.kept import SPANS_KEPT_DAYS, prune_spans
from billing.spans.waiting import QUIET_SECONDS, settle_traces

__all__ = [
    "QUIET_SECONDS",
    "SPANS_KEPT_DAYS",
    "RefusedSpan",
    "SpanReceipt",
    "TakenSpan",
    "book_spans",
    "prune_spans",
    "settle_traces",
]
