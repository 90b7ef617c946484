"""The bodies of exports, as JSON Schema."""

from typing import Any

from chargeback.core.export_targets import (
    ENDPOINT_LENGTH_MAX,
    FIELDS,
    KEY_LENGTH_MAX,
    KINDS,
    NAME_LENGTH_MAX,
    PLACE_LENGTH_MAX,
)

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_DAY: Schema = {"type": "string", "format": "date"}


def _close(properties: Schema, *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object of these properties and no others; all of them are there but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TERMS: Schema = {
    "name": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
    "kind": {"enum": list(KINDS), "description": "`folder` for operators' keys alone, where there is a root."},
    "place": {
        "type": "string", "minLength": 1, "maxLength": PLACE_LENGTH_MAX,
        "description": "A bucket and, if you like, a prefix: `bucket/tokenledger`; or a folder below the root.",
    },
    "region": _TEXT | {"default": "us-east-1"},
    "endpoint": {"type": "string", "maxLength": ENDPOINT_LENGTH_MAX, "description": "Empty: Amazon's of the region."},
    "path_style": {"type": "boolean", "default": True, "description": "`endpoint/bucket/…`, else `bucket.endpoint/…`."},
    "first_day": _DAY | {"description": "Of UTC, of booking; days before today are caught up."},
    "enabled": {"type": "boolean", "default": True},
    "access_key_id": {"type": "string", "maxLength": KEY_LENGTH_MAX, "writeOnly": True},
    "secret_access_key": {"type": "string", "maxLength": KEY_LENGTH_MAX, "writeOnly": True},
}  # fmt: skip
_S3_ALONE = ("region", "endpoint", "path_style")
_TARGET: Schema = {
    "id": {"type": "integer", "minimum": 1},
    **{name: _TERMS[name] for name in FIELDS[:8]},
    "last_day": _or_null(_DAY) | {"description": "The newest day that stands there whole."},
    "last_sent_at": _or_null(_TIME),
    "waiting_days": _COUNT,
    "failing_days": _COUNT | {"description": "That failed and wait for another attempt, were given up, or differ."},
    "last_error": _TEXT,
    "created_by": _TEXT,
    "created_at": _TIME,
    "changed_at": _TIME,
}
_RUN: Schema = {
    "day": _DAY,
    "state": {
        "enum": ["waiting", "sent", "dead", "changed"],
        "description": "`dead`: no further attempt is made; `changed`: another content stands in its place.",
    },
    "is_under_way": {"type": "boolean"},
    "attempts": _COUNT,
    "due_at": _TIME,
    "finished_at": _or_null(_TIME),
    "last_error": _TEXT,
    "rows": _or_null(_COUNT),
    "bytes": _or_null(_COUNT),
    "billed_cost": _or_null(_MONEY),
    "manifest_sha256": _TEXT,
}

EXPORT_COMPONENTS: dict[str, Schema] = {
    "ExportTargetTerms": _close(_TERMS, optional=tuple(name for name in FIELDS if name not in FIELDS[:3])),
    "ExportTargetChanges": _close(_TERMS, optional=FIELDS),
    "ExportTarget": _close(_TARGET, optional=_S3_ALONE),
    "ExportTargets": _close({"targets": {"type": "array", "items": _close(_TARGET, optional=_S3_ALONE)}}),
    "ExportTargetTest": _close({"ok": {"type": "boolean"}, "failure": _TEXT}),
    "ExportDay": _close(_RUN),
    "ExportDays": _close({"days": {"type": "array", "items": _close(_RUN)}}),
}
