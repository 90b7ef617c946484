"""The bodies of rates on their way, and of the jobs that count and book what they change, as JSON Schema."""

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_PRICE: Schema = {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}, {"type": "null"}]}
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
RATE_STATES = ("draft", "in_review", "published", "superseded", "withdrawn")
COMMENT_MAX = 1_000


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


RATE: Schema = {"type": "object", "description": "A rate as docs/rates.md writes it."}
FINDING = _object(
    {
        "id": _TEXT,
        "kind": {"enum": ["error", "question"]},
        "code": _TEXT,
        "meter": _TEXT,
        "text": _TEXT,
    }
)
PRICE_DIFF = _object(
    {
        "meter": _TEXT,
        "tier": _TEXT,
        "kind": {"enum": ["new", "gone", "same", "dearer", "cheaper", "list"]},
        "per": _COUNT,
        **dict.fromkeys(("before", "after", "list_before", "list_after"), _PRICE),
    }
)
EXAMINATION = _object(
    {"findings": _list(FINDING), "prices": _list(PRICE_DIFF), "in_force": _or_null(_COUNT)}
)  # fmt: skip
RATE_VERSION = _object(
    {
        "id": _COUNT,
        "state": {"enum": list(RATE_STATES)},
        "rate": RATE,
        "content_hash": _HASH,
        "mark": _TEXT,
        "origin": _TEXT,
        "created_by": _TEXT,
        "submitted_by": _TEXT,
        "approved_by": _TEXT,
        "published_at": _or_null(_TIME),
        "acts": _list(
            _object({"act": _TEXT, "actor": _TEXT, "comment": _TEXT, "at": _TIME, "entry_id": _TEXT})
        ),
        "examination": _or_null({"$ref": "#/components/schemas/RateExamination"}),
        "jobs": _list(_COUNT),
    }
)  # fmt: skip
RATE_DRAFTS = _object({"drafts": _list({"$ref": "#/components/schemas/RateVersion"})})
RATE_STEP: Schema = _object(
    {
        "comment": {"type": "string", "maxLength": COMMENT_MAX},
        "confirmed": {"type": "array", "items": _TEXT, "maxItems": 200},
        "seen": _TEXT,
    },
    optional=("comment", "confirmed", "seen"),
)
RATE_REASON: Schema = _object({"reason": {"type": "string", "minLength": 1, "maxLength": 500}})
_SHARE: Schema = {
    **dict.fromkeys(("entries", "rated", "unrated"), _COUNT),
    **dict.fromkeys(("before", "after", "difference"), _MONEY),
}
RATE_JOB = _object(
    {
        "id": _COUNT,
        "kind": {"enum": ["preview", "projection", "rerating"]},
        "rate": _COUNT,
        "state": {"enum": ["waiting", "running", "paused", "cancelled", "done", "failed"]},
        "reason": _TEXT,
        "requested_by": _TEXT,
        "created_at": _TIME,
        "started_at": _or_null(_TIME),
        "finished_at": _or_null(_TIME),
        "entries_read": _COUNT,
        "entries_expected": _COUNT,
        "total": _object(_SHARE),
        "periods": _list(
            _object({"tenant": _TEXT, "billing_period": {"type": "string", "format": "date"}, **_SHARE})
        ),
        "error": _TEXT,
    }
)  # fmt: skip

RATE_COMPONENTS = {
    "Rate": RATE,
    "RateFile": {
        "type": "object",
        "description": "A file of rates as docs/rates.md writes it.",
        "properties": {"rates": _list(RATE)},
        "required": ["rates"],
    },
    "RateExamination": EXAMINATION,
    "RateVersion": RATE_VERSION,
    "RateDrafts": RATE_DRAFTS,
    "RateStep": RATE_STEP,
    "RateReason": RATE_REASON,
    "RateJob": RATE_JOB,
}
