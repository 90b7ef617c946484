"""What was used: one event as it is priced, and the way from a wire's usage to disjoint buckets.

On the wire `input_tokens` includes cache reads, cache writes and other modalities, and `output_tokens` includes
reasoning (OpenTelemetry GenAI). In the ledger the buckets are disjoint: no token stands in two of them.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

QUANTITY_MAX = 10**12
METERS_PER_EVENT_MAX = 40

# What has a column of its own in the ledger.
OWN_BUCKETS = frozenset((
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
))  # fmt: skip
# Every other meter name stands for itself, apart from tokens: `images`, `audio_seconds`, `searches`, …
INSIDE_INPUT = ("audio_input_tokens", "image_input_tokens", "video_input_tokens")
INSIDE_OUTPUT = ("audio_output_tokens", "image_output_tokens", "video_output_tokens")
INSIDE_CACHE_READ = {
    "audio_cache_read_tokens": "audio_input_tokens",
    "image_cache_read_tokens": "image_input_tokens",
    "video_cache_read_tokens": "video_input_tokens",
}


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Disjoint quantities of one call; `reasoning_tokens` alone is a memo inside `output_tokens`."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    other: Mapping[str, int | Decimal] = {}


class UsageEvent(msgspec.Struct, frozen=True, gc=False):
    """One call of a model, as it was reported; text is '' where nothing was said."""

    event_id: str
    source: str
    time: datetime  # aware, UTC
    provider: str
    model: str
    usage: Usage
    response_id: str = ""
    requested_model: str = ""
    operation: str = "chat"
    environment: str = "production"
    feature: str = ""
    user: str = ""  # as the engineers send it; the ledger keeps a random reference
    cost_center: str = ""
    customer_tier: str = ""
    session_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    service_tier: str = "standard"
    region: str = ""
    status: str = "ok"  # ok, error
    finish_reason: str = ""
    latency_ms: int | None = None
    cache_hit: bool = False
    prompt_hash: str = ""
    tags: Mapping[str, str] = {}
    reported_cost: Decimal | None = None  # USD, the provider's own figure, at most 12 decimals
    content_digest: str = ""  # of the logged prompt and completion


class UsageInconsistent(ValueError):
    """A usage that cannot be: a part larger than its whole. Never clamped."""


def split_usage(wire: Mapping[str, int | Decimal]) -> Usage:
    """The disjoint buckets of an inclusive usage: quantities >= 0, those of tokens whole. Raises UsageInconsistent.

    >>> split_usage({"input_tokens": 120, "cache_read_tokens": 30, "cache_write_tokens": 10}).input_tokens
    80
    """
    total_input, total_output = int(wire.get("input_tokens", 0)), int(wire.get("output_tokens", 0))
    cache_read, reasoning = int(wire.get("cache_read_tokens", 0)), int(wire.get("reasoning_tokens", 0))
    cache_write = int(wire.get("cache_write_tokens", 0))
    cache_write_1h = int(wire.get("cache_write_1h_tokens", 0))
    parts = _NO_PARTS
    fresh_input = total_input - cache_read - cache_write - cache_write_1h
    plain_output = total_output
    if not wire.keys() <= OWN_BUCKETS:
        rest = {name: quantity for name, quantity in wire.items() if name not in OWN_BUCKETS}
        parts = _split_modalities(rest, cache_read)
        fresh_input -= sum(parts.input.values())
        plain_output -= sum(parts.output.values())
    if fresh_input < 0:
        caches = {
            "cache_read_tokens": cache_read,
            "cache_write_tokens": cache_write,
            "cache_write_1h_tokens": cache_write_1h,
        }
        raise UsageInconsistent(_too_large(caches | parts.input, "input_tokens", total_input))
    if reasoning > plain_output:
        outputs = parts.output | {"reasoning_tokens": reasoning}
        raise UsageInconsistent(_too_large(outputs, "output_tokens", total_output))
    return Usage(
        fresh_input,
        cache_read - sum(parts.cache_read.values()) if parts.cache_read else cache_read,
        cache_write,
        cache_write_1h,
        plain_output,
        reasoning,
        parts.other,
    )


class _Parts(NamedTuple):
    """What is counted besides text: by the whole that it stands inside, and all of it as it is booked."""

    input: dict[str, int]  # without what of it was read from a cache
    cache_read: dict[str, int]
    output: dict[str, int]
    other: dict[str, int | Decimal]


_NO_PARTS = _Parts({}, {}, {}, {})


def _split_modalities(rest: dict[str, int | Decimal], cache_read: int) -> _Parts:
    """Audio, images, video and every further meter, disjoint."""
    cached = {name: int(rest[name]) for name in INSIDE_CACHE_READ if rest.get(name)}
    if sum(cached.values()) > cache_read:
        raise UsageInconsistent(_too_large(cached, "cache_read_tokens", cache_read))
    for name, quantity in cached.items():
        whole = INSIDE_CACHE_READ[name]
        total = int(rest.get(whole, 0))
        if quantity > total:
            raise UsageInconsistent(_too_large({name: quantity}, whole, total))
        rest[whole] = total - quantity
    return _Parts(
        {name: int(rest[name]) for name in INSIDE_INPUT if rest.get(name)},
        cached,
        {name: int(rest[name]) for name in INSIDE_OUTPUT if rest.get(name)},
        {name: quantity for name, quantity in sorted(rest.items()) if quantity},
    )


def _too_large(parts: Mapping[str, int], whole: str, total: int) -> str:
    """The sentence that names the parts and the whole which they exceed."""
    named = [f"{name} {quantity}" for name, quantity in parts.items() if quantity]
    return f"{' + '.join(named)} exceed {whole} {total}"
