"""GET /v1/traces/{trace_id}: the spans of a trace, with what each cost."""

import re
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import read_query
from api.problems import Problem
from api.renderers import write_money, write_time
from api.schema import describe_call
from billing.selectors import Trace, TraceSpan, get_trace

TRACE_ID_LENGTH_MAX = 256
CURRENCY = "USD"


class TraceDetail(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_trace",
        summary="The spans of a trace, with what each cost",
        description=(
            "In the order in which they began. Spans are kept for 30 days, entries for good: what was booked without a "
            "span, or outlives it, stands as a span of its own. `complete` is false while a span still waits for its "
            "trace to be quiet."
        ),
        tag="reading",
        scope=required_scope,
        answers={200: "Trace"},
        problems=("trace_unknown",),
    )
    def get(self, request: Request, trace_id: str) -> Response:
        read_query(request.query_params, ())
        is_kept = len(trace_id) <= TRACE_ID_LENGTH_MAX and "\x00" not in trace_id
        trace = get_trace(tenant_id=request.auth.tenant_id, trace_id=trace_id) if is_kept else None
        if trace is None:
            hexadecimal = re.fullmatch(r"[0-9a-f]{32}", trace_id)
            raise Problem("trace_unknown", "" if hexadecimal else "A span's trace id is 32 hexadecimal digits.")
        return Response(write_trace(trace))


def write_trace(trace: Trace) -> dict[str, Any]:
    return {
        "trace_id": trace.trace_id,
        "complete": trace.is_complete,
        "billed_cost": write_money(trace.billed_cost),
        "unpriced": trace.unpriced,
        "currency": CURRENCY,
        "spans": [_write_span(span) for span in trace.spans],
    }


def _write_span(span: TraceSpan) -> dict[str, Any]:
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "name": span.name,
        "operation": span.operation,
        "service": span.service,
        "started_at": write_time(span.started_at),
        "duration_ms": span.duration_ms,
        "status": span.status,
        "billing": span.billing,
        "provider": span.provider,
        "model": span.model,
        **span.tokens,
        "billed_cost": write_money(span.billed_cost),
        "unpriced": span.unpriced,
        "entries": list(span.entries),
    }
