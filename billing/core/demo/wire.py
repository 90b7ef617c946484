"""A call as `POST /v1/events` takes it."""

from typing import Any

from billing.core.usage import Usage, UsageEvent

TEXTS = (
    "source", "provider", "model", "response_id", "requested_model", "operation", "environment", "feature", "user",
    "cost_center", "customer_tier", "session_id", "trace_id", "span_id", "parent_span_id", "service_tier", "region",
    "status", "finish_reason", "prompt_hash", "content_digest",
)  # fmt: skip


def write_event(event: UsageEvent) -> dict[str, Any]:
    """What is read back as the same event; of usage it knows tokens of text, as all of the demo's are."""
    wire: dict[str, Any] = {
        "id": event.event_id,
        "time": event.time.isoformat().replace("+00:00", "Z"),
        "usage": _write_usage(event.usage),
        "tags": dict(event.tags),
    }
    wire |= {name: text for name in TEXTS if (text := getattr(event, name))}
    if event.latency_ms is not None:
        wire["latency_ms"] = event.latency_ms
    if event.cache_hit:
        wire["cache_hit"] = True
    return wire


def _write_usage(usage: Usage) -> dict[str, int]:
    """Inclusive: what was read from a cache and written to one is part of the input."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    counts = {
        "input_tokens": usage.input_tokens + cached,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
    return {name: count for name, count in counts.items() if count}
