"""The runs: one of the minutes and one of the hours since the run before, however long that is ago."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from alerts.anomalies.days import DayEnds, find_in_days, list_day_ends
from alerts.anomalies.hours import find_in_hours
from alerts.anomalies.minutes import find_in_minutes
from alerts.anomalies.reconciliations import find_differences
from alerts.anomalies.telling import Told, tell_findings
from alerts.anomalies.watched import read_watched

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
# What is booked late belongs to time that was judged: so much of it is judged again.
LATE_HOURS, LATE_MINUTES = HOUR, 2 * MINUTE
# What an outage longer than this has missed is not told any more; it is in the ledger all the same.
CATCH_UP_HOURS, CATCH_UP_MINUTES = timedelta(hours=48), timedelta(hours=24)

HOURLY = ("hourly_spike", "new", "unpriced", "silence", "heavy_request", "reconciliation")
MINUTELY = ("rate_spike", "heavy_user")
DAILY = ("daily_spike", "daily_spike_watch", "unit_price_drift", "cache_collapse", "truncation", "new_user")
WEEKLY = "sustained_growth"


def watch_minutes(*, now: datetime, since: datetime | None = None) -> Told:
    """Look at the minutes that ended after `since`, up to `now`; None: at the last one."""
    end = _cut(now, minutes=True)
    begun = _cut(since, minutes=True) if since else end - MINUTE
    start = max(min(begun, end - MINUTE), end - CATCH_UP_MINUTES) - LATE_MINUTES
    watched = read_watched()
    findings = find_in_minutes(watched, start=start, end=end)
    return tell_findings(findings, judged=_judge(MINUTELY, watched.tenants, end), now=now)


def watch_hours(*, now: datetime, since: datetime | None = None) -> Told:
    """Look at the hours of UTC that ended after `since`, up to `now`, and at the days that ended in them; None: the
    last hour."""
    end = _cut(now)
    begun = max(min(_cut(since) if since else end - HOUR, end - HOUR), end - CATCH_UP_HOURS)
    watched = read_watched()
    ends = list_day_ends(watched, start=begun, end=end)
    findings = [
        *find_in_hours(watched, start=begun - LATE_HOURS, end=end),
        *find_in_days(ends),
        *find_differences(watched),
    ]
    judged = _judge(HOURLY, watched.tenants, end) | _judge_days(ends)
    return tell_findings(findings, judged=judged, now=now)


def _cut(moment: datetime, *, minutes: bool = False) -> datetime:
    whole = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return whole if minutes else whole.replace(minute=0)


def _judge(rules: Iterable[str], tenant_ids: Iterable[int], until: datetime) -> dict[str, Mapping[int, datetime]]:
    return {rule: dict.fromkeys(tenant_ids, until) for rule in rules}


def _judge_days(ends: DayEnds) -> dict[str, Mapping[int, datetime]]:
    until = {tenant_id: ends.start(tenant_id, days_ago=0) for tenant_id in ends.end_days}
    mondays = {tenant_id: moment for tenant_id, moment in until.items() if not ends.end_days[tenant_id].weekday()}
    return dict.fromkeys(DAILY, until) | {WEEKLY: mondays}
