"""The bodies of alerts, their channels and deliveries, as JSON Schema."""

from typing import Any

from alerts.core.budgets import DIMENSIONS, NAME_LENGTH_MAX
from alerts.core.channels import RECIPIENTS_MAX, URL_LENGTH_MAX
from alerts.core.routing import KINDS, SEVERITIES
from alerts.episodes import FEEDBACK
from alerts.inbox import STATES
from billing.core.wire import TEXT_LENGTH_MAX

Schema = dict[str, Any]

COMMENT_LENGTH_MAX = 2_000

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_UUID: Schema = {"type": "string", "format": "uuid"}
_VALUE: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX}
_CLOCK: Schema = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _close(properties: dict[str, Schema], *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object of these properties and no others; all of them are there but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


ALERT_PROPERTIES: dict[str, Schema] = {
    "id": _ID,
    "rule": _TEXT | {"description": "What found it."},
    "scope": {"type": "object", "additionalProperties": _TEXT, "description": "What it is about; empty: all."},
    "episode": _TEXT | {"description": "What makes it the same finding again; an episode is one alert."},
    "severity": {"enum": list(SEVERITIES)},
    "state": {"enum": list(STATES)},
    "title": _TEXT,
    "impact": _or_null(_MONEY) | {"description": "USD beyond what was expected; null where nobody knows it."},
    "budget": _or_null(_ID),
    "owner": _TEXT,
    "opened_at": _TIME,
    "changed_at": _TIME,
    "snoozed_until": _or_null(_TIME),
    "resolved_at": _or_null(_TIME),
    "feedback": {"enum": ["", *FEEDBACK]},
    "facts": {
        "type": "object",
        "description": (
            "`sentence`, `figures`, `start` and `end` of what is judged, `expected`, `points` of the chart, `movers` "
            "and `parts` of the cause; what is absent is not known. Amounts are text."
        ),
    },
}
ATTEMPT: Schema = _close(
    {
        "number": {"type": "integer", "minimum": 1},
        "started_at": _TIME,
        "duration_ms": {"type": ["integer", "null"]},
        "outcome": {
            "enum": ["started", "delivered", "failed", "refused", "lost"],
            "description": "`refused`: not tried again; `lost`: the worker ended before it could keep the answer.",
        },
        "status": {"type": ["integer", "null"], "description": "Of HTTP or SMTP."},
        "detail": _TEXT,
    }
)
DELIVERY: Schema = _close(
    {
        "id": _UUID | {"description": "A webhook's `webhook-id` is `msg_` and this."},
        "alert": _or_null(_ID),
        "kind": {"enum": ["opened", "grown", "acknowledged", "resolved", "digest", "test"]},
        "state": {"enum": ["waiting", "delivered", "collected", "dead", "withheld"]},
        "held_for": {"enum": ["", "quiet hours", "digest"]},
        "channel": _ID,
        "queued_at": _TIME,
        "due_at": _TIME,
        "finished_at": _or_null(_TIME),
        "last_error": _TEXT,
        "attempts": {"type": "array", "items": {"$ref": "#/components/schemas/AlertAttempt"}},
    }
)
_EVENT: Schema = _close(
    {
        "event": {"enum": ["opened", "grown", "acknowledged", "snoozed", "woken", "resolved", "feedback"]},
        "happened_at": _TIME,
        "actor": _TEXT | {"description": "Empty: Tokenledger itself."},
        "comment": _TEXT,
        "facts": {"type": "object", "additionalProperties": _TEXT},
    }
)
_COMMENT: Schema = {"type": "string", "maxLength": COMMENT_LENGTH_MAX}
ALERT_STEP: Schema = _close(
    {
        "comment": _COMMENT,
        "until": _TIME | {"description": "Of `snooze`: required there, within 30 days."},
        "feedback": {"enum": list(FEEDBACK), "description": "Of `feedback`: required there."},
    },
    optional=("comment", "until", "feedback"),
    example={"comment": "Retry loop, rolling back."},
)
_TERMS: dict[str, Schema] = {
    "name": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
    "kind": {"enum": list(KINDS)},
    "owner": {"type": "string", "maxLength": NAME_LENGTH_MAX, "description": "Only alerts of this owner; empty: any."},
    "scope": {
        "type": "object",
        "properties": dict.fromkeys(DIMENSIONS, _VALUE),
        "additionalProperties": False,
        "description": "Only alerts with these values; empty: any.",
    },
    "severity_min": {"enum": list(SEVERITIES)},
    "quiet_hours": _or_null(_close({"from": _CLOCK, "to": _CLOCK}))
    | {"description": "In the tenant's time zone; what is critical does not wait."},
    "digest_hour": {"type": ["integer", "null"], "minimum": 0, "maximum": 23, "description": "One message a day."},
    "enabled": {"type": "boolean"},
}
_SETTINGS: Schema = {
    "type": "object",
    "properties": {
        "to": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": RECIPIENTS_MAX,
            "description": "Of `email`.",
        },
        "url": {"type": "string", "maxLength": URL_LENGTH_MAX, "description": "Of `slack`, `teams`, `webhook`."},
        "routing_key": {"type": "string", "description": "Of `pagerduty`: 32 letters and digits."},
    },
    "additionalProperties": False,
    "description": "Kept encrypted, and never answered.",
}
CHANNEL_TERMS: Schema = _close(
    {**_TERMS, "settings": _SETTINGS},
    optional=("owner", "scope", "severity_min", "quiet_hours", "digest_hour", "enabled"),
    example={"name": "Pipeline", "kind": "webhook", "settings": {"url": "https://hooks.example.com/alerts"}},
)
CHANNEL_CHANGES: Schema = _close(
    {**_TERMS, "settings": _SETTINGS}, optional=(*_TERMS, "settings"), example={"severity_min": "high"}
)
CHANNEL_PROPERTIES: dict[str, Schema] = {
    "id": _ID,
    **_TERMS,
    "target": _TEXT | {"description": "What may be shown of where it leads."},
    "created_by": _TEXT,
    "created_at": _TIME,
    "changed_at": _TIME,
}

ALERT_COMPONENTS: dict[str, Schema] = {
    "Alert": _close(ALERT_PROPERTIES),
    "AlertDetail": _close(
        {
            **ALERT_PROPERTIES,
            "events": {"type": "array", "items": _EVENT},
            "deliveries": {"type": "array", "items": {"$ref": "#/components/schemas/AlertDelivery"}},
        }
    ),
    "Alerts": _close(
        {
            "alerts": {"type": "array", "items": {"$ref": "#/components/schemas/Alert"}},
            "next": {"type": ["integer", "null"], "description": "The `cursor` of the next page."},
        }
    ),
    "AlertStep": ALERT_STEP,
    "AlertAttempt": ATTEMPT,
    "AlertDelivery": DELIVERY,
    "AlertChannelTerms": CHANNEL_TERMS,
    "AlertChannelChanges": CHANNEL_CHANGES,
    "AlertChannel": _close(CHANNEL_PROPERTIES),
    "AlertChannelMade": _close(
        {
            **CHANNEL_PROPERTIES,
            "secret": _TEXT | {"description": "Of a webhook, by Standard Webhooks; shown this once. Else empty."},
        }
    ),
    "AlertChannels": _close({"channels": {"type": "array", "items": {"$ref": "#/components/schemas/AlertChannel"}}}),
    "AlertChannelSecret": _close({"secret": _TEXT | {"description": "The old one signs too for 24 hours."}}),
}
