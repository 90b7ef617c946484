"""Queues the reports that are due and sends them: each once to each subscription, however many workers and beats.

Which worker may is settled by PostgreSQL. One that dies between sending and keeping so leaves a lease that ends, and
the next one sends the same mail under the same id.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import monotonic
from uuid import UUID, uuid4

from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction

from alerts.core.retries import find_delay
from alerts.senders import Outcome
from alerts.senders.email import send_mail
from billing.job_runs import end_turn, take_turn
from chargeback.core.reports.periods import ReportPeriod, find_period
from chargeback.reports.history import list_last_sent
from chargeback.reports.links import make_unsubscribe_link
from chargeback.reports.mail import WrittenReport, make_mail, write_mail
from chargeback.reports.readiness import has_waited_enough, list_missing
from chargeback.reports.subscriptions import (
    Subscription,
    SubscriptionUnknown,
    get_subscription,
    list_subscriptions,
    queue_report,
)
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, find_mail_addresses, get_tenant_by_id, list_tenants

JOB = "send reports"
TURN = timedelta(minutes=5)  # a worker that is killed keeps the others from sending for so long
LEASE = timedelta(minutes=5)  # longer than a report takes to be written and sent
NO_RECIPIENT = "the person was deactivated, or may not look at this tenant any more"

log = logging.getLogger(__name__)
Send = Callable[[EmailMultiAlternatives], Outcome]


@dataclass(frozen=True, slots=True)
class Claim:
    """A report that is ours until its lease ends. written: what was written before, None the first time."""

    tenant_id: int
    sent_id: UUID
    subscription_id: int
    first: date
    after: date
    is_test: bool
    number: int  # of this attempt
    written: WrittenReport | None


def send_reports(*, clock: Callable[[], datetime], seconds: float, send: Send = send_mail) -> int:
    """Queue what is due, and send for about so long; how many attempts were made. One worker at a time."""
    worker, give_way_at, attempts = uuid4().hex, monotonic() + seconds, 0
    if not take_turn(job=JOB, holder=worker, lease=TURN):
        return 0
    try:
        for tenant in list_tenants():
            if not queue_due(tenant=tenant, now=clock()):
                continue
            while monotonic() < give_way_at and take_turn(job=JOB, holder=worker, lease=TURN):
                claim = claim_report(tenant_id=tenant.id, now=clock())
                if claim is None:
                    break
                finish_report(claim, _attempt(claim, now=clock(), send=send), now=clock())
                attempts += 1
    finally:
        end_turn(job=JOB, holder=worker)
    return attempts


# --- what is due ---


def queue_due(*, tenant: TenantInfo, now: datetime) -> bool:
    """Queue the latest report of each subscription that was there when it was due, once its figures are whole.

    Of several that an outage kept back the latest alone is sent. False where nobody is subscribed.
    """
    subscriptions = list_subscriptions(tenant_id=tenant.id)
    last = list_last_sent(tenant_id=tenant.id, subscription_ids=[one.id for one in subscriptions])
    waits: dict[ReportPeriod, bool] = {}
    for subscription in subscriptions:
        period = find_period(subscription.cadence, now=now, timezone=tenant.timezone)
        sent = last.get((subscription.id, False))
        if period.find_due(tenant.timezone) < subscription.created_at or (sent and sent.first >= period.first):
            continue
        if period not in waits:
            is_whole = not list_missing(tenant=tenant, period=period)
            waits[period] = not is_whole and not has_waited_enough(period, timezone=tenant.timezone, now=now)
        if not waits[period] and find_recipient(subscription):
            queue_report(subscription, now=now)
    return bool(subscriptions)


def find_recipient(subscription: Subscription) -> str:
    """The address; '' of a person who was deactivated, or may not look at the tenant any more."""
    if subscription.person is None:
        return subscription.address
    found = find_mail_addresses([subscription.person], tenant_id=subscription.tenant_id)
    return found.get(subscription.person, "")


# --- an attempt ---


CLAIM_REPORT_SQL = """
    UPDATE report_sent SET leased_until = %(until)s, attempts = attempts + 1
    WHERE tenant_id = %(tenant_id)s AND id = (
        SELECT id FROM report_sent
        WHERE tenant_id = %(tenant_id)s AND state = 'waiting' AND due_at <= %(now)s
          AND (leased_until IS NULL OR leased_until <= %(now)s)
        ORDER BY due_at, id LIMIT 1
        FOR UPDATE SKIP LOCKED)
    RETURNING id, subscription_id, first_day, after_day, is_test, attempts, subject, body_text, body_html"""


def claim_report(*, tenant_id: int, now: datetime) -> Claim | None:
    """Take the report of a tenant that is due longest; it is ours for LEASE."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(CLAIM_REPORT_SQL, {"tenant_id": tenant_id, "now": now, "until": now + LEASE})
        row = cursor.fetchone()
    if row is None:
        return None
    *named, subject, text, html = row
    return Claim(tenant_id, *named, WrittenReport(subject, text, html) if subject else None)


