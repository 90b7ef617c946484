"""The bodies of POST /v1/events and of its answers, as JSON Schema. What they say, `api.parsing` enforces."""

from collections.abc import Mapping

from api.parsing.bodies import CLOUDEVENT, CLOUDEVENTS, EVENTS_PER_REQUEST_MAX, JSON, NDJSON
from api.parsing.events import (
    FIELDS,
    LATENCY_MS_MAX,
    METER_NAME,
    REQUIRED,
    TAG_NAME_LENGTH_MAX,
    TAG_VALUE_LENGTH_MAX,
    TAGS_MAX,
)
from api.shapes import COUNT, TEXT, TIME, USAGE_COLUMNS, UUID, Schema, describe_object, list_of, or_null, refer
from billing.core.usage import METERS_PER_EVENT_MAX, QUANTITY_MAX

NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 256}
WORD: Schema = {"type": "string", "maxLength": 256}
MOMENT: Schema = {"type": "string", "format": "date-time"}
TOKENS: Schema = {"type": "integer", "minimum": 0, "maximum": QUANTITY_MAX}
FIELD_MEANINGS = {
    "source": "What sends the events; with `id` it identifies an event that has no `response_id`.",
    "response_id": "The provider's own id of the answer: the same call reported twice is booked once.",
    "user": "The user as you know them. The ledger keeps a random reference, which can be forgotten.",
    "tenant": "Operators' keys alone: the tenant that this event belongs to.",
}

USAGE = describe_object(
    dict.fromkeys(USAGE_COLUMNS, TOKENS),
    optional=USAGE_COLUMNS,
    description="As OpenTelemetry counts: `input_tokens` includes cache reads, cache writes and other modalities, "
    "`output_tokens` includes reasoning. Any other meter has a name of its own: `images`, `audio_seconds`, …",
) | {
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": QUANTITY_MAX},
    "propertyNames": {"pattern": f"^{METER_NAME.pattern}$"},
    "maxProperties": METERS_PER_EVENT_MAX,
}
EVENT_FIELDS: Mapping[str, Schema] = {
    **{name: WORD | {"description": FIELD_MEANINGS.get(name, "")} for name in FIELDS},
    "id": NAME,
    "time": MOMENT | {"description": "When it was used: with a zone, at most 5 minutes ahead and 400 days ago."},
    "provider": NAME,
    "model": NAME,
    "usage": refer("Usage"),
    "provider_usage": {"type": "object", "description": "The provider's own usage object, instead of `usage`."},
    "latency_ms": {"type": "integer", "minimum": 0, "maximum": LATENCY_MS_MAX},
    "status": {"enum": ["ok", "error"]},
    "cache_hit": {"type": "boolean"},
    "tags": {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": TAG_VALUE_LENGTH_MAX},
        "propertyNames": {"maxLength": TAG_NAME_LENGTH_MAX},
        "maxProperties": TAGS_MAX,
    },
    "reported_cost": describe_object(
        {
            "amount": {"type": "string", "pattern": r"^[0-9]{1,11}(\.[0-9]{1,12})?$"},
            "currency": {"const": "USD"},
        },
        description="The provider's own figure: kept beside, never the price.",
    ),
}
EVENT = describe_object(EVENT_FIELDS, optional=[name for name in FIELDS if name not in REQUIRED]) | {
    "oneOf": [{"required": ["usage"]}, {"required": ["provider_usage"]}],
    "example": {
        "id": "req-8f1c",
        "source": "checkout",
        "time": "2026-11-22T05:00:00.123456Z",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "usage": {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300, "reasoning_tokens": 120},
        "feature": "summarizer",
    },
}
CLOUD_EVENT = describe_object(
    {
        "specversion": {"const": "1.0"},
        "id": NAME,
        "source": NAME,
        "type": {"type": "string", "minLength": 1},
        "time": MOMENT,
        "data": {"type": "object", "description": "An event without what its envelope says: `id`, `source`, `time`."},
    },
    optional=["time"],
    is_open=True,
    description="CloudEvents 1.0, structured.",
)

ITEM_PROBLEM = describe_object({"field": TEXT, "code": TEXT, "detail": TEXT})
ITEM_RESULT = describe_object(
    {
        "index": COUNT,
        "id": TEXT,
        "status": {"enum": ["accepted", "duplicate", "conflict", "invalid"]},
        "batch_id": UUID,
        "entry_id": TEXT,
        "code": TEXT,
        "detail": TEXT,
        "fields": list_of(TEXT) | {"description": "Of a conflict: the columns that differ from what is booked."},
        "problems": list_of(ITEM_PROBLEM),
    },
    optional=["batch_id", "entry_id", "code", "detail", "fields", "problems"],
)
BATCH = describe_object({"batch_id": UUID, "receipt": TEXT})
RECEIPT = describe_object(
    {
        "accepted": COUNT,
        "duplicates": COUNT,
        "conflicts": COUNT,
        "rejected": COUNT,
        "unpriced": COUNT,
        "batch_id": or_null(UUID),
        "receipt": or_null({"type": "string", "description": "JWS, EdDSA, over the batch's header."}),
        "results": list_of(refer("ItemResult")),
        "batches": list_of(BATCH) | {"description": "Where an operator's request made batches of several tenants."},
    },
    optional=["batches"],
    description="`results` lists what was not newly accepted; with `?results=all` every item, in order.",
)
REJECTED_EVENT = describe_object(
    {
        "id": UUID,
        "received_at": TIME,
        "key": TEXT,
        "event_id": TEXT,
        "code": TEXT,
        "detail": TEXT,
        "body": {"type": "string", "description": "As it was sent."},
        "replayed_at": or_null(TIME),
    }
)
EVENT_COMPONENTS: Mapping[str, Schema] = {
    "Usage": USAGE,
    "Event": EVENT,
    "CloudEvent": CLOUD_EVENT,
    "ItemResult": ITEM_RESULT,
    "Receipt": RECEIPT,
    "RejectedEvent": REJECTED_EVENT,
    "RejectedEvents": describe_object({"rejected": list_of(refer("RejectedEvent")), "next": or_null(UUID)}),
    "ReplayedEvent": describe_object(
        {"id": TEXT, "status": {"enum": ["accepted", "duplicate"]}, "entry_id": TEXT, "receipt": or_null(TEXT)}
    ),
}

EVENT_BODIES: Mapping[str, Schema] = {
    JSON: {
        "oneOf": [
            refer("Event"),
            {"type": "array", "items": refer("Event"), "minItems": 1, "maxItems": EVENTS_PER_REQUEST_MAX},
        ]
    },
    NDJSON: {"type": "string", "description": "One event a line."},
    CLOUDEVENT: refer("CloudEvent"),
    CLOUDEVENTS: {
        "type": "array",
        "items": refer("CloudEvent"),
        "minItems": 1,
        "maxItems": EVENTS_PER_REQUEST_MAX,
    },
}
EVENT_PROBLEMS = (
    "body_incomplete", "body_malformed", "body_empty", "body_too_large", "too_many_events", "content_type_unknown",
    "content_encoding_unknown", "nothing_booked", "atomic_spans_tenants",
)  # fmt: skip
