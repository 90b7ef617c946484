"""The bodies of months and of amounts that are booked by hand, as JSON Schema."""

from typing import Any

from billing.adjustments import ID_LENGTH_MAX, KINDS
from billing.adjustments import REASON_LENGTH_MAX as WHY_LENGTH_MAX
from billing.core.month_totals import NAMES
from billing.core.wire import TEXT_LENGTH_MAX
from billing.periods.steps import REASON_LENGTH_MAX

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_MONTH: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d$"}
_VALUE: Schema = {"type": "string", "maxLength": TEXT_LENGTH_MAX}


def _close(properties: dict[str, Schema], *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object of these properties and no others; all of them are there but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


_SUMS: dict[str, Schema] = {name: _MONEY if name.endswith("_cost") else {"type": "integer"} for name in NAMES}
TOTALS: Schema = _close(
    {
        **_SUMS,
        "by_cost_center": {"type": "object", "additionalProperties": _close(_SUMS)},
        "tree_size": {"type": "integer", "description": "Batches in the newest signed tree; 0: none."},
        "tree_root": _TEXT,
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "As the act of the close names it."},
    },
    description="What stood in the month when it was closed; acts are not counted, `''` is nobody's cost centre.",
)
_STEP: Schema = _close(
    {
        "step": {"enum": ["reviewed", "returned", "closed", "reopen_asked", "reopen_declined", "reopened"]},
        "actor": _TEXT,
        "at": _TIME,
        "reason": _TEXT,
        "totals": {"anyOf": [{"$ref": "#/components/schemas/PeriodTotals"}, {"type": "null"}]},
    }
)
PERIOD: Schema = _close(
    {
        "period": _MONTH,
        "state": {"enum": ["open", "in_review", "closed"]},
        "reopen_asked_by": _TEXT | {"description": "Who waits for another person's answer; empty: nobody."},
        "steps": {"type": "array", "items": _STEP, "description": "In their order."},
    }
)
PERIOD_STEP: Schema = _close(
    {"reason": {"type": "string", "maxLength": REASON_LENGTH_MAX, "description": "Required by `reopen`, `decline`."}},
    optional=("reason",),
    example={"reason": "A provider's bill came late."},
)
ADJUSTMENT: Schema = _close(
    {
        "id": {"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX, "description": "It is booked once."},
        "kind": {"enum": list(KINDS)},
        "amount": {
            "type": "string",
            "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$",
            "description": "USD, to be added to what is charged; below zero for a `credit`.",
        },
        "reason": {"type": "string", "minLength": 1, "maxLength": WHY_LENGTH_MAX},
        "corrects": _VALUE
        | {"description": "The id of the entry that it is about, whose time and attribution it has."},
        "time": _TIME | {"description": "Of the month that it is about; now unless named."},
        "cost_center": _VALUE,
        "feature": _VALUE,
        "provider": _VALUE,
        "model": _VALUE,
    },
    optional=("corrects", "time", "cost_center", "feature", "provider", "model"),
    example={"id": "bill-2026-10", "kind": "adjustment", "amount": "12.34", "reason": "As the provider's bill says."},
)
PERIOD_COMPONENTS: dict[str, Schema] = {
    "PeriodTotals": TOTALS,
    "Period": PERIOD,
    "Periods": _close({"periods": {"type": "array", "items": {"$ref": "#/components/schemas/Period"}}}),
    "PeriodStep": PERIOD_STEP,
    "Adjustment": ADJUSTMENT,
    "BookedAdjustment": _close({"entry_id": _TEXT, "billing_period": _MONTH}),
}
