"""The bodies of chargeback, as JSON Schema."""

from typing import Any

from billing.core.wire import TEXT_LENGTH_MAX
from chargeback.core.allocation import METHODS
from chargeback.core.charges import CHARGE_KINDS
from chargeback.core.charging import Sums
from chargeback.core.fx_lines import SOURCE_LENGTH_MAX
from chargeback.core.lines import KINDS
from chargeback.core.rule_fields import EVERYONE, NAME_LENGTH_MAX, NAMES_MAX, SELECTOR_FIELDS
from chargeback.core.rule_terms import POSITION_MAX

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_ID: Schema = {"type": "integer", "minimum": 0}
_DAY: Schema = {"type": "string", "format": "date"}
_MONTH: Schema = {"type": "string", "pattern": r"^2[01]\d\d-(0[1-9]|1[0-2])$"}
_CURRENCY: Schema = {"type": "string", "pattern": "^[A-Z]{3}$"}
_DECIMAL: Schema = {"type": "string", "pattern": r"^[0-9]{1,13}(\.[0-9]{1,10})?$"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX}
_CODE: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX}
_CODES: Schema = {"type": "array", "items": {"type": "string", "maxLength": TEXT_LENGTH_MAX}, "maxItems": NAMES_MAX}


def _close(properties: Schema, *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object of these properties and no others; all of them are there but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_SELECTOR: Schema = _close(
    dict.fromkeys(SELECTOR_FIELDS, _CODES),
    optional=SELECTOR_FIELDS,
    description="What is meant: of any of these, each empty list letting all through; `''` is no cost centre's.",
)
_TARGETS: Schema = {"anyOf": [{"const": EVERYONE}, _CODES | {"minItems": 1}]}
_SPLIT: Schema = {
    "method": {"enum": list(METHODS), "description": "Even, or by the direct cost, tokens or calls of each target."},
    "targets": _TARGETS,
    "shares": {"type": "object", "additionalProperties": _DECIMAL, "description": "Percent by target, of `fixed`."},
    "drivers": {
        "type": "object",
        "additionalProperties": _NAME,
        "description": "A business driver by target, of `driver`: what its days of the month sum to.",
    },
}
_MONTHS: Schema = {
    "valid_from": _MONTH,
    "valid_to": _or_null(_MONTH) | {"description": "The month before which it ends; null: never."},
}
_ALLOCATION: Schema = {
    "name": _NAME,
    "position": {"type": "integer", "minimum": 0, "maximum": POSITION_MAX, "description": "Lower ones come first."},
    "source": _SELECTOR,
    "percent": _DECIMAL | {"description": "Of what stands there; 100 unless named."},
    **_SPLIT,
}
_CHARGE: Schema = {
    "kind": {"enum": list(CHARGE_KINDS)},
    "name": _NAME,
    "percent": _DECIMAL | {"description": "Of a markup or discount."},
    "match": _SELECTOR | {"description": "Of a markup or discount; everything unless named."},
    "amount": _DECIMAL | {"description": "USD: of a fee and a minimum by the month, of a credit all of it."},
    "cost_center": _CODE | {"description": "Whose credit it is."},
    **_SPLIT,
}
ALLOCATION_TERMS: Schema = _close(
    _ALLOCATION | _MONTHS,
    optional=("position", "percent", "targets", "shares", "drivers", "valid_from", "valid_to"),
    example={
        "name": "Platform",
        "source": {"cost_centers": ["platform"]},
        "method": "cost",
        "targets": "all",
        "valid_from": "2026-11",
    },
)
CHARGE_TERMS: Schema = _close(
    _CHARGE | _MONTHS,
    optional=tuple(name for name in (*_CHARGE, *_MONTHS) if name not in ("kind", "name")),
    example={"kind": "markup", "name": "Overhead", "percent": "5", "valid_from": "2026-11"},
)
CHARGEBACK_RULE_CHANGES: Schema = {
    "type": "object",
    "properties": _ALLOCATION | _CHARGE | _MONTHS,
    "required": ["valid_from"],
    "additionalProperties": False,
    "example": {"percent": "50", "valid_from": "2026-12"},
}
CHARGEBACK_RULE: Schema = _close(
    {
        "rule": _ID,
        "version": _ID,
        **_MONTHS,
        "terms": {"type": "object", "description": "As it was added, without its months."},
        "created_by": _TEXT,
        "created_at": _TIME,
    },
    description="One version. valid_to = valid_from: the rule has ended.",
)
CHARGEBACK_RULES: Schema = _close({"rules": _list({"$ref": "#/components/schemas/ChargebackRule"})})
_SUMS: Schema = dict.fromkeys((*Sums._fields, "charged_usd"), _MONEY)
_SUMS_IN_USD: Schema = _close(_SUMS, description="In USD, each with the sign that it is charged with.")
_LINE: Schema = _close(
    {
        "number": _ID,
        "kind": {"enum": list(KINDS)},
        "feature": _TEXT,
        "provider": _TEXT,
        "model": _TEXT,
        "amount_usd": _MONEY,
        "amount": _MONEY,
        "currency": _CURRENCY,
        "fx_rate": _DECIMAL,
        "fx_day": _or_null(_DAY),
        "rule": _or_null(_ID),
        "rule_version": _or_null(_ID),
        "words": _TEXT | {"description": "How the amount came about."},
    }
)
_CENTER: Schema = _close(
    {
        "cost_center": _TEXT,
        **_SUMS,
        "charged": _MONEY | {"description": "In `currency`, exact to twelve decimals."},
        "payable": _MONEY | {"description": "`charged`, rounded once to the smallest coin."},
        "rounding": _MONEY | {"description": "`payable` less `charged`."},
        "lines": _list(_LINE),
    },
    optional=("lines",),
)
CHARGEBACK: Schema = _close(
    {
        "period": _MONTH,
        "currency": _CURRENCY | {"description": "Of charged, payable and the lines' amounts."},
        "billing_currency": _CURRENCY | {"description": "Another one than `currency` where no rate of it is known."},
        "fx_rate": _DECIMAL | {"description": "What one USD is worth."},
        "fx_day": _or_null(_DAY) | {"description": "Of the rate; null where nothing is exchanged."},
        "cost_centers": _list(_CENTER),
        "unallocated": _CENTER | {"description": "What nobody is charged."},
        "totals": _SUMS_IN_USD,
        "conservation": _close(
            dict.fromkeys(
                (
                    "charged", "unallocated", "cost", "markups", "fees", "minimums", "discounts", "credits",
                    "difference",
                ),
                _MONEY,
            ),
            description="charged + unallocated = cost + markups + fees + minimums − discounts − credits, in USD.",
        ),
        "notes": _list(_close({"rule": _ID, "name": _TEXT, "version": _ID, "note": _TEXT})),
    }
)  # fmt: skip
CHARGEBACK_TRIAL: Schema = _close(
    {
        "period": _MONTH,
        "cost_centers": _list(
            _close({"cost_center": _TEXT, "before": _SUMS_IN_USD, "after": _SUMS_IN_USD, "change_usd": _MONEY})
        ),
        "notes": _list(_TEXT) | {"description": "What rules would have to say where they would do nothing."},
    }
)
BILLING_CURRENCY_TERMS: Schema = _close(
    {"currency": _CURRENCY, "valid_from": _MONTH}, example={"currency": "EUR", "valid_from": "2026-11"}
)
BILLING_CURRENCY: Schema = _close(
    {
        "currency": _CURRENCY,
        "valid_from": _or_null(_MONTH) | {"description": "Null: since ever."},
        "set_by": _TEXT,
        "set_at": _or_null(_TIME),
    }
)
FX_RATE_TERMS: Schema = _close(
    {
        "currency": _CURRENCY,
        "day": _DAY,
        "rate": _DECIMAL | {"description": "What one USD is worth, above 0."},
        "source": {"type": "string", "maxLength": SOURCE_LENGTH_MAX},
    },
    optional=("source",),
    example={"currency": "EUR", "day": "2026-10-30", "rate": "0.8655", "source": "ECB"},
)
FX_RATES: Schema = _close(
    {
        "rates": _list(
            _close(
                {
                    "currency": _CURRENCY,
                    "day": _DAY,
                    "rate": _DECIMAL,
                    "source": _TEXT,
                    "entered_by": _TEXT,
                    "entered_at": _TIME,
                    "corrections": _ID | {"description": "How many earlier rates of the day it took the place of."},
                }
            )
        )
    }
)
CHARGEBACK_COMPONENTS: dict[str, Schema] = {
    "Chargeback": CHARGEBACK,
    "ChargebackRule": CHARGEBACK_RULE,
    "ChargebackRules": CHARGEBACK_RULES,
    "ChargebackRuleChanges": CHARGEBACK_RULE_CHANGES,
    "ChargebackTrial": CHARGEBACK_TRIAL,
    "AllocationTerms": ALLOCATION_TERMS,
    "ChargeTerms": CHARGE_TERMS,
    "BillingCurrency": BILLING_CURRENCY,
    "BillingCurrencyTerms": BILLING_CURRENCY_TERMS,
    "FxRateTerms": FX_RATE_TERMS,
    "FxRates": FX_RATES,
    "EnteredFxRates": _close({"entered": _ID, "unchanged": _ID}),
}
