"""The bodies of forecasts, as JSON Schema."""

from typing import Any

from alerts.core.forecasts import MEAN_OF_FOUR_WEEKS, MEAN_OF_SEVEN, WEEKDAY_LEVEL
from alerts.core.outlooks import RUN_RATE
from alerts.forecasts import NOTE_LENGTH_MAX
from alerts.forecasts.events import NAME_LENGTH_MAX

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_DAY: Schema = {"type": "string", "format": "date"}
_TIME: Schema = {"$ref": "#/components/schemas/Time"}
_MONEY: Schema = {"$ref": "#/components/schemas/Money"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SHARE: Schema = {"type": ["number", "null"], "description": "Of 1; null where it cannot be said."}
_METHODS = (MEAN_OF_SEVEN, MEAN_OF_FOUR_WEEKS, WEEKDAY_LEVEL, RUN_RATE)


def _describe(properties: Schema, **more: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_EVENT_TERMS: Schema = {
    "day": _DAY | {"description": "Of the tenant's time zone."},
    "amount": {
        "type": "string",
        "pattern": r"^[+-]?[0-9]{1,12}(\.[0-9]{1,6})?$",
        "description": "USD, negative for a credit; 0 says only that a day that is over was unusual.",
    },
    "note": {"type": "string", "minLength": 1, "maxLength": NOTE_LENGTH_MAX},
    "cost_center": {
        "type": "string",
        "maxLength": NAME_LENGTH_MAX,
        "description": "Whose it is; none: nobody's alone.",
    },
    "feature": {"type": "string", "maxLength": NAME_LENGTH_MAX},
}
FORECAST_EVENT_TERMS: Schema = {
    "type": "object",
    "properties": _EVENT_TERMS,
    "required": ["day", "amount", "note"],
    "additionalProperties": False,
    "example": {"day": "2026-11-27", "amount": "1500.00", "note": "Launch of the assistant", "feature": "chat"},
}
FORECAST_EVENT = _describe({"id": _COUNT, **_EVENT_TERMS, "added_by": _TEXT, "added_at": _TIME})
_RECORD = _describe(
    {
        "forecasts": _COUNT,
        "bias": _SHARE | {"description": "Forecast less actual, by actual; negative is too low. Null: not yet known."},
        "coverage": _SHARE | {"description": "How many ended within their range; null: not yet measured."},
        "skill": _SHARE | {"description": "By how much less than a straight line's the errors were."},
        "days": _list(
            _describe(
                {
                    "days_elapsed": _COUNT,
                    "forecasts": _COUNT,
                    "error": {"type": "number"},
                    "total_error": {"type": "number"},
                    "near": {"type": "number"},
                }
            )
        ),
    },
    description="What came of the nightly forecasts of months that are over.",
)
_MONTH_END: Schema = {
    "anyOf": [
        _describe(
            {
                "method": {"enum": list(_METHODS)},
                "expected": _MONEY,
                "low": _MONEY,
                "high": _MONEY,
                "stress_ceiling": _MONEY,
                "run_rate": _MONEY,
                "growth": _SHARE | {"description": "The last seven days beside the seven before."},
                "days": _list(_describe({"day": _DAY, "expected": _MONEY})),
            },
            description="Of the whole month, in USD; eight of ten should end from low to high. days: from today on.",
        ),
        {"type": "null"},
    ]
}
FORECAST = _describe(
    {
        "month": _DAY,
        "today": _DAY,
        "timezone": _TEXT,
        "environment": {"type": ["string", "null"]},
        "cost_center": {"type": ["string", "null"]},
        "feature": {"type": ["string", "null"]},
        "spent": _MONEY | {"description": "By the month's days before today."},
        "spent_today": _MONEY,
        "forecast": _MONTH_END,
        "reason": {"type": "string", "description": "Why there is none; empty where there is."},
        "track_record": _RECORD,
        "events": _list({"$ref": "#/components/schemas/ForecastEvent"}),
        "complete_to": _TIME,
    }
)
FORECAST_RUNS = _describe(
    {
        "runs": _list(
            _describe(
                {
                    "month": _DAY,
                    "made_on": _DAY,
                    "made_at": _TIME,
                    "method": {"enum": list(_METHODS)},
                    "days_elapsed": _COUNT,
                    "days_ahead": _COUNT,
                    "spent": _MONEY,
                    "expected": _MONEY,
                    "low": _MONEY,
                    "high": _MONEY,
                    "stress_ceiling": _MONEY,
                    "run_rate": _MONEY,
                    "actual": {"anyOf": [_MONEY, {"type": "null"}], "description": "Null until the month is over."},
                },
                description="All but spent are of the days from made_on to the month's end.",
            )
        )
    }
)
FORECAST_COMPONENTS = {
    "Forecast": FORECAST,
    "ForecastRuns": FORECAST_RUNS,
    "ForecastEvent": FORECAST_EVENT,
    "ForecastEventTerms": FORECAST_EVENT_TERMS,
}
