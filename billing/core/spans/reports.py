"""Several reports of one call: what they know together, and what a later one says otherwise."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from billing.core.spans.reading import SpanReading
from billing.core.usage import Usage, UsageEvent

INPUT_COLUMNS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
# To whom and as what it was charged is the first report's to say.
FIRST_REPORTS = frozenset(
    ("environment", "feature", "cost_center", "operation", "status", "region", "charge_period_start", "kind")
)


def merge_reports(
    event: UsageEvent, reading: SpanReading, others: Iterable[tuple[UsageEvent, SpanReading]]
) -> UsageEvent:
    """The event of a call that stacked instrumentations reported together, each knowing something else.

    The response id, where the others know one, so that a callback is recognised later; and how the input divides,
    where they know it of the same sums. Everything else is `event`'s own.
    """
    knows_caches = reading.knows_caches
    for other, other_reading in others:
        if other.response_id and not event.response_id:
            event = msgspec.structs.replace(event, response_id=other.response_id, event_id=other.response_id)
        if other_reading.knows_caches and not knows_caches and _sums(other.usage) == _sums(event.usage):
            event = msgspec.structs.replace(event, usage=other.usage)
            knows_caches = True
    return event


def _sums(usage: Usage) -> tuple[int, int]:
    caches = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    return usage.input_tokens + caches, usage.output_tokens


def find_contradictions(
    differing: Sequence[str], *, event: UsageEvent, reading: SpanReading, stored: Mapping[str, Any]
) -> tuple[str, ...]:
    """The columns of `differing` in which the span says otherwise than the stored entry.

    A span that knows of no cache says nothing of how its input divides: equal sums agree. What it does not say at
    all, a service tier or other meters, it does not deny; nor how long what was written to a cache is kept.
    """
    usage = event.usage
    columns = [column for column in differing if column not in FIRST_REPORTS]
    silent: set[str] = set()
    if not reading.knows_caches and _sum_input(stored) == usage.input_tokens + usage.cache_write_tokens:
        silent.update(INPUT_COLUMNS)
    writes = int(stored.get("cache_write_tokens", 0)) + int(stored.get("cache_write_1h_tokens", 0))
    if not reading.knows_hours and writes == usage.cache_write_tokens:
        silent.update(("cache_write_tokens", "cache_write_1h_tokens"))
    if not reading.says_tier:
        silent.add("service_tier")
    if not usage.reasoning_tokens:
        silent.add("reasoning_tokens")
    if not usage.other:
        silent.add("other_usage")
    if event.reported_cost is None:
        silent.add("reported_cost")
    if not event.cache_hit:
        silent.add("cache_hit")
    return tuple(column for column in columns if column not in silent)


def _sum_input(stored: Mapping[str, Any]) -> int:
    return sum(int(stored.get(column, 0)) for column in INPUT_COLUMNS)
