"""An entry that is no call: an act of a person, or a fee."""

from datetime import date, datetime
from typing import Any

from ledger.core.entries import NewEntry
from ledger.core.rows import first_of_month

OWN_SOURCE = "tokenledger"
EMPTY_TEXTS = (
    "response_id", "environment", "feature", "user_ref", "cost_center", "customer_tier", "session_id", "trace_id",
    "span_id", "parent_span_id", "provider", "model", "requested_model", "service_tier", "region", "finish_reason",
    "prompt_hash", "pricing_reason",
)  # fmt: skip
ZEROS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "context_tier", "input_cost", "cache_read_cost", "cache_write_cost", "output_cost",
    "other_cost", "billed_cost", "list_cost", "saved_cost", "calls",
)  # fmt: skip
NOTHING: dict[str, Any] = {
    **dict.fromkeys(EMPTY_TEXTS, ""),
    **dict.fromkeys(ZEROS, 0),
    "line": 0,
    "status": "ok",
    "latency_ms": None,
    "cache_hit": False,
    "other_usage": {},
    "pricing_status": "priced",
    "reported_cost": None,
}


def make_no_call(*, time: datetime, billing_period: date | None = None, **stated: Any) -> NewEntry:
    """Its money is zero and not unknown, its calls and usage are none and its texts empty, but for what is stated.

    billing_period: where it is charged in another month than that of its time.
    """
    return NewEntry(
        charge_period_start=time,
        billing_period=billing_period or first_of_month(time),
        event_source=OWN_SOURCE,
        **(NOTHING | stated),
    )
