"""What was used: one event as it is priced, and the way from a wire's usage to disjoint buckets.

On the wire `input_tokens` includes cache reads, cache writes and other modalities, and `output_tokens` includes
reasoning (OpenTelemetry GenAI). In the ledger the buckets are disjoint: no token stands in two of them.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

QUANTITY_MAX = 10**12
METERS_PER_EVENT_MAX = 40

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


class UsageInconsistent(ValueError):
    """A usage that cannot be: a part larger than its whole. Never clamped."""


def split_usage(wire: Mapping[str, int | Decimal]) -> Usage:
    """The disjoint buckets of an inclusive usage whose values are already known to be quantities >= 0.

    >>> split_usage({"input_tokens": 120, "cache_read_tokens": 30, "cache_write_tokens": 10}).input_tokens
    80
    """
    rest = dict(wire)
    total_input = rest.pop("input_tokens", 0)
    cache_read = rest.pop("cache_read_tokens", 0)
    cache_write = rest.pop("cache_write_tokens", 0)
    cache_write_1h = rest.pop("cache_write_1h_tokens", 0)
    total_output = rest.pop("output_tokens", 0)
    reasoning = rest.pop("reasoning_tokens", 0)
    if rest:
        return _split_modalities(rest, total_input, cache_read, cache_write, cache_write_1h, total_output, reasoning)
    if cache_read + cache_write + cache_write_1h > total_input:
        raise UsageInconsistent(
            _too_large(
                {
                    "cache_read_tokens": cache_read,
                    "cache_write_tokens": cache_write,
                    "cache_write_1h_tokens": cache_write_1h,
                },
                "input_tokens",
                total_input,
            )
        )
    if reasoning > total_output:
        raise UsageInconsistent(_too_large({"reasoning_tokens": reasoning}, "output_tokens", total_output))
    return Usage(
        total_input - cache_read - cache_write - cache_write_1h,
        cache_read,
        cache_write,
        cache_write_1h,
        total_output,
        reasoning,
    )


def _split_modalities(
    rest: dict[str, int | Decimal],
    total_input: int,
    cache_read: int,
    cache_write: int,
    cache_write_1h: int,
    total_output: int,
    reasoning: int,
) -> Usage:
    """The same where audio, images or other meters are counted as well."""
    cached_parts: dict[str, int] = {name: rest[name] for name in INSIDE_CACHE_READ if rest.get(name)}
    if sum(cached_parts.values()) > cache_read:
        raise UsageInconsistent(_too_large(cached_parts, "cache_read_tokens", cache_read))
    for cached, whole in INSIDE_CACHE_READ.items():
        if rest.get(cached):
            if rest[cached] > rest.get(whole, 0):
                raise UsageInconsistent(_too_large({cached: rest[cached]}, whole, rest.get(whole, 0)))
            rest[whole] -= rest[cached]
    input_parts: dict[str, int] = {name: rest[name] for name in INSIDE_INPUT if rest.get(name)}
    caches = {
        "cache_read_tokens": cache_read,
        "cache_write_tokens": cache_write,
        "cache_write_1h_tokens": cache_write_1h,
    }
    inside = sum(input_parts.values()) + sum(caches.values())
    if inside > total_input:
        raise UsageInconsistent(_too_large(caches | input_parts, "input_tokens", total_input))
    output_parts: dict[str, int] = {name: rest[name] for name in INSIDE_OUTPUT if rest.get(name)}
    if sum(output_parts.values()) + reasoning > total_output:
        raise UsageInconsistent(
            _too_large(output_parts | {"reasoning_tokens": reasoning}, "output_tokens", total_output)
        )
    return Usage(
        total_input - inside,
        cache_read - sum(cached_parts.values()),
        cache_write,
        cache_write_1h,
        total_output - sum(output_parts.values()),
        reasoning,
        {name: quantity for name, quantity in sorted(rest.items()) if quantity},
    )


def _too_large(parts: Mapping[str, int], whole: str, total: int) -> str:
    """The sentence that names the parts and the whole which they exceed."""
    named = [f"{name} {quantity}" for name, quantity in parts.items() if quantity]
    return f"{' + '.join(named)} exceed {whole} {total}"
