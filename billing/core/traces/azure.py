"""Azure's LLM inference traces of 2023: one production service per file, a row a request, no model named."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from billing.core.traces.rows import (
    ZONE_LESS,
    ReadRow,
    Row,
    TracedCall,
    TraceOptions,
    parse_count,
    parse_time,
    read_each,
)
from billing.core.usage import Usage, UsageEvent

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")

# The trace names no model. Azure offered this one in November 2023, and it holds the largest request (14,089 tokens).
PROVIDER, MODEL = "azure", "gpt-35-turbo-16k"


def read_azure(rows: Iterable[tuple[int, Row]], options: TraceOptions) -> Iterator[ReadRow]:
    """Times are UTC without saying so, with seven decimals of which six are kept."""

    def read_row(line: int, row: Row) -> TracedCall:
        time, is_zone_less = parse_time(row, "TIMESTAMP")
        event = UsageEvent(
            event_id=f"{options.stem}:{line}",
            source="trace:azure",
            time=time + options.shift,
            usage=Usage(
                input_tokens=parse_count(row, "ContextTokens"), output_tokens=parse_count(row, "GeneratedTokens")
            ),
            tags={"trace": "azure", "model": "assumed"},
            provider=options.provider or PROVIDER,
            model=options.model or MODEL,
            feature=options.feature,
            environment=options.environment,
        )
        return TracedCall(line, event, (ZONE_LESS,) if is_zone_less else ())

    return read_each(rows, read_row)


def read_azure_time(row: Row) -> datetime:
    return parse_time(row, "TIMESTAMP")[0]
