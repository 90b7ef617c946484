"""The bodies of booking, as JSON Schema: events in, receipts out."""

from typing import Any

from api.parsing.bodies import CLOUDEVENT, CLOUDEVENTS, EVENTS_PER_REQUEST_MAX, JSON, NDJSON
from api.problems import PROTOBUF
from billing.core.usage import METERS_PER_EVENT_MAX, QUANTITY_MAX
from billing.core.wire import DEPTH_MAX, FIELDS, LATENCY_MS_MAX, REQUIRED, TAG_VALUE_LENGTH_MAX, TAGS_MAX

Schema = dict[str, Any]

NO_NUL = r"^[^\u0000]*$"
TEXT: Schema = {"type": "string", "maxLength": 256, "pattern": NO_NUL}
NAME: Schema = TEXT | {"minLength": 1}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


USAGE: Schema = {
    "type": "object",
    "description": "Quantities by meter, inclusive as in OpenTelemetry: `input_tokens` includes cache reads and "
    "writes and other modalities, `output_tokens` includes reasoning. Any further meter stands for itself: "
    "`images`, `audio_seconds`, `searches`, …",
    "properties": {
        name: {"type": "integer", "minimum": 0, "maximum": QUANTITY_MAX}
        for name in (
            "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
            "reasoning_tokens",
        )
    },
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": QUANTITY_MAX},
    "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
    "maxProperties": METERS_PER_EVENT_MAX,
}  # fmt: skip

_SPECIAL: dict[str, Schema] = {
    **dict.fromkeys(REQUIRED, NAME),
    "time": {
        "type": "string",
        "format": "date-time",
        "description": "When the call was made, with a zone; within the last 400 days (older with the scope "
        "`backfill`) and at most 5 minutes ahead.",
    },
    "usage": USAGE,
    "provider_usage": {
        "type": "object",
        "description": "The provider's own usage object, or the whole answer around it, instead of `usage`; at most "
        f"{DEPTH_MAX} levels deep. `docs/provider-usage.md` says how each is read.",
    },
    "latency_ms": {"type": "integer", "minimum": 0, "maximum": LATENCY_MS_MAX},
    "status": {"enum": ["ok", "error"]},
    "cache_hit": {"type": "boolean", "description": "Answered from a cache of responses: no call was paid."},
    "content_digest": {
        "type": "string",
        "pattern": "^(sha256:[0-9a-f]{64})?$",
        "description": "Of the event's prompt and completion, as `POST /v1/content` answered it.",
    },
    "tags": {
        "type": "object",
        "maxProperties": TAGS_MAX,
        "additionalProperties": TEXT | {"maxLength": TAG_VALUE_LENGTH_MAX},
    },
    "reported_cost": {
        "type": "object",
        "properties": {
            "amount": {"type": "string", "pattern": r"^[0-9]{1,11}(\.[0-9]{1,12})?$"},
            "currency": {"const": "USD"},
        },
        "required": ["amount", "currency"],
        "additionalProperties": False,
    },
    "reservation_id": TEXT | {"description": "What `POST /v1/quota/check` held for the call: it is let go of."},
    "tenant": TEXT | {"description": "The tenant's slug; for operators' keys alone."},
}

EVENT: Schema = {
    "type": "object",
    "properties": {name: _SPECIAL.get(name, TEXT) for name in FIELDS},
    "required": list(REQUIRED),
    "oneOf": [{"required": ["usage"]}, {"required": ["provider_usage"]}],
    "additionalProperties": False,
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

COST_LINE: Schema = {
    "type": "object",
    "description": "A plain cost line, taken with `format=cost_lines`: all tokens are booked as input, the cost as "
    "`reported_cost`. Further fields are refused unless `ignore` names them.",
    "properties": {
        "timestamp": {
            "anyOf": [{"type": "string"}, {"type": "number"}],
            "description": "A time in ISO 8601, with a zone or in the one that `timezone` names, or epoch seconds.",
        },
        "model": NAME,
        "tokens": {"type": "integer", "minimum": 0, "maximum": QUANTITY_MAX},
        "cost_per_1k_tokens": {"type": "number", "minimum": 0, "description": "USD."},
        "cost": {"type": "number", "minimum": 0, "description": "USD; read exactly, digit by digit."},
        **dict.fromkeys(("id", "provider", "feature", "user", "environment"), TEXT),
    },
    "required": ["timestamp", "model", "tokens"],
    "example": {
        "timestamp": "2026-11-02 09:15:00",
        "model": "gpt-4",
        "tokens": 1500,
        "cost_per_1k_tokens": 0.03,
        "cost": 0.045,
    },
}

CLOUD_EVENT: Schema = {
    "type": "object",
    "description": "CloudEvents 1.0: `data` is the event, without what the envelope says: id, source and time.",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": NAME,
        "source": NAME,
        "type": NAME,
        "time": _SPECIAL["time"],
        "data": {"type": "object"},
    },
    "required": ["specversion", "id", "source", "type", "data"],
}

