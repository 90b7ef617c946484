"""The month that a call is about."""

from datetime import date, datetime

from api.parameters import Parameter, read_text
from api.problems import Problem
from audit.core.statement import PeriodRefused, read_period

PERIOD = Parameter(
    "period",
    read_text,
    "A calendar month in UTC, as 2026-10, that has begun.",
    {"type": "string", "pattern": r"^\d{4}-\d\d$"},
    is_required=True,
)


def require_period(text: str, *, now: datetime) -> date:
    """The first day of the month that PERIOD names. Raises Problem `query_invalid`."""
    try:
        return read_period(text, now=now)
    except PeriodRefused as refusal:
        detail = f"{refusal}."
        problems = [{"field": PERIOD.name, "detail": detail}]
        raise Problem("query_invalid", f"period: {detail}", problems=problems) from refusal
