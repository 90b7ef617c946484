"""The bodies of cost centres, mapping rules and re-allocations, as JSON Schema."""

from typing import Any

from billing.core.mapping import DIMENSIONS
from billing.core.mapping_terms import NAME_LENGTH_MAX, RULES_MAX, TERMS_MAX, VALUES_MAX
from billing.core.wire import TAG_NAME_LENGTH_MAX, TEXT_LENGTH_MAX
from billing.mapping_trials import TRIAL_DAYS_MAX

Schema = dict[str, Any]

REASON_LENGTH_MAX = 500

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_DAY: Schema = {"type": "string", "format": "date"}
_LINE: Schema = {"type": "string", "maxLength": NAME_LENGTH_MAX}
_CODE: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


_CENTER: Schema = {
    "code": _CODE | {"description": "What events and entries name; it is never changed."},
    "name": _LINE,
    "owner": _LINE,
    "gl_account": _LINE | {"description": "The account of the general ledger that it is booked on."},
    "parent": _or_null(_ID) | {"description": "The cost centre that it stands below."},
}
COST_CENTER_TERMS: Schema = _object(_CENTER, optional=("name", "owner", "gl_account", "parent")) | {
    "example": {"code": "growth", "name": "Growth", "owner": "Mia Wolf", "gl_account": "6420"}
}
COST_CENTER_CHANGES: Schema = _object(_CENTER, optional=tuple(_CENTER)) | {"example": {"owner": "Noor Haddad"}}
COST_CENTER: Schema = _object(
    {
        "id": _ID,
        **_CENTER,
        "created_by": _TEXT,
        "created_at": _TIME,
        "changed_at": _TIME,
        "retired_at": _or_null(_TIME),
    }
)

_VALUE: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX}
_TERM: Schema = _object(
    {
        "dimension": {"enum": list(DIMENSIONS), "description": "`user` by the id that events name."},
        "name": {"type": "string", "maxLength": TAG_NAME_LENGTH_MAX, "description": "Of the tag, and of nothing else."},
        "values": {"type": "array", "items": _VALUE, "minItems": 1, "maxItems": VALUES_MAX},
    },
    optional=("name",),
)
_RULE: Schema = {
    "terms": {
        "type": "array",
        "items": _TERM,
        "minItems": 1,
        "maxItems": TERMS_MAX,
        "description": "All of them hold; of each, one value does.",
    },
    "cost_center": _CODE,
    "valid_from": _or_null(_DAY) | {"description": "The first day, of UTC."},
    "valid_to": _or_null(_DAY) | {"description": "The day after the last."},
    "place": _or_null({"type": "integer", "minimum": 1, "maximum": RULES_MAX})
    | {"description": "The last unless named."},
}
MAPPING_RULE_TERMS: Schema = _object(_RULE, optional=("valid_from", "valid_to", "place")) | {
    "example": {"terms": [{"dimension": "feature", "values": ["chat", "search"]}], "cost_center": "growth"}
}
MAPPING_RULE: Schema = _object({"id": _ID, **_RULE, "place": _COUNT, "created_by": _TEXT, "created_at": _TIME})
MAPPING_RULE_STEP: Schema = {
    "anyOf": [
        _object({"valid_to": _DAY}),
        _object({"place": {"type": "integer", "minimum": 1, "maximum": RULES_MAX}}),
        {"$ref": "#/components/schemas/MappingRuleTerms"},
    ],
    "description": "What `end`, `move` and `replace` take.",
    "example": {"valid_to": "2026-12-01"},
}

_SHARE: Schema = {"calls": _COUNT, "unpriced_calls": _COUNT, "billed_cost": _MONEY}
MAPPING_QUESTION: Schema = _object(
    {
        "rule": {"$ref": "#/components/schemas/MappingRuleTerms"},
        "from": _DAY | {"description": "The first day, of UTC; 30 days back unless named."},
        "to": _DAY | {"description": f"The day after the last, {TRIAL_DAYS_MAX} after the first at most."},
    },
    optional=("rule", "from", "to"),
) | {"example": {"rule": MAPPING_RULE_TERMS["example"]}}
MAPPING_TRIAL: Schema = _object(
    {
        "from": _TIME,
        "to": _TIME,
        "counted_to": _TIME | {"description": "Earlier than `to` where there were more calls than are counted."},
        "read_from": {"enum": ["rollups", "entries"]},
        "rules": _list(
            _object(
                {
                    "id": _or_null(_ID) | {"description": "null for the rule that is tried."},
                    "cost_center": _CODE,
                    **_SHARE,
                }
            )
        ),
        "left": _list(_object({"feature": _TEXT, "key": _TEXT, **_SHARE})),
        "left_total": _object(_SHARE),
    }
)

REALLOCATION_TERMS: Schema = _object(
    {
        "from": _DAY | {"description": "The first day of use, of UTC."},
        "to": _DAY | {"description": "The day after the last."},
        "reason": {"type": "string", "minLength": 1, "maxLength": REASON_LENGTH_MAX},
    }
) | {"example": {"from": "2026-10-01", "to": "2026-11-01", "reason": "The rules came after the calls."}}
REALLOCATION: Schema = _object(
    {
        "id": _ID,
        "from": _TIME,
        "to": _TIME,
        "reason": _TEXT,
        "state": {"enum": ["waiting", "running", "paused", "cancelled", "done", "failed"]},
        "requested_by": _TEXT,
        "created_at": _TIME,
        "started_at": _or_null(_TIME),
        "finished_at": _or_null(_TIME),
        "calls_read": _COUNT,
        "calls_expected": _COUNT,
        "calls_moved": _COUNT,
        "billed_cost_moved": _MONEY,
        "error": _TEXT,
    }
)

MAPPING_COMPONENTS: dict[str, Schema] = {
    "CostCenter": COST_CENTER,
    "CostCenters": _object({"cost_centers": _list({"$ref": "#/components/schemas/CostCenter"})}),
    "CostCenterTerms": COST_CENTER_TERMS,
    "CostCenterChanges": COST_CENTER_CHANGES,
    "MappingRule": MAPPING_RULE,
    "MappingRules": _object({"rules": _list({"$ref": "#/components/schemas/MappingRule"})}),
    "MappingRuleTerms": MAPPING_RULE_TERMS,
    "MappingRuleStep": MAPPING_RULE_STEP,
    "MappingQuestion": MAPPING_QUESTION,
    "MappingTrial": MAPPING_TRIAL,
    "Reallocation": REALLOCATION,
    "Reallocations": _object({"reallocations": _list({"$ref": "#/components/schemas/Reallocation"})}),
    "ReallocationTerms": REALLOCATION_TERMS,
}