_SOME_EVENTS: Schema = {"minItems": 1, "maxItems": EVENTS_PER_REQUEST_MAX}
EVENTS_BODIES: dict[str, Schema] = {
    JSON: {
        "anyOf": [
            _refer("Event"),
            _list_of(_refer("Event")) | _SOME_EVENTS,
            _refer("CostLine"),
            _list_of(_refer("CostLine")) | _SOME_EVENTS,
        ]
    },
    NDJSON: {"type": "string", "description": "One event a line, or one cost line."},
    CLOUDEVENT: _refer("CloudEvent"),
    CLOUDEVENTS: _list_of(_refer("CloudEvent")) | _SOME_EVENTS,
}

# The protocol's own messages; its specification says what stands in them.
OTLP_BODIES: dict[str, Schema] = {
    PROTOBUF: {"type": "string", "format": "binary", "description": "An Export…ServiceRequest."},
    JSON: {
        "type": "object",
        "description": "The same in JSON: `resourceSpans`, `resourceMetrics` or `resourceLogs`.",
        "properties": {"resourceSpans": _list_of({"type": "object"})},
    },
}
OTLP_RESPONSE: Schema = {
    "type": "object",
    "description": "An Export…ServiceResponse, in the encoding of the request; empty where everything was taken.",
    "properties": {
        "partialSuccess": {
            "type": "object",
            "properties": {
                "errorMessage": {"type": "string"},
                **dict.fromkeys(
                    ("rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"),
                    {"type": "string", "pattern": "^[0-9]+$"},
                ),
            },
            "required": ["errorMessage"],
        }
    },
}

_COUNT: Schema = {"type": "integer", "minimum": 0}
_UUID: Schema = {"type": "string", "format": "uuid"}
_ITEM_PROBLEM: Schema = {
    "type": "object",
    "properties": {"field": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"}},
    "required": ["field", "code", "detail"],
}
ITEM_RESULT: Schema = {
    "type": "object",
    "properties": {
        "index": _COUNT | {"description": "The item's place in the request, from 0."},
        "id": {"type": "string"},
        "status": {"enum": ["accepted", "duplicate", "conflict", "invalid"]},
        "batch_id": _UUID | {"description": "The batch in which the event stands."},
        "entry_id": {"type": "string"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "fields": _list_of({"type": "string"}) | {"description": "Of a conflict: in what it differs."},
        "problems": _list_of(_ITEM_PROBLEM),
    },
    "required": ["index", "id", "status"],
}
_COUNTS = ("accepted", "duplicates", "conflicts", "rejected", "unpriced")
EVENTS_RECEIPT: Schema = {
    "type": "object",
    "properties": {
        **dict.fromkeys(_COUNTS, _COUNT),
        "batch_id": {"anyOf": [_UUID, {"type": "null"}], "description": "Null when nothing was new."},
        "receipt": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "A JWS (EdDSA) over the batch's header: count, cost, Merkle root.",
        },
        "results": _list_of(_refer("ItemResult")),
        "unpriced_reasons": {
            "type": "object",
            "additionalProperties": _COUNT,
            "description": "How many were booked without a price, by reason; left out where all have one.",
        },
        "batches": _list_of(
            {
                "type": "object",
                "properties": {"batch_id": _UUID, "receipt": {"type": "string"}},
                "required": ["batch_id", "receipt"],
            }
        )
        | {"description": "Where an operator's request booked for several tenants."},
    },
    "required": [*_COUNTS, "batch_id", "receipt", "results"],
}

_TIME = _refer("Time")
REJECTED_EVENTS: Schema = {
    "type": "object",
    "properties": {
        "rejected": _list_of(
            {
                "type": "object",
                "properties": {
                    "id": _UUID,
                    "received_at": _TIME,
                    **{name: {"type": "string"} for name in ("key", "event_id", "code", "detail")},
                    "body": {"type": "string", "description": "The event as it was sent."},
                    "replayed_at": {"anyOf": [_TIME, {"type": "null"}]},
                },
                "required": ["id", "received_at", "key", "event_id", "code", "detail", "body", "replayed_at"],
            }
        ),
        "next": {"anyOf": [_UUID, {"type": "null"}]},
    },
    "required": ["rejected", "next"],
}
REPLAYED_EVENT: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": ["accepted", "duplicate"]},
        "entry_id": {"type": "string"},
        "receipt": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["id", "status", "entry_id", "receipt"],
}

BOOKING_COMPONENTS: dict[str, Schema] = {
    "Event": EVENT,
    "CostLine": COST_LINE,
    "CloudEvent": CLOUD_EVENT,
    "ItemResult": ITEM_RESULT,
    "EventsReceipt": EVENTS_RECEIPT,
    "RejectedEvents": REJECTED_EVENTS,
    "ReplayedEvent": REPLAYED_EVENT,
    "OtlpResponse": OTLP_RESPONSE,
}
