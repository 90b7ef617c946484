"""The bodies of bills and of their reconciliation, as JSON Schema."""

from typing import Any

from chargeback.core.bills import CATEGORIES, FORMATS
from chargeback.core.bills.cells import DAY_ORDERS
from chargeback.core.bills.mappings import CONSTANTS, DECIMALS, FIELDS, THOUSANDS
from chargeback.core.bills.mappings import TEXT_LENGTH_MAX as NAME_LENGTH_MAX
from chargeback.core.reconciliation import REASONS
from chargeback.variance_decisions import COMMENT_LENGTH_MAX

Schema = dict[str, Any]

COLUMNS_MAX = 1_000
MODEL_LENGTH_MAX = 512
COST_CENTER_LENGTH_MAX = 200

_TEXT: Schema = {"type": "string"}
_DAY: Schema = {"type": "string", "format": "date"}
_MONTH: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_AMOUNT: Schema = {"$ref": "#/components/schemas/ExactAmount"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_REASON: Schema = {"enum": list(REASONS)}
_COMMENT: Schema = {"type": "string", "minLength": 1, "maxLength": COMMENT_LENGTH_MAX}
_AMOUNTS_BY_NAME: Schema = {"type": "object", "additionalProperties": _AMOUNT}


def _describe(properties: Schema, *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        **more,
    }


def _list(item: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": item, **more}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_COLUMN_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX}
_SUMS: Schema = {
    "bill": _AMOUNT,
    "ledger": _AMOUNT,
    "variance": _AMOUNT | {"description": "Bill less ledger."},
    "percent": _or_null(_AMOUNT) | {"description": "Of the bill; null where nothing is billed."},
    "explained": _AMOUNTS_BY_NAME | {"description": "By reason; what the bill says itself among it."},
    "unexplained": _AMOUNT,
    "within_tolerance": _FLAG,
}
_PLACE: Schema = {"provider": _TEXT, "model": _TEXT}

BILL_COMPONENTS: dict[str, Schema] = {
    "ExactAmount": {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
        "description": "A decimal with every digit that the bill has.",
    },
    "Bill": _describe(
        {
            "id": _COUNT,
            "filename": _TEXT,
            "format": {"enum": list(FORMATS)},
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "size_bytes": _COUNT,
            "part": _FLAG | {"description": "It adds to its days, and restates none."},
            "first_day": _DAY,
            "last_day": _DAY,
            "charges": _COUNT,
            "providers": _list(_TEXT),
            "totals": _AMOUNTS_BY_NAME | {"description": "By currency."},
            "notes": _list(_describe({"code": _TEXT, "lines": _list(_COUNT), "detail": _TEXT})),
            "imported_by": _TEXT,
            "imported_at": _TIME,
            "withdrawn_by": _TEXT,
            "withdrawn_at": _or_null(_TIME),
        }
    ),
    "Bills": _describe({"bills": _list(_refer("Bill"))}),
    "ImportedBill": _describe(
        {
            "bill": _refer("Bill"),
            "is_new": _FLAG | {"description": "False where the same bytes were imported before."},
            "restated": _list(
                _describe(
                    {
                        "provider": _TEXT,
                        "account": _TEXT,
                        "day": _DAY,
                        "currency": _TEXT,
                        "before": _AMOUNT,
                        "after": _AMOUNT,
                        "difference": _AMOUNT,
                    }
                )
            ),
        }
    ),
    "BillMappingTerms": _describe(
        {
            "columns": {
                "type": "object",
                "properties": dict.fromkeys(FIELDS, _COLUMN_NAME),
                "required": ["day", "amount"],
                "additionalProperties": False,
                "description": "Which column is what. A `line_id` that stands twice is counted once, by its last line.",
            },
            "constants": {
                "type": "object",
                "properties": dict.fromkeys(CONSTANTS, _COLUMN_NAME),
                "additionalProperties": False,
                "description": f"What is the same for every line. Categories are {', '.join(CATEGORIES)}.",
            },
            "thousands": {"enum": list(THOUSANDS)},
            "decimal": {"enum": list(DECIMALS)},
            "day_order": {"enum": list(DAY_ORDERS)},
        },
        optional=("constants", "thousands", "decimal", "day_order"),
    ),
    "NewBillMapping": _describe(
        {
            "file_columns": _list(_TEXT, minItems=1, maxItems=COLUMNS_MAX) | {"description": "All of the heading."},
            "mapping": _refer("BillMappingTerms"),
        }
    ),
    "BillMapping": _describe(
        {
            "id": _COUNT,
            "file_columns": _list(_TEXT),
            "mapping": _refer("BillMappingTerms"),
            "kept_by": _TEXT,
            "kept_at": _TIME,
        }
    ),
    "BillMappings": _describe({"mappings": _list(_refer("BillMapping"))}),
    "BillTolerance": _describe(
        {
            "absolute": {
                "type": "string",
                "pattern": r"^[0-9]{1,11}(\.[0-9]{1,12})?$",
                "description": "USD that may stay unexplained.",
            },
            "percent": {
                "type": "string",
                "pattern": r"^[0-9]{1,3}(\.[0-9]{1,4})?$",
                "description": "The same in percent of the bill, at most 100; whichever allows more.",
            },
        }
    ),
    "ReconciliationRow": _describe(
        {**_PLACE, "day": _DAY, **_SUMS, "hint": _TEXT | {"description": "The reason that its figures suggest."}}
    ),
    "ReconciliationGroup": _describe({**_PLACE, **_SUMS}),
    "VarianceReason": _describe(
        {
            "decision": _COUNT,
            "reason": _REASON,
            "comment": _TEXT,
            "rows": _COUNT,
            "amount": _AMOUNT,
            "decided_by": _TEXT,
            "decided_at": _TIME,
        }
    ),
    "NewVarianceReason": _describe(
        {
            "period": _MONTH,
            "provider": {"type": "string", "minLength": 1, "maxLength": MODEL_LENGTH_MAX},
            "model": {"type": "string", "maxLength": MODEL_LENGTH_MAX, "description": "'' for what is of no model."},
            "day": _DAY,
            "reason": _REASON,
            "amount": {
                "type": "string",
                "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,40})?$",
                "description": "How much of one model and day; without it all that is unexplained.",
            },
            "comment": _COMMENT,
        },
        optional=("model", "day", "amount"),
    ),
    "BillSignOff": _describe(
        {
            "period": _MONTH,
            "bill": _AMOUNT,
            "ledger": _AMOUNT,
            "unexplained": _AMOUNT,
            "open": _COUNT,
            "comment": _TEXT,
            "signed_by": _TEXT,
            "signed_at": _TIME,
        }
    ),
    "NewBillSignOff": _describe(
        {
            "period": _MONTH,
            "comment": _COMMENT,
            "accept_unexplained": _FLAG | {"description": "Sign though something is open; the comment is the reason."},
        },
        optional=("accept_unexplained",),
    ),
    "NewTrueUp": _describe(
        {
            "period": _MONTH,
            "provider": {"type": "string", "minLength": 1, "maxLength": MODEL_LENGTH_MAX},
            "model": {"type": "string", "maxLength": MODEL_LENGTH_MAX},
            "comment": _COMMENT,
            "cost_center": {"type": "string", "minLength": 1, "maxLength": COST_CENTER_LENGTH_MAX},
        },
        optional=("cost_center",),
    ),
    "TrueUp": _describe({"entry": _TEXT | {"description": "Its id, for GET /v1/entries/{entry_id}."}}),
    "Reconciliation": _describe(
        {
            "period": _MONTH,
            "currency": _TEXT,
            "tolerance": _refer("BillTolerance"),
            "total": _describe({name: schema for name, schema in _SUMS.items() if name != "within_tolerance"}),
            "groups": _list(_refer("ReconciliationGroup")),
            "rows": _list(_refer("ReconciliationRow")),
            "reasons": _list(_refer("VarianceReason")),
            "exchanges": {
                "type": "object",
                "additionalProperties": _describe({"rate": _AMOUNT, "day": _DAY, "source": _TEXT}),
                "description": "What one USD is worth where bills of another currency are compared.",
            },
            "other_currencies": _AMOUNTS_BY_NAME | {"description": "Billed, and not compared for want of a rate."},
            "blockers": _list(_TEXT) | {"description": "What a sign-off needs a reason for."},
            "sign_off": _or_null(_refer("BillSignOff")),
            "is_signed": _FLAG | {"description": "False where something changed since it was signed."},
        }
    ),
}
