"""A month as it stands at this moment, for a page or an API call, by all that is booked and known. Keeps nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.core.forecasts import NoForecast, PastForecast, TrackRecord, measure_track_record
from alerts.core.forecasts.histories import DAYS_USED_MAX
from alerts.core.outlooks import Event, Outlook, Window, find_month, find_scope, look_ahead
from alerts.forecasts.days import Days, read_days
from alerts.forecasts.events import KeptEvent
from alerts.forecasts.nightly import cut_history
from alerts.forecasts.records import list_past
from tenants.selectors import TenantInfo


@dataclass(frozen=True, slots=True)
class MonthView:
    """The month of what has some values. days: of the month, today the last and not over; in pico-USD.

    record: of nightly forecasts of months that are over. complete_to: everything that was booked before is in it.
    """

    month: Window
    days: Sequence[int]
    outlook: Outlook | NoForecast
    record: TrackRecord
    complete_to: datetime

    @property
    def booked(self) -> int:
        """Of the month, so far."""
        return sum(self.days)


def read_month(
    *,
    tenant: TenantInfo,
    now: datetime,
    events: Sequence[KeptEvent],
    filters: Mapping[str, str] | None = None,
    using: str = "default",
) -> MonthView:
    """The month of `now` of what has the values of `filters`, by two statements.

    filters: environment, cost_center, feature; '' for what names none. events: the tenant's.
    """
    filters = filters or {}
    month = find_month(now.astimezone(ZoneInfo(tenant.timezone)).date())
    days = _read(tenant, month, filters=filters, by="", using=using)
    scope = find_scope(filters)
    past = list_past(tenant_id=tenant.id, before=month.first, scope=scope, using=using) if scope else {}
    known = [event.known for event in events]
    return _view(days, "", month, [event for event in known if event.counts_for(filters)], past.get(scope, ()))


def list_outlooks(
    *,
    tenant: TenantInfo,
    now: datetime,
    by: str,
    events: Sequence[KeptEvent],
    filters: Mapping[str, str] | None = None,
    using: str = "default",
) -> tuple[dict[str, MonthView], list[int]]:
    """The same of each value of a dimension, the dearest first, SCOPES_MAX at most; and what each day of the month cost
    in the others. Raises QueryRefused where it has more values than any answer.
    """
    filters = filters or {}
    month = find_month(now.astimezone(ZoneInfo(tenant.timezone)).date())
    days = _read(tenant, month, filters=filters, by=by, using=using)
    past = {} if filters else list_past(tenant_id=tenant.id, before=month.first, kind=by, using=using)
    known = [event.known for event in events]
    views = {}
    for value in days.list_dearest():
        own = [event for event in known if event.counts_for({**filters, by: value})]
        views[value] = _view(days, value, month, own, past.get(find_scope({by: value}), ()))
    start, rest = (month.first - days.first).days, set(days.costs) - set(views)
    return views, [sum(day) for day in zip(*(days.costs[value][start:] for value in rest), strict=True)]


def _read(tenant: TenantInfo, month: Window, *, filters: Mapping[str, str], by: str, using: str) -> Days:
    return read_days(
        tenant=tenant,
        first=min(month.first, month.today - timedelta(days=DAYS_USED_MAX)),
        after=month.today + timedelta(days=1),
        by=by,
        filters={name: (value,) for name, value in filters.items()},
        using=using,
    )


def _view(days: Days, value: str, month: Window, events: Sequence[Event], past: Sequence[PastForecast]) -> MonthView:
    history = cut_history(days, value, month)
    outlook = look_ahead(history, month=month, today_cost=days.get_cost(value, month.today), events=events, past=past)
    whole = days.get_history(value, end=days.after).costs
    record = measure_track_record(past)
    return MonthView(month, whole[(month.first - days.first).days :], outlook, record, days.complete_to)
