"""The bodies of what watches, as JSON Schema."""

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_type_hints

from alerts.core.anomalies import KINDS
from alerts.core.watch_settings import MONEY, OFF, TYPES

Schema = dict[str, Any]

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

WATCH_COMPONENTS: dict[str, Schema] = {
    "WatchSettings": WATCH_SETTINGS,
    "WatchSettingChanges": WATCH_SETTING_CHANGES,
}
