"""Whether the figures of a report are whole yet, and what they wait for if not."""

from datetime import datetime
from zoneinfo import ZoneInfo

from billing.selectors import get_last_reconciliation, get_rollup_lag
from chargeback.core.reports.periods import WAITS_MAX, ReportPeriod
from tenants.selectors import TenantInfo


def list_missing(*, tenant: TenantInfo, period: ReportPeriod) -> list[str]:
    """What is missing of a report's days, in words; nothing where it may go out.

    A month waits besides until the rollups were compared with the ledger, and found equal, after its end.
    """
    end = period.get_bounds(tenant.timezone)[1]
    missing = []
    lag = get_rollup_lag(tenant_id=tenant.id)
    if lag.oldest and lag.oldest < end:
        missing.append(f"{lag.entries:,} entries that were booked in these days are not rolled up yet")
    if period.cadence == "monthly":
        last = get_last_reconciliation(tenant_id=tenant.id)
        if last is None or last.checked_at < end:
            missing.append("the rollups were not compared with the ledger since the month ended")
        elif last.differences:
            at = last.checked_at.astimezone(ZoneInfo(tenant.timezone))
            missing.append(f"the rollups differed from the ledger when they were compared on {at.day} {at:%B %H:%M}")
    return missing


def has_waited_enough(period: ReportPeriod, *, timezone: str, now: datetime) -> bool:
    """Whether it goes out with what there is, and says what is missing."""
    return now >= period.find_due(timezone) + WAITS_MAX[period.cadence]
