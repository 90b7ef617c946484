"""A usage event as it stands in a request, and the bounds of its fields."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

DEPTH_MAX = 16
EVENT_BYTES_MAX = 256_000
TAGS_MAX = 50
TAG_NAME_LENGTH_MAX, TAG_VALUE_LENGTH_MAX = 128, 512
LATENCY_MS_MAX = 10**9
TEXT_LENGTH_MAX = 256

Name = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
Optional = Text | UnsetType
Tags = Annotated[
    dict[Annotated[str, Meta(max_length=TAG_NAME_LENGTH_MAX)], Annotated[str, Meta(max_length=TAG_VALUE_LENGTH_MAX)]],
    Meta(max_length=TAGS_MAX),
]


class WireEvent(msgspec.Struct, forbid_unknown_fields=True):
    """One event as it is sent; what was left out stays UNSET."""

    id: Name
    time: Name
    provider: Name
    model: Name
    usage: dict[str, Any] | UnsetType = UNSET
    provider_usage: dict[str, Any] | UnsetType = UNSET
    source: Optional = UNSET
    operation: Optional = UNSET
    response_id: Optional = UNSET
    requested_model: Optional = UNSET
    feature: Optional = UNSET
    environment: Optional = UNSET
    user: Optional = UNSET
    cost_center: Optional = UNSET
    customer_tier: Optional = UNSET
    prompt_hash: Optional = UNSET
    content_digest: Optional = UNSET
    session_id: Optional = UNSET
    trace_id: Optional = UNSET
    span_id: Optional = UNSET
    parent_span_id: Optional = UNSET
    service_tier: Optional = UNSET
    region: Optional = UNSET
    latency_ms: Annotated[int, Meta(ge=0, le=LATENCY_MS_MAX)] | UnsetType = UNSET
    status: Optional = UNSET
    finish_reason: Optional = UNSET
    cache_hit: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    reported_cost: dict[str, Any] | UnsetType = UNSET
    reservation_id: Optional = UNSET
    tenant: Optional = UNSET


FIELDS = WireEvent.__struct_fields__
REQUIRED = ("id", "time", "provider", "model")
