"""The bodies of what watches, as JSON Schema."""

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_type_hints

from alerts.core.anomalies import KINDS
from alerts.core.routing import SEVERITIES
from alerts.core.watch_settings import MONEY, OFF, TYPES
from alerts.episodes import FEEDBACK

Schema = dict[str, Any]

LEVELS = ("alert", "watch")
STATES = ("open", "acknowledged", "snoozed", "resolved")

_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_NUMBER: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
_OFF: Schema = {
    "type": "array",
    "items": {"enum": list(KINDS)},
    "description": "Kinds that are not looked for.",
}


def _describe_number(name: str, kind: Any) -> Schema:
    if name in MONEY:
        return _NUMBER | {"description": "US dollars."}
    if kind is Decimal:
        return _NUMBER
    if kind is timedelta:
        return {"type": "integer", "description": "Seconds."}
    return {"type": "integer" if kind is int else "number"}


def _describe_kind(kind: Any, *, is_change: bool) -> Schema:
    numbers = {name: _describe_number(name, type_) for name, type_ in get_type_hints(kind).items()}
    if is_change:
        either = {"type": ["number", "string", "null"]}
        return {"type": "object", "properties": dict.fromkeys(numbers, either), "additionalProperties": False}
    return {
        "type": "object",
        "properties": numbers,
        "required": [number.name for number in fields(kind)],
        "additionalProperties": False,
    }


WATCH_SETTING_CHANGES: Schema = {
    "type": "object",
    "properties": {**{name: _describe_kind(kind, is_change=True) for name, kind in TYPES.items()}, OFF: _OFF},
    "additionalProperties": False,
    "example": {"hourly_spike": {"sensitivity": 0.5}, "new": {"cost_min": "25"}},
}
WATCH_SETTINGS: Schema = {
    "type": "object",
    "properties": {
        **{name: _describe_kind(kind, is_change=False) for name, kind in TYPES.items()},
        OFF: _OFF,
        "changed": {"$ref": "#/components/schemas/WatchSettingChanges"},
        "changed_by": {"type": "string"},
        "changed_at": {"anyOf": [_TIME, {"type": "null"}]},
    },
    "required": [*TYPES, OFF, "changed", "changed_by", "changed_at"],
    "additionalProperties": False,
}

_TEXT: Schema = {"type": "string"}
_AMOUNT: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
_CAUSE: Schema = {
    "type": "object",
    "properties": {"dimension": _TEXT, "value": _TEXT, "moved": _AMOUNT, "share": _AMOUNT, "sentence": _TEXT},
    "required": ["dimension", "value", "moved", "share", "sentence"],
    "additionalProperties": False,
}
_ANOMALY: dict[str, Schema] = {
    "id": _TEXT,
    "kind": {"enum": list(KINDS)},
    "level": {"enum": list(LEVELS), "description": "`watch` is shown, and told by no message."},
    "scope": {"type": "object", "additionalProperties": _TEXT, "description": "Empty: all that the tenant spends."},
    "severity": {"enum": list(SEVERITIES)},
    "state": {"enum": list(STATES)},
    "title": _TEXT,
    "sentence": _TEXT,
    "unit": {
        "enum": ["cost", "tokens", "calls", "share", "unit_price", "seconds"],
        "description": "Of the four amounts; cost and the price of a million tokens are US dollars, a share is of 1.",
    },
    **dict.fromkeys(("actual", "expected", "lower", "upper"), _AMOUNT),
    "impact": {"anyOf": [{"$ref": "#/components/schemas/Money"}, {"type": "null"}]},
    "cause": {"anyOf": [_CAUSE, {"type": "null"}]},
    "times": {"type": "array", "items": _TIME, "description": "The hours, days or minutes of the episode."},
    "found_at": _TIME,
    "resolved_at": {"anyOf": [_TIME, {"type": "null"}]},
    "feedback": {"enum": ["", *FEEDBACK]},
}
ANOMALIES: Schema = {
    "type": "object",
    "properties": {
        "anomalies": {"type": "array", "items": {"$ref": "#/components/schemas/Anomaly"}},
        "next": {"anyOf": [_TEXT, {"type": "null"}]},
    },
    "required": ["anomalies", "next"],
    "additionalProperties": False,
}

WATCH_COMPONENTS: dict[str, Schema] = {
    "Anomaly": {"type": "object", "properties": _ANOMALY, "required": list(_ANOMALY), "additionalProperties": False},
    "Anomalies": ANOMALIES,
    "WatchSettings": WATCH_SETTINGS,
    "WatchSettingChanges": WATCH_SETTING_CHANGES,
}
