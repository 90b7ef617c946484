"""One team's coding assistant: requests by session, in seconds since the session's start."""

from collections.abc import Iterable, Iterator

from billing.core.traces.rows import (
    ReadRow,
    Row,
    RowUnreadable,
    TracedCall,
    TraceOptions,
    parse_count,
    parse_milliseconds,
    parse_offset,
    read_each,
)
from billing.core.usage import Usage, UsageEvent

COLUMNS = (
    "session_id", "turn_index", "request_arrival_delta_s", "model_id", "input_tokens", "output_tokens", "api_time_s",
)  # fmt: skip


def read_claude_code(rows: Iterable[tuple[int, Row]], options: TraceOptions) -> Iterator[ReadRow]:
    """Every session begins at the start. The whole prompt is input: the trace says nothing of what was cached."""

    def read_row(line: int, row: Row) -> TracedCall:
        for column in ("session_id", "turn_index", "model_id"):
            if not row[column]:
                raise RowUnreadable(f"{column} is empty")
        event = UsageEvent(
            event_id=f"{row['session_id']}:{row['turn_index']}",
            source="trace:claude-code",
            time=options.start + parse_offset(row, "request_arrival_delta_s", microseconds=1_000_000),
            usage=Usage(input_tokens=parse_count(row, "input_tokens"), output_tokens=parse_count(row, "output_tokens")),
            session_id=row["session_id"],
            latency_ms=parse_milliseconds(row, "api_time_s", per=1000),
            tags={"trace": "claude-code"},
            provider=options.provider or "anthropic",
            model=options.model or row["model_id"],
            feature=options.feature,
            environment=options.environment,
        )
        return TracedCall(line, event)

    return read_each(rows, read_row)
