"""What was sent to each subscription, and what it waits for now."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import connections

from chargeback.core.reports.periods import DAY, find_period
from chargeback.reports.readiness import list_missing
from chargeback.reports.subscriptions import Subscription
from tenants.scope import reading_scope
from tenants.selectors import TenantInfo


@dataclass(frozen=True, slots=True)
class SentReport:
    """One report on its way, or at its end. state: waiting, delivered, dead or withheld; status: of SMTP."""

    id: UUID
    subscription_id: int
    first: date
    after: date
    is_test: bool
    state: str
    queued_at: datetime
    due_at: datetime
    attempts: int
    status: int | None
    last_error: str
    finished_at: datetime | None

    @property
    def last(self) -> date:
        return self.after - DAY


SENT_COLUMNS = """id, subscription_id, first_day, after_day, is_test, state, queued_at, due_at, attempts, status,
           last_error, finished_at"""
LIST_LAST_SENT_SQL = f"""
    SELECT DISTINCT ON (subscription_id, is_test) {SENT_COLUMNS}
    FROM report_sent
    WHERE tenant_id = %(tenant_id)s AND subscription_id = ANY(%(subscriptions)s)
    ORDER BY subscription_id, is_test, queued_at DESC, id DESC"""  # noqa: S608
GET_SENT_SQL = f"""
    SELECT {SENT_COLUMNS} FROM report_sent WHERE tenant_id = %(tenant_id)s AND id = %(sent_id)s"""  # noqa: S608


def list_last_sent(*, tenant_id: int, subscription_ids: list[int]) -> dict[tuple[int, bool], SentReport]:
    """By subscription, and whether it is a test, what was queued last."""
    values = {"tenant_id": tenant_id, "subscriptions": subscription_ids}
    with reading_scope(tenant_id), connections["default"].cursor() as cursor:
        cursor.execute(LIST_LAST_SENT_SQL, values)
        return {(row[1], row[4]): SentReport(*row) for row in cursor.fetchall()}


def get_sent(*, tenant_id: int, sent_id: UUID) -> SentReport | None:
    with reading_scope(tenant_id), connections["default"].cursor() as cursor:
        cursor.execute(GET_SENT_SQL, {"tenant_id": tenant_id, "sent_id": sent_id})
        row = cursor.fetchone()
    return SentReport(*row) if row else None


def list_waits(
    subscription: Subscription, last: SentReport | None, *, tenant: TenantInfo, now: datetime
) -> tuple[datetime, list[str]]:
    """When its next report is due, and what that waits for where it is due already. last: that is no test."""
    period = find_period(subscription.cadence, now=now, timezone=tenant.timezone)
    due = period.find_due(tenant.timezone)
    if due < subscription.created_at or (last and last.first >= period.first):
        return period.find_next().find_due(tenant.timezone), []
    return due, list_missing(tenant=tenant, period=period)
