"""What `billing` hands down to be kept: one finished line of the ledger."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

PICO = 10**12  # money inside the process is a whole number of pico-units: NUMERIC(24,12) without a point
MONEY_PICO_MAX = 10**24 - 1
OWN_TAGS = "tokenledger."  # what begins so was written by us, and not by who sent the event
RULE_TAG = f"{OWN_TAGS}mapping_rule"  # on an entry whose cost centre was not sent: the rule that gave it


class NewEntry(msgspec.Struct, frozen=True, gc=False):
    """One entry before it has a batch: identity, attribution, disjoint usage, money in pico-units.

    `key` and `fingerprint` are 16 bytes each (see `ledger.core.identity`). The eight costs are all None exactly
    when `pricing_status` is `unpriced`; `billed_cost` is the sum of the five meters' costs.
    """

    key: bytes
    fingerprint: bytes
    line: int
    charge_period_start: datetime
    billing_period: date
    event_source: str
    event_id: str
    response_id: str
    environment: str
    feature: str
    user_ref: str
    cost_center: str
    customer_tier: str
    session_id: str
    trace_id: str
    span_id: str
    parent_span_id: str
    tags: Mapping[str, str]
    operation: str
    provider: str
    model: str
    requested_model: str
    service_tier: str
    region: str
    status: str
    finish_reason: str
    latency_ms: int | None
    cache_hit: bool
    prompt_hash: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    other_usage: Mapping[str, int | Decimal]
    pricing_status: str
    pricing_reason: str
    rate_version_id: int | None
    rate_version_hash: str  # hex SHA-256 of the price list, '' when unpriced; part of the leaf, not a column
    context_tier: int
    input_cost: int | None
    cache_read_cost: int | None
    cache_write_cost: int | None
    output_cost: int | None
    other_cost: int | None
    billed_cost: int | None
    list_cost: int | None
    saved_cost: int | None
    reported_cost: int | None
    kind: str = "usage"
    corrects: str | None = None
    calls: int = 1
    content_digest: str = ""
    currency: str = "USD"


class NewBatch(msgspec.Struct, frozen=True):
    """One request's entries, ready to be kept together."""

    batch_id: UUID  # version 7
    recorded_at: datetime
    api_key_id: str
    kind: str
    entries: list[NewEntry]
