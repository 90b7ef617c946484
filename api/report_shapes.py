"""The bodies of subscriptions to reports by mail, as JSON Schema."""

from typing import Any

from chargeback.core.reports.periods import CADENCES
from chargeback.core.reports.terms import DIMENSIONS, NAME_LENGTH_MAX

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_DAY: Schema = {"type": "string", "format": "date"}


def _close(properties: dict[str, Schema], *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TERMS: dict[str, Schema] = {
    "cadence": {"enum": list(CADENCES)},
    "person": _or_null(_ID) | {"description": "The number of one who signs in; null where it goes to an address."},
    "address": {"type": "string", "maxLength": 255, "description": "An e-mail address; empty where there is a person."},
    "scope": {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX} for name in DIMENSIONS},
        "maxProperties": 1,
        "additionalProperties": False,
        "description": "Empty for everything, or one cost centre or feature.",
    },
}
SENT = _close(
    {
        "id": {"type": "string", "format": "uuid"},
        "from": _DAY,
        "to": _DAY | {"description": "The day after its last."},
        "is_test": {"type": "boolean"},
        "state": {"enum": ["waiting", "delivered", "dead", "withheld"]},
        "queued_at": _TIME,
        "due_at": _TIME,
        "attempts": {"type": "integer", "minimum": 0},
        "status": _or_null({"type": "integer"}) | {"description": "Of SMTP."},
        "last_error": _TEXT,
        "finished_at": _or_null(_TIME),
    }
)
SUBSCRIPTION = _close(
    {
        "id": _ID,
        **TERMS,
        "created_by": _TEXT,
        "created_at": _TIME,
        "last_sent": _or_null({"$ref": "#/components/schemas/ReportSent"}),
        "next_at": _TIME,
        "waits_for": {"type": "array", "items": _TEXT, "description": "What a report that is due is missing."},
    }
)
REPORT_COMPONENTS: dict[str, Schema] = {
    "ReportSubscriptionTerms": _close(
        TERMS,
        optional=("person", "address", "scope"),
        example={"cadence": "weekly", "address": "finance@example.com", "scope": {"cost_center": "retail"}},
    ),
    "ReportSubscription": SUBSCRIPTION,
    "ReportSubscriptions": _close(
        {"subscriptions": {"type": "array", "items": {"$ref": "#/components/schemas/ReportSubscription"}}}
    ),
    "ReportSent": SENT,
}
