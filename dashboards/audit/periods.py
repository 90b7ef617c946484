"""The month that a page of Audit is about."""

from collections.abc import Mapping
from datetime import date, datetime

from django.core.exceptions import BadRequest

from audit.core.statement import PeriodRefused, read_period


def read_month(query: Mapping[str, str], *, now: datetime, default: date) -> date:
    """The first day of the address's month, `default` where it names none. Raises BadRequest."""
    text = query.get("period", "")
    if not text:
        return default
    try:
        return read_period(text, now=now)
    except PeriodRefused as refused:
        raise BadRequest(f"{refused}") from None
