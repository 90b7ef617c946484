"""The bodies of the administrative log, as JSON Schema."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_ACT = {
    "id": {"type": "string", "description": "Of its entry."},
    "recorded_at": _TIME,
    "acted_at": _TIME,
    "name": {"type": "string", "description": "What was done: `budget.changed`."},
    "actor": {"type": "string", "description": "`person 7`, `key 4fJ…`, `command …`, `job 3`."},
    "facts": {
        "type": "object",
        "additionalProperties": _TEXT,
        "description": "To what; as it was before under a name that ends in `_before`. Nothing in it is a line's end "
        "or turns the writing round: such characters are written as `\\n`, `\\u202e`.",
    },
    "ledger": {
        "enum": ["tenant", "operator"],
        "description": "Where the entry is. The operator's, of prices that are everybody's, the tenant does not read.",
    },
}
ACT_COMPONENTS: Mapping[str, Schema] = {
    "Acts": {
        "type": "object",
        "properties": {
            "acts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": _ACT,
                    "required": list(_ACT),
                    "additionalProperties": False,
                },
            },
            "next": {"anyOf": [_TEXT, {"type": "null"}]},
        },
        "required": ["acts", "next"],
        "additionalProperties": False,
    }
}
