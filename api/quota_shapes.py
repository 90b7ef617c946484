"""The bodies of quota checks, as JSON Schema."""

from typing import Any

from alerts.core.budgets import TOKENS_MAX, WINDOWS
from alerts.core.quota import DECISIONS
from alerts.quota import HOLD_SECONDS, HOLD_SECONDS_MAX
from billing.core.wire import TEXT_LENGTH_MAX

Schema = dict[str, Any]

COST_MAX = 1_000_000  # USD
REQUEST_ID_LENGTH_MAX = 128

_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX, "pattern": r"^[^\u0000]*$"}
_OPTIONAL: Schema = {"type": "string", "maxLength": TEXT_LENGTH_MAX, "pattern": r"^[^\u0000]*$"}
_TOKENS: Schema = {"type": "integer", "minimum": 0, "maximum": TOKENS_MAX}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


QUOTA_QUESTION: Schema = {
    "type": "object",
    "properties": {
        "provider": _NAME,
        "model": _NAME,
        **dict.fromkeys(("feature", "user", "cost_center"), _OPTIONAL),
        "environment": _OPTIONAL | {"description": "`production` unless named, as of an event."},
        "key": _OPTIONAL | {"description": "The public id of the key that will send the event: this one unless named."},
        "service_tier": _OPTIONAL,
        "region": _OPTIONAL,
        "estimated_input_tokens": _TOKENS,
        "max_output_tokens": _TOKENS,
        "estimated_cost": {
            "type": "string",
            "pattern": r"^[0-9]{1,7}(\.[0-9]{1,12})?$",
            "description": f"USD, at most {COST_MAX:,}: in place of what the tokens would cost.",
        },
        "reserve": {"type": "boolean", "description": "Hold what the call may cost until its event arrives."},
        "hold_seconds": {
            "type": "integer",
            "minimum": 1,
            "maximum": HOLD_SECONDS_MAX,
            "description": f"For how long at most; {HOLD_SECONDS} unless named.",
        },
        "request_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": REQUEST_ID_LENGTH_MAX,
            "pattern": r"^[^\u0000]*$",
            "description": "The same question under the same id is held once.",
        },
    },
    "required": ["provider", "model"],
    "additionalProperties": False,
    "example": {
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "feature": "summarizer",
        "estimated_input_tokens": 1200,
        "max_output_tokens": 300,
        "reserve": True,
    },
}
_QUOTA_BUDGET: Schema = {
    "type": "object",
    "properties": {
        "id": _COUNT,
        "name": _TEXT,
        "window": {"enum": list(WINDOWS)},
        "window_start": _TIME,
        "window_end": _TIME,
    },
    "required": ["id", "name", "window", "window_start", "window_end"],
    "additionalProperties": False,
}
_QUOTA_MEMBERS: Schema = {
    "decision": {"enum": list(DECISIONS)},
    "budget": _or_null(_QUOTA_BUDGET)
    | {"description": "The budget that decided, or has least left; null where none counts such a call."},
    **dict.fromkeys(("limit", "spent", "held", "remaining"), _or_null(_MONEY)),
    "estimated_cost": _or_null(_MONEY),
    "estimate_missing": _or_null(_TEXT) | {"description": "Why `estimated_cost` is null."},
    "unchecked_limits": {
        "type": "array",
        "items": {"enum": ["input_tokens", "output_tokens", "cost"]},
        "description": "Limits for one call that hold here, and that nothing was said to compare with.",
    },
    "retry_after_seconds": _or_null(_COUNT),
    "suggested_model": _or_null(_TEXT),
    "reservation_id": _or_null(_TEXT) | {"description": "For the event's field of this name; null: nothing is held."},
    "held_until": _or_null(_TIME),
    "currency": _TEXT,
    "counters": {"enum": ["redis", "database"]},
}
QUOTA_ANSWER: Schema = {
    "type": "object",
    "properties": _QUOTA_MEMBERS,
    "required": list(_QUOTA_MEMBERS),
    "additionalProperties": False,
    "description": "A denial is a problem document, `quota_denied`, with the same members.",
}
QUOTA_DECISIONS: Schema = {
    "type": "object",
    "properties": {
        "decisions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "budget": _COUNT,
                    "hour": _TIME,
                    **{f"{decision}_checks": _COUNT for decision in DECISIONS},
                },
                "required": ["budget", "hour", *(f"{decision}_checks" for decision in DECISIONS)],
                "additionalProperties": False,
            },
        }
    },
    "required": ["decisions"],
    "additionalProperties": False,
}
QUOTA_COMPONENTS: dict[str, Schema] = {
    "QuotaQuestion": QUOTA_QUESTION,
    "QuotaAnswer": QUOTA_ANSWER,
    "QuotaDecisions": QUOTA_DECISIONS,
}
