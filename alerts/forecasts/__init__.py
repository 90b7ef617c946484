"""Forecasts of a tenant's months: made each night and kept, made at once for whoever asks, and what came of them.

`nightly` makes and keeps the runs, `reading` answers for this moment, `records` reads what was kept, `events` keeps
what is known beforehand, `days` reads the costs. The method is `alerts.core.forecasts`, a month's outlook
`alerts.core.outlooks`.
"""

from alerts.forecasts.events import (
    EVENTS_MAX,
    NOTE_LENGTH_MAX,
    EventProblem,
    EventRefused,
    EventTerms,
    EventUnknown,
    KeptEvent,
    add_event,
    list_events,
    read_event_terms,
    remove_event,
)
from alerts.forecasts.nightly import find_night, make_forecasts, make_forecasts_due
from alerts.forecasts.reading import MonthView, list_outlooks, read_month
from alerts.forecasts.records import Run, count_missed_nights, list_budget_forecasts, list_forecasts, list_past

__all__ = [
    "EVENTS_MAX", "NOTE_LENGTH_MAX", "EventProblem", "EventRefused", "EventTerms", "EventUnknown", "KeptEvent",
    "MonthView", "Run", "add_event", "count_missed_nights", "find_night", "list_budget_forecasts", "list_events",
    "list_forecasts", "list_outlooks", "list_past", "make_forecasts", "make_forecasts_due", "read_event_terms",
    "read_month", "remove_event",
]  # fmt: skip
