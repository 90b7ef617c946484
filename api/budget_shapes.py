"""The bodies of budgets, as JSON Schema."""

from typing import Any

from alerts.core.budget_terms import ACTIONS_MAX, CHANNELS_MAX, PERCENT_MAX
from alerts.core.budgets import BASES, CURRENCIES, DEEDS, DIMENSIONS, NAME_LENGTH_MAX, TOKENS_MAX, WINDOWS
from billing.core.wire import TEXT_LENGTH_MAX

Schema = dict[str, Any]

PAST_DAYS_MAX = 90

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_AMOUNT: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{1,13}(\.[0-9]{1,6})?$",
    "description": "Above 0, with at most six decimals.",
}
_VALUE: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX}
_TOKENS: Schema = {"type": ["integer", "null"], "minimum": 1, "maximum": TOKENS_MAX}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_ACTION: Schema = {
    "type": "object",
    "properties": {
        "at_percent": {"type": "integer", "minimum": 1, "maximum": PERCENT_MAX},
        "on": {"enum": list(BASES), "description": "`actual` unless named."},
        "do": {"enum": list(DEEDS)},
        "model": _VALUE | {"description": "What `suggest` suggests."},
    },
    "required": ["at_percent", "do"],
    "additionalProperties": False,
}
_TERMS: Schema = {
    "name": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
    "scope": {
        "type": "object",
        "properties": dict.fromkeys(DIMENSIONS, _VALUE),
        "additionalProperties": False,
        "description": "What it counts; empty: all that the tenant uses.",
    },
    "window": {"enum": list(WINDOWS), "description": "By the tenant's calendar; hours are those of UTC."},
    "amount": _AMOUNT,
    "currency": {"enum": list(CURRENCIES)},
    "actions": {"type": "array", "items": _ACTION, "maxItems": ACTIONS_MAX},
    "per_request": {
        "type": "object",
        "properties": {"input_tokens": _TOKENS, "output_tokens": _TOKENS, "cost": _or_null(_AMOUNT)},
        "additionalProperties": False,
        "description": "The most that a single call may take.",
    },
    "parent": _or_null(_ID) | {"description": "The budget that counts this one's use as well."},
    "rollover": {"type": "boolean", "description": "Add what the window before left of its amount."},
    "owner": {"type": "string", "maxLength": NAME_LENGTH_MAX},
    "channels": {"type": "array", "items": _ID, "maxItems": CHANNELS_MAX},
}
BUDGET_TERMS: Schema = {
    "type": "object",
    "properties": _TERMS,
    "required": ["name", "window", "amount"],
    "additionalProperties": False,
    "example": {
        "name": "Chat",
        "scope": {"feature": "chat"},
        "window": "month",
        "amount": "3000.00",
        "currency": "USD",
        "actions": [
            {"at_percent": 80, "on": "actual", "do": "notify"},
            {"at_percent": 100, "on": "actual", "do": "throttle"},
        ],
        "per_request": {"input_tokens": 32000, "output_tokens": 4096, "cost": "1.00"},
    },
}
_SPENDING: Schema = {
    "type": "object",
    "properties": {
        "window_start": _TIME,
        "window_end": _TIME,
        "limit": _MONEY | {"description": "The amount, with what was carried over."},
        "carried": _MONEY,
        "spent": _MONEY,
        "remaining": _MONEY | {"description": "Negative where it is overspent."},
        "elapsed": {"type": "string", "pattern": r"^[01]\.[0-9]{4}$", "description": "How much of the window is gone."},
        "projected": _or_null(_MONEY) | {"description": "Of the whole window, at the pace until now."},
    },
    "required": ["window_start", "window_end", "limit", "carried", "spent", "remaining", "elapsed", "projected"],
    "additionalProperties": False,
}
BUDGET: Schema = {
    "type": "object",
    "properties": {
        "id": _ID,
        **_TERMS,
        "created_by": _TEXT,
        "created_at": _TIME,
        "changed_at": _TIME,
        "retired_at": _or_null(_TIME),
        "now": _SPENDING,
    },
    "required": ["id", *_TERMS, "created_by", "created_at", "changed_at", "retired_at", "now"],
    "additionalProperties": False,
}
BUDGETS: Schema = {
    "type": "object",
    "properties": {"budgets": {"type": "array", "items": {"$ref": "#/components/schemas/Budget"}}},
    "required": ["budgets"],
    "additionalProperties": False,
}
BUDGET_CHANGES: Schema = {
    "type": "object",
    "properties": _TERMS,
    "additionalProperties": False,
    "example": {"amount": "4000.00"},
}
_PAST_FIRING: Schema = {
    "type": "object",
    "properties": {
        "window_start": _TIME,
        "window_end": _TIME,
        "at_percent": {"type": "integer"},
        "reached_at": _TIME | {"description": "The hour, or the day, within which it would have been reached."},
        "spent": _MONEY | {"description": "By the end of the window, or until now."},
    },
    "required": ["window_start", "window_end", "at_percent", "reached_at", "spent"],
    "additionalProperties": False,
}
BUDGET_TRIAL: Schema = {
    "type": "object",
    "properties": {
        "days": {"type": "integer", "minimum": 1, "maximum": PAST_DAYS_MAX},
        "firings": {"type": "array", "items": _PAST_FIRING},
    },
    "required": ["days", "firings"],
    "additionalProperties": False,
}
BUDGET_COMPONENTS: dict[str, Schema] = {
    "Budget": BUDGET,
    "Budgets": BUDGETS,
    "BudgetTerms": BUDGET_TERMS,
    "BudgetChanges": BUDGET_CHANGES,
    "BudgetTrial": BUDGET_TRIAL,
}
