"""Exgentic: OpenTelemetry spans of one coding agent."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from billing.core.traces.rows import (
    FAILED,
    SHARED_RESPONSE_ID,
    ZONE_LESS,
    ReadRow,
    Row,
    RowUnreadable,
    SkippedRow,
    TracedCall,
    TraceOptions,
    parse_count,
    parse_milliseconds,
    parse_time,
    read_each,
)
from billing.core.usage import Usage, UsageEvent

COLUMNS = (
    "span_id", "span_type", "operation_name", "start_time_iso", "duration_ms", "request_model", "response_model",
    "response_id", "input_tokens", "output_tokens", "is_error", "finish_reasons", "session_id",
)  # fmt: skip
MODEL_CALLS = {"chat", "text_completion", "generate_content", "embeddings"}


def read_exgentic(rows: Iterable[tuple[int, Row]], options: TraceOptions) -> Iterator[ReadRow]:
    """Model calls only: an agent's or a tool's span repeats the tokens of its children.

    A response id that comes again with the same figures is the same call, which the ledger finds out by the id. With
    other figures it is another call, and one id cannot name both: the later is known by its span, its id a tag.
    """
    figures_by_response: dict[str, tuple[object, ...]] = {}

    def read_row(line: int, row: Row) -> TracedCall | SkippedRow:
        if row["span_type"] not in ("", "llm_call") or (row["operation_name"] or "chat") not in MODEL_CALLS:
            return SkippedRow(line, "not_a_model_call")
        model = row["response_model"] or row["request_model"]
        input_tokens, output_tokens = parse_count(row, "input_tokens"), parse_count(row, "output_tokens")
        if not model and not options.model:
            if input_tokens or output_tokens:
                raise RowUnreadable("response_model and request_model are empty, and tokens were used: name a model")
            return SkippedRow(line, "no_model_no_tokens")
        if not row["span_id"]:
            raise RowUnreadable("span_id is empty")
        provider, _, name = model.partition("/") if "/" in model else ("unknown", "", model)
        time, is_zone_less = parse_time(row, "start_time_iso")
        is_failed = row["is_error"].lower() == "true"
        figures = (model, input_tokens, output_tokens, is_failed)
        is_shared = figures_by_response.setdefault(row["response_id"], figures) != figures and bool(row["response_id"])
        tags = {"trace": "exgentic", "benchmark": row.get("benchmark") or "", "harness": row.get("harness") or ""}
        event = UsageEvent(
            event_id=row["span_id"],
            source="trace:exgentic",
            time=time + options.shift,
            usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
            response_id="" if is_shared else row["response_id"],
            requested_model=row["request_model"],
            operation=row["operation_name"] or "chat",
            session_id=row["session_id"],
            span_id=row["span_id"],
            status="error" if is_failed else "ok",
            finish_reason=_parse_finish_reason(row),
            latency_ms=parse_milliseconds(row, "duration_ms") or None,  # 0.0: a failure that was not timed
            tags=tags | ({"response_id": row["response_id"]} if is_shared else {}),
            provider=options.provider or provider,
            model=options.model or name,
            feature=options.feature,
            environment=options.environment,
        )
        found = {ZONE_LESS: is_zone_less, FAILED: is_failed, SHARED_RESPONSE_ID: is_shared}
        return TracedCall(line, event, tuple(mark for mark, is_so in found.items() if is_so))

    return read_each(rows, read_row)


def read_exgentic_time(row: Row) -> datetime:
    return parse_time(row, "start_time_iso")[0]


def _parse_finish_reason(row: Row) -> str:
    """The first reason of `["tool_calls"]`; '' where there is none, as for a call that failed."""
    try:
        reasons = json.loads(row["finish_reasons"] or "[]")
    except ValueError:
        raise RowUnreadable("finish_reasons: expected a JSON list") from None
    return str(reasons[0]) if isinstance(reasons, list) and reasons else ""
