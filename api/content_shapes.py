"""The bodies of /v1/content, as JSON Schema."""

from typing import Any

from api.booking_shapes import NAME, TEXT
from api.parsing.contents import MESSAGES_MAX, PARTS_PER_MESSAGE_MAX
from content.core.messages import DIGEST_PREFIX
from content.core.redaction import MARKS

Schema = dict[str, Any]

_WORDS: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_DIGEST: Schema = {"type": "string", "pattern": f"^{DIGEST_PREFIX}[0-9a-f]{{64}}$"}
_REDACTIONS: Schema = {
    "type": "object",
    "description": "How many of each kind were taken out, by us; those that were not found are left out.",
    "propertyNames": {"enum": list(MARKS)},
    "additionalProperties": {"type": "integer", "minimum": 1},
}
_PART: Schema = {
    "type": "object",
    "description": "As OpenTelemetry's: a text stands in `content`.",
    "properties": {"type": NAME},
    "required": ["type"],
    "additionalProperties": True,
}
_PARTS: Schema = {
    "anyOf": [_WORDS, {"type": "array", "maxItems": PARTS_PER_MESSAGE_MAX, "items": {"anyOf": [_WORDS, _PART]}}]
}
_MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "role": NAME,
        "content": {"anyOf": [*_PARTS["anyOf"], {"type": "null"}]},
        "parts": {"anyOf": [*_PARTS["anyOf"], {"type": "null"}]},
        "name": TEXT,
        "finish_reason": TEXT,
    },
    "required": ["role"],
    "not": {"required": ["content", "parts"]},
    "additionalProperties": False,
}
_SIDE: Schema = {"anyOf": [_WORDS, {"type": "array", "maxItems": MESSAGES_MAX, "items": _MESSAGE}]}
CONTENT: Schema = {
    "type": "object",
    "properties": {
        "id": NAME | {"description": "The event's."},
        "source": TEXT | {"description": "The event's."},
        "input": _SIDE,
        "output": _SIDE,
    },
    "required": ["id"],
    "anyOf": [{"required": ["input"]}, {"required": ["output"]}],
    "additionalProperties": False,
    "example": {
        "id": "req-8f1c",
        "source": "checkout",
        "input": [{"role": "user", "content": "Where is my parcel?"}],
        "output": [{"role": "assistant", "content": "On its way.", "finish_reason": "stop"}],
    },
}
KEPT_CONTENT: Schema = {
    "type": "object",
    "properties": {
        "content_digest": _DIGEST,
        "status": {"enum": ["kept", "duplicate"]},
        "kept_until": _TIME,
        "redactions": _REDACTIONS,
    },
    "required": ["content_digest", "status", "kept_until", "redactions"],
    "additionalProperties": False,
}
_KEPT_SIDE: Schema = {"type": "array", "items": {"type": "object"}}
LOGGED_CONTENT: Schema = {
    "type": "object",
    "properties": {
        "content_digest": _DIGEST,
        "id": _WORDS,
        "source": _WORDS,
        "received_at": _TIME,
        "kept_until": _TIME,
        "key": _WORDS,
        "redactions": _REDACTIONS,
        "is_intact": {"type": "boolean", "description": "What is stored still hashes to the digest."},
        "input": _KEPT_SIDE,
        "output": _KEPT_SIDE,
        "canonical": {"type": "string", "description": "The text whose SHA-256 is the digest."},
    },
    "required": [
        "content_digest", "id", "source", "received_at", "kept_until", "key", "redactions", "is_intact", "input",
        "output", "canonical",
    ],
    "additionalProperties": False,
}  # fmt: skip

DELETED_CONTENT: Schema = {
    "type": "object",
    "properties": {"content_digest": _DIGEST, "status": {"const": "deleted"}},
    "required": ["content_digest", "status"],
    "additionalProperties": False,
}

CONTENT_COMPONENTS: dict[str, Schema] = {
    "Content": CONTENT,
    "KeptContent": KEPT_CONTENT,
    "LoggedContent": LOGGED_CONTENT,
    "DeletedContent": DELETED_CONTENT,
}
