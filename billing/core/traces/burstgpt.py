"""BurstGPT: calls of ChatGPT and GPT-4 on a campus, in seconds since the start."""

from collections.abc import Iterable, Iterator

from billing.core.traces.rows import (
    FAILED,
    ReadRow,
    Row,
    RowUnreadable,
    TracedCall,
    TraceOptions,
    parse_count,
    parse_offset,
    read_each,
)
from billing.core.usage import Usage, UsageEvent

COLUMNS = ("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type")

# "ChatGPT" is GPT-3.5 (BurstGPT, section 3); any other name stands for itself.
MODELS = {"ChatGPT": "gpt-3.5-turbo", "GPT-4": "gpt-4"}


def read_burstgpt(rows: Iterable[tuple[int, Row]], options: TraceOptions) -> Iterator[ReadRow]:
    """A row without response tokens is a call that failed."""

    def read_row(line: int, row: Row) -> TracedCall:
        if not row["Model"]:
            raise RowUnreadable("Model is empty")
        response_tokens = parse_count(row, "Response tokens")
        is_failed = response_tokens == 0
        event = UsageEvent(
            event_id=f"{options.stem}:{line}",
            source="trace:burstgpt",
            time=options.start + parse_offset(row, "Timestamp", microseconds=1_000_000),
            usage=Usage(input_tokens=parse_count(row, "Request tokens"), output_tokens=response_tokens),
            requested_model=row["Model"],
            status="error" if is_failed else "ok",
            tags={"trace": "burstgpt", "log_type": row.get("Log Type") or ""},
            provider=options.provider or "openai",
            model=options.model or MODELS.get(row["Model"], row["Model"]),
            feature=options.feature,
            environment=options.environment,
        )
        return TracedCall(line, event, (FAILED,) if is_failed else ())

    return read_each(rows, read_row)