def _attempt(claim: Claim, *, now: datetime, send: Send) -> Outcome:
    """Write the report, if this is the first time, and send it; outside of any transaction."""
    if find_delay(claim.number - 1 or 1) is None:
        return Outcome("failed", None, "no attempt came to its end")
    try:
        subscription = get_subscription(tenant_id=claim.tenant_id, subscription_id=claim.subscription_id)
        to = find_recipient(subscription)
        if not to:
            return Outcome("refused", None, NO_RECIPIENT)
        written = claim.written or _write(claim, subscription, now=now)
        link = make_unsubscribe_link(tenant_id=claim.tenant_id, subscription_id=claim.subscription_id)
        return send(make_mail(written, sent_id=claim.sent_id, to=to, unsubscribe=link))
    except SubscriptionUnknown:
        return Outcome("refused", None, "it was ended")
    except Exception as error:
        log.exception("the report %s could not be sent", claim.sent_id)
        return Outcome("failed", None, f"{type(error).__name__}: see the worker's log")


KEEP_REPORT_SQL = """
    UPDATE report_sent SET subject = %(subject)s, body_text = %(text)s, body_html = %(html)s
    WHERE tenant_id = %(tenant_id)s AND id = %(sent_id)s AND attempts = %(number)s AND state = 'waiting'"""
TAKE_SNAPSHOT_SQL = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def _write(claim: Claim, subscription: Subscription, *, now: datetime) -> WrittenReport:
    """Of one moment, and kept: so that it says the same when it is tried again."""
    tenant = get_tenant_by_id(claim.tenant_id)
    period = ReportPeriod(subscription.cadence, claim.first, claim.after)
    written = _write_of_one_moment(claim, subscription, tenant, period, now=now)
    values = {"subject": written.subject, "text": written.text, "html": written.html, "number": claim.number}
    with tenant_scope(claim.tenant_id), connection.cursor() as cursor:
        cursor.execute(KEEP_REPORT_SQL, values | {"tenant_id": claim.tenant_id, "sent_id": claim.sent_id})
    return written


def _write_of_one_moment(
    claim: Claim, subscription: Subscription, tenant: TenantInfo, period: ReportPeriod, *, now: datetime
) -> WrittenReport:
    with transaction.atomic():
        if len(connection.atomic_blocks) == 1:
            with connection.cursor() as cursor:
                cursor.execute(TAKE_SNAPSHOT_SQL)
        with tenant_scope(claim.tenant_id):
            return write_mail(
                tenant=tenant,
                period=period,
                scope=subscription.scope,
                now=now,
                subscription_id=subscription.id,
                is_test=claim.is_test,
            )


# --- what became of it ---


# Whoever comes late, after his lease, says only that it arrived: what else there is to say the next attempt does.
END_REPORT_SQL = """
    UPDATE report_sent
    SET state = %(state)s, finished_at = %(now)s, leased_until = NULL, status = %(status)s, last_error = %(error)s,
        subject = '', body_text = '', body_html = ''
    WHERE tenant_id = %(tenant_id)s AND id = %(sent_id)s AND state = 'waiting'
      AND (attempts <= %(number)s OR %(state)s = 'delivered')"""
POSTPONE_REPORT_SQL = """
    UPDATE report_sent SET due_at = %(due_at)s, leased_until = NULL, status = %(status)s, last_error = %(error)s
    WHERE tenant_id = %(tenant_id)s AND id = %(sent_id)s AND state = 'waiting' AND attempts = %(number)s"""


def finish_report(claim: Claim, outcome: Outcome, *, now: datetime) -> None:
    """Keep what an attempt came to, and when the next one is; after the last one it is dead, and shown as that."""
    named = {"tenant_id": claim.tenant_id, "sent_id": claim.sent_id, "number": claim.number}
    said = {"status": outcome.status, "error": outcome.detail}
    delay = find_delay(claim.number, retry_after=outcome.retry_after)
    with tenant_scope(claim.tenant_id), connection.cursor() as cursor:
        if outcome.outcome == "failed" and delay is not None:
            cursor.execute(POSTPONE_REPORT_SQL, named | said | {"due_at": now + delay})
        else:
            states = {"delivered": "delivered", "refused": "withheld", "failed": "dead"}
            cursor.execute(END_REPORT_SQL, named | said | {"state": states[outcome.outcome], "now": now})
