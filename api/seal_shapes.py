"""The bodies of seals and their proofs, as JSON Schema."""

from typing import Any

Schema = dict[str, Any]

_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_PATH: Schema = {"type": "array", "items": _HASH}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Schema], description: str = "") -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "description": description,
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


LOG_PROOF = _object(
    {
        "leaf": _HASH,
        "data": {"type": "string", "description": "What is hashed; the tenant in it is hidden under its salt."},
        "leaf_index": _COUNT,
        "tree_size": _COUNT,
        "path": _PATH,
        "root": _HASH,
        "note": {"type": "string", "description": "The published head of the log, signed (C2SP tlog-checkpoint)."},
    },
    "That the checkpoint is in the log of all tenants' checkpoints.",
)
CHECKPOINT = _object(
    {
        "origin": _TEXT,
        "size": _COUNT,
        "root": _HASH,
        "signed_at": _TIME,
        "key_id": _TEXT,
        "note": {"type": "string", "description": "The same as it was signed (C2SP tlog-checkpoint)."},
        "log": _or_null(_refer("LogProof")),
    },
    "A signed head of the tenant's tree over its batches. `log` is null until the next head of the log is published.",
)
SEAL = _object(
    {
        "status": {"enum": ["sealed", "waiting"]},
        "leaf": _or_null(_HASH),
        "leaf_index": _or_null(_COUNT),
        "path": _PATH,
        "checkpoint": _or_null(_refer("Checkpoint")),
    },
    "Where the batch stands in the tenant's tree: `leaf` is SHA-256 of 0x00 and the bytes that the receipt signs.",
)
SEAL_COMPONENTS: dict[str, Schema] = {
    "LogProof": LOG_PROOF,
    "Checkpoint": CHECKPOINT,
    "Seal": SEAL,
    "Consistency": _object(
        {"from": _COUNT, "to": _COUNT, "from_root": _HASH, "to_root": _HASH, "path": _PATH},
        "That the tree only grew between two sizes (RFC 9162, 2.1.4).",
    ),
    "EntryProof": _object(
        {
            "entry_id": _TEXT,
            "batch_id": {"type": "string", "format": "uuid"},
            "leaf": _HASH,
            "leaf_index": _COUNT,
            "tree_size": _COUNT,
            "path": _PATH,
            "root": _HASH,
            "receipt": {"type": "string", "description": "JWS, EdDSA, over the batch's header with this root."},
            "seal": _refer("Seal"),
        },
        "From the entry to the batch's root, and from the batch to the tenant's signed tree.",
    ),
    "BatchReceipt": _object(
        {
            "batch_id": {"type": "string", "format": "uuid"},
            "recorded_at": _TIME,
            "entry_count": _COUNT,
            "root": _HASH,
            "receipt": _TEXT,
            "seal": _refer("Seal"),
        }
    ),
    "Export": _object(
        {
            "id": {"type": "string", "description": "The month and the file, as 2026-10-bundle."},
            "href": _TEXT,
            "period": {"type": "string", "pattern": r"^\d{4}-\d\d$"},
            "file": {"enum": ["bundle", "rows", "entries"]},
            "state": {"enum": ["waiting", "running", "done", "failed", "expired"]},
            "asked_at": _TIME,
            "entries": {"type": "integer", "minimum": 0, "description": "Written so far."},
            "entries_expected": _or_null(_COUNT),
            "error": {"type": "string", "description": "Why it failed."},
            "download": _or_null(
                _object(
                    {
                        "href": {"type": "string", "description": "Taken with the same key."},
                        "name": _TEXT,
                        "bytes": _COUNT,
                        "sha256": _HASH,
                        "expires_at": _TIME,
                    }
                )
            ),
        }
    ),
    "PublicKeys": {
        "type": "object",
        "properties": {
            "keys": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "kty": {"const": "OKP"},
                        "crv": {"const": "Ed25519"},
                        "use": {"const": "sig"},
                        "kid": _TEXT,
                        "x": _TEXT,
                        "purpose": {"enum": ["receipt", "seal"]},
                        "announced_at": _or_null(_TIME),
                        "announcement": _or_null({"type": "object"}),
                    },
                    "required": ["kty", "crv", "use", "kid", "x", "purpose", "announced_at", "announcement"],
                },
            },
            "log": _or_null(
                _object(
                    {"origin": _TEXT, "vkeys": {"type": "array", "items": _TEXT}},
                    "The log of all checkpoints: its name, and its keys as tools for signed notes take them.",
                )
            ),
        },
        "required": ["keys", "log"],
    },
}
