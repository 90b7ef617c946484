"""A call that was reported before: what its second report contradicts, and does not only leave out or add to."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing.core.spans.reading import SpanReading
from billing.core.usage import UsageEvent

INPUT_COLUMNS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
# To whom and as what it was charged is the first report's to say.
FIRST_REPORTS = frozenset(
    ("environment", "feature", "cost_center", "operation", "status", "region", "charge_period_start", "kind")
)


def find_contradictions(
    differing: Sequence[str], *, event: UsageEvent, reading: SpanReading, stored: Mapping[str, Any]
) -> tuple[str, ...]:
    """The columns of `differing` in which the span says otherwise than the stored entry.

    A span that knows of no cache says nothing of how its input divides: equal sums agree. What it does not say at
    all, a service tier or other meters, it does not deny.
    """
    usage = event.usage
    columns = [column for column in differing if column not in FIRST_REPORTS]
    silent = set()
    if not reading.knows_caches and _sum_input(stored) == usage.input_tokens + usage.cache_write_tokens:
        silent.update(INPUT_COLUMNS)
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
