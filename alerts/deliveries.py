"""Works the deliveries that are due: claims each for a minute, sends outside of any transaction, keeps every attempt.

A message is told at least once: a worker that dies between sending and keeping what was answered leaves a lease that
ends, and the next one sends the same under the same id. Which one may is settled by PostgreSQL; Redis only knocks.
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, connections

from alerts.core.messages import Message, identify_delivery, make_digest, read_message, write_message
from alerts.core.retries import find_delay
from alerts.core.routing import find_due
from alerts.episodes import wake_alerts
from alerts.models import AlertDelivery
from alerts.outbox import list_routes, queue_delivery
from alerts.secrets import SecretsUnreadable, decrypt_settings
from alerts.senders import SENDERS, Outcome, Outgoing
from billing.job_runs import end_turn, take_turn
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant_by_id

SLOTS = 16  # messages on their way at once, of one worker; one a channel
LEASE = timedelta(seconds=60)  # longer than an attempt can take
JOB = "deliver alerts"
TURN = timedelta(seconds=20)  # a worker that is killed keeps the others from claiming for so long
DIGEST_ITEMS_MAX = 100
BEGINNINGS = ("opened",)

log = logging.getLogger(__name__)


class DeliveryUnknown(LookupError):
    """The tenant has no such delivery that is dead."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours until its lease ends. settings: the channel's, encrypted."""

    tenant_id: int
    delivery_id: UUID
    channel_id: int
    channel_kind: str
    settings: bytes
    alert_id: int | None
    kind: str
    number: int  # of this attempt
    retried_from: int
    message: Message


def deliver_due(*, clock: Callable[[], datetime], seconds: float, send: Callable[[Outgoing, str], Outcome]) -> int:
    """Deliver what is due, and what becomes due, for about so long; how many attempts were made.

    One worker at a time: a receiver that hangs takes one of its SLOTS, and no second worker's time. send: see
    `send_outgoing`.
    """
    if not list_due_tenants(now=clock()):
        return 0
    worker = _Worker(clock, send)
    give_way_at = monotonic() + seconds
    try:
        with ThreadPoolExecutor(max_workers=SLOTS, thread_name_prefix="deliver") as pool:
            while True:
                if take_turn(job=JOB, holder=worker.name, lease=TURN) and monotonic() < give_way_at:
                    worker.begin(pool)
                if not worker.under_way:
                    return worker.attempts
                worker.finish(seconds=1)
    finally:
        end_turn(job=JOB, holder=worker.name)


class _Worker:
    """The attempts that are under way here."""

    def __init__(self, clock: Callable[[], datetime], send: Callable[[Outgoing, str], Outcome]) -> None:
        self.clock, self.send, self.name = clock, send, uuid4().hex
        self.under_way: dict[Future[Outcome], tuple[Claim, datetime]] = {}
        self.attempts = 0

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Claim what is due, as far as there is room."""
        if room := SLOTS - len(self.under_way):
            for claim in claim_deliveries(now=self.clock(), limit=room):
                begun = self.clock()
                self.under_way[pool.submit(_send, claim, begun, self.send)] = (claim, begun)
                self.attempts += 1

    def finish(self, *, seconds: float) -> None:
        """Keep what the next ones come to, or wait for so long."""
        done, _ = wait(self.under_way, timeout=seconds, return_when=FIRST_COMPLETED)
        for future in done:
            claim, begun = self.under_way.pop(future)
            finish_delivery(claim, future.result(), begun=begun, now=self.clock())


def _send(claim: Claim, begun: datetime, send: Callable[[Outgoing, str], Outcome]) -> Outcome:
    """In a thread of its own, without a database."""
    try:
        channel_settings = decrypt_settings(claim.settings, tenant_id=claim.tenant_id)
        outgoing = Outgoing(claim.delivery_id, claim.message, channel_settings, begun)
        return send(outgoing, claim.channel_kind)
    except SecretsUnreadable as error:
        return Outcome("failed", None, str(error))
    except Exception as error:
        log.exception("the message %s could not be sent", claim.delivery_id)
        return Outcome("failed", None, f"{type(error).__name__}: see the worker's log")


def send_outgoing(outgoing: Outgoing, channel_kind: str) -> Outcome:
    """Through the sender of the channel's kind."""
    return SENDERS[channel_kind](outgoing)


# --- whose turn it is ----------------------------------------------------------------------------------


LIST_DUE_TENANTS_SQL = """
    SELECT tenant_id FROM alert_delivery
    WHERE state = 'waiting' AND due_at <= %(now)s AND (leased_until IS NULL OR leased_until <= %(now)s)
    UNION
    SELECT tenant_id FROM alert WHERE state = 'snoozed' AND snoozed_until <= %(now)s"""


def list_due_tenants(*, now: datetime) -> list[int]:
    """The tenants of whom something is due, or a snooze is over."""
    with connections["reader"].cursor() as cursor:
        cursor.execute(LIST_DUE_TENANTS_SQL, {"now": now})
        return [tenant_id for (tenant_id,) in cursor.fetchall()]


def claim_deliveries(*, now: datetime, limit: int) -> list[Claim]:
    """Take up to so many of what is due, of all tenants, one a channel; each is ours for LEASE.

    A tenant's alerts whose snooze is over are woken, and its digests made, on the way.
    """
    claims: list[Claim] = []
    for tenant_id in list_due_tenants(now=now):
        wake_alerts(tenant_id=tenant_id, now=now)
        with tenant_scope(tenant_id):
            gather_digests(tenant_id=tenant_id, now=now)
        claims += claim_tenants_deliveries(tenant_id=tenant_id, now=now, limit=limit - len(claims))
        if len(claims) >= limit:
            break
    return claims


# One a channel, the longest due; none whose channel has one on its way, none before an earlier one about its alert.
LIST_DUE_SQL = """
    SELECT DISTINCT ON (channel_id) id
    FROM alert_delivery AS due
    WHERE tenant_id = %(tenant_id)s AND state = 'waiting' AND due_at <= %(now)s AND held_for <> 'digest'
      AND NOT EXISTS (SELECT FROM alert_delivery AS other
                      WHERE other.tenant_id = %(tenant_id)s AND other.state = 'waiting'
                        AND other.channel_id = due.channel_id
                        AND (other.leased_until > %(now)s
                             OR (other.alert_id = due.alert_id AND other.event_id < due.event_id)))
    ORDER BY channel_id, due_at, queued_at, id
    LIMIT %(limit)s"""
LOCK_DUE_SQL = """
    SELECT delivery.id, channel_id, channel.kind, channel.settings, alert_id, delivery.kind, attempt_count,
           retried_from, body
    FROM alert_delivery AS delivery JOIN alert_channel AS channel
      ON channel.tenant_id = delivery.tenant_id AND channel.id = channel_id
    WHERE delivery.tenant_id = %(tenant_id)s AND delivery.id = ANY(%(ids)s) AND delivery.state = 'waiting'
      AND (leased_until IS NULL OR leased_until <= %(now)s)
    FOR UPDATE OF delivery SKIP LOCKED"""
LEASE_DELIVERY_SQL = """
    UPDATE alert_delivery SET leased_until = %(until)s, attempt_count = %(number)s
    WHERE tenant_id = %(tenant_id)s AND id = %(delivery_id)s"""
LOSE_ATTEMPTS_SQL = """
    UPDATE alert_attempt SET outcome = 'lost', detail = 'the worker ended before it could keep the answer'
    WHERE tenant_id = %(tenant_id)s AND delivery_id = %(delivery_id)s AND outcome = 'started'"""
START_ATTEMPT_SQL = """
    INSERT INTO alert_attempt (tenant_id, delivery_id, number, started_at, outcome, detail)
    VALUES (%(tenant_id)s, %(delivery_id)s, %(number)s, %(now)s, 'started', '')"""


def claim_tenants_deliveries(*, tenant_id: int, now: datetime, limit: int) -> list[Claim]:
    """The same of one tenant. An attempt that another worker began and did not end is kept as lost."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LIST_DUE_SQL, {"tenant_id": tenant_id, "now": now, "limit": limit})
        ids = [delivery_id for (delivery_id,) in cursor.fetchall()]
        if not ids:
            return []
        cursor.execute(LOCK_DUE_SQL, {"tenant_id": tenant_id, "now": now, "ids": ids})
        claims = [_read_claim(tenant_id, row) for row in cursor.fetchall()]
        return [claim for claim in claims if _take(claim, now)]


def _read_claim(tenant_id: int, row: tuple[Any, ...]) -> Claim:
    delivery_id, channel_id, channel_kind, settings, alert_id, kind, attempt_count, retried_from, body = row
    return Claim(
        tenant_id=tenant_id,
        delivery_id=delivery_id,
        channel_id=channel_id,
        channel_kind=channel_kind,
        settings=bytes(settings),
        alert_id=alert_id,
        kind=kind,
        number=attempt_count + 1,
        retried_from=retried_from,
        message=read_message(json.loads(body)),
    )


def _take(claim: Claim, now: datetime) -> bool:
    """Begin the attempt; or end the delivery, where there is nothing left to try or nobody who heard the beginning."""
    named = {"tenant_id": claim.tenant_id, "delivery_id": claim.delivery_id}
    with connection.cursor() as cursor:
        cursor.execute(LOSE_ATTEMPTS_SQL, named)
        if find_delay(claim.number - 1 - claim.retried_from or 1) is None:
            _end(claim, "dead", "no attempt came to its end", now=now)
            return False
        if claim.alert_id is not None and claim.kind not in BEGINNINGS and not _was_told(claim):
            _end(claim, "withheld", "its opening was never delivered", now=now)
            return False
        cursor.execute(LEASE_DELIVERY_SQL, named | {"until": now + LEASE, "number": claim.number})
        cursor.execute(START_ATTEMPT_SQL, named | {"number": claim.number, "now": now})
    return True


WAS_TOLD_SQL = """
    SELECT EXISTS (SELECT FROM alert_delivery
                   WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s AND channel_id = %(channel_id)s
                     AND kind = 'opened' AND state IN ('delivered', 'collected'))"""


def _was_told(claim: Claim) -> bool:
    values = {"tenant_id": claim.tenant_id, "alert_id": claim.alert_id, "channel_id": claim.channel_id}
    with connection.cursor() as cursor:
        cursor.execute(WAS_TOLD_SQL, values)
        return cursor.fetchone()[0]


# --- what became of it ---------------------------------------------------------------------------------


KEEP_ATTEMPT_SQL = """
    UPDATE alert_attempt
    SET outcome = %(outcome)s, status = %(status)s, detail = %(detail)s, duration_ms = %(duration_ms)s
    WHERE tenant_id = %(tenant_id)s AND delivery_id = %(delivery_id)s AND number = %(number)s"""
# Whoever comes late, after his lease, says only that it arrived: what else there is to say the next attempt does.
END_DELIVERY_SQL = """
    UPDATE alert_delivery
    SET state = %(state)s, finished_at = %(now)s, leased_until = NULL, last_error = %(error)s
    WHERE tenant_id = %(tenant_id)s AND id = %(delivery_id)s AND state = 'waiting'
      AND (attempt_count <= %(number)s OR %(state)s = 'delivered')"""
POSTPONE_DELIVERY_SQL = """
    UPDATE alert_delivery
    SET due_at = %(due_at)s, held_for = %(held_for)s, leased_until = NULL, last_error = %(error)s
    WHERE tenant_id = %(tenant_id)s AND id = %(delivery_id)s AND state = 'waiting' AND attempt_count = %(number)s"""


def finish_delivery(claim: Claim, outcome: Outcome, *, begun: datetime, now: datetime) -> None:
    """Keep what an attempt came to, and when the next one is."""
    duration_ms = max(0, (now - begun) // timedelta(milliseconds=1))
    named = {"tenant_id": claim.tenant_id, "delivery_id": claim.delivery_id, "number": claim.number}
    said = {"outcome": outcome.outcome, "status": outcome.status, "detail": outcome.detail, "duration_ms": duration_ms}
    with tenant_scope(claim.tenant_id), connection.cursor() as cursor:
        cursor.execute(KEEP_ATTEMPT_SQL, named | said)
        delay = find_delay(claim.number - claim.retried_from, retry_after=outcome.retry_after)
        if outcome.outcome == "delivered":
            _end(claim, "delivered", "", now=now)
        elif outcome.outcome == "refused" or delay is None:
            _end(claim, "dead", _say(outcome), now=now)
        else:
            due_at, held_for = _find_due(claim, now + delay)
            cursor.execute(
                POSTPONE_DELIVERY_SQL, named | {"due_at": due_at, "held_for": held_for, "error": _say(outcome)}
            )


def _end(claim: Claim, state: str, error: str, *, now: datetime) -> None:
    values = {
        "tenant_id": claim.tenant_id,
        "delivery_id": claim.delivery_id,
        "number": claim.number,
        "state": state,
        "error": error,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(END_DELIVERY_SQL, values)


def _find_due(claim: Claim, at: datetime) -> tuple[datetime, str]:
    """When the next attempt is: not within quiet hours. A test, and a digest that is late already, wait for nothing."""
    if claim.kind in ("test", "digest"):
        return at, ""
    route = next((one for one in list_routes(claim.tenant_id) if one.channel_id == claim.channel_id), None)
    if route is None or route.digest_hour is not None:
        return at, ""
    tenant = get_tenant_by_id(claim.tenant_id)
    return find_due(route, severity=claim.message.severity, at=at, timezone=tenant.timezone)


def _say(outcome: Outcome) -> str:
    return f"{outcome.status} {outcome.detail}".strip() if outcome.status else outcome.detail


# --- digests, and a second chance ----------------------------------------------------------------------


LIST_COLLECTABLE_SQL = """
    SELECT id, channel_id, body
    FROM alert_delivery
    WHERE tenant_id = %(tenant_id)s AND state = 'waiting' AND held_for = 'digest' AND due_at <= %(now)s
    ORDER BY channel_id, queued_at, id
    FOR UPDATE"""
COLLECT_SQL = """
    UPDATE alert_delivery SET state = 'collected', digest_id = %(digest_id)s, finished_at = %(now)s
    WHERE tenant_id = %(tenant_id)s AND id = ANY(%(ids)s)"""


def gather_digests(*, tenant_id: int, now: datetime) -> int:
    """Make one message of what waits for a channel's digest whose hour has come; how many. In the tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_COLLECTABLE_SQL, {"tenant_id": tenant_id, "now": now})
        waiting: dict[int, list[tuple[UUID, Message]]] = {}
        for delivery_id, channel_id, body in cursor.fetchall():
            waiting.setdefault(channel_id, []).append((delivery_id, read_message(json.loads(body))))
        digests = [
            (channel_id, collected[start : start + DIGEST_ITEMS_MAX])
            for channel_id, collected in waiting.items()
            for start in range(0, len(collected), DIGEST_ITEMS_MAX)
        ]
        for channel_id, collected in digests:
            ids = [delivery_id for delivery_id, _ in collected]
            digest_id = identify_delivery(tenant_id, "digest", channel_id, ids[0])
            queue_delivery(
                tenant_id=tenant_id,
                delivery_id=digest_id,
                channel_id=channel_id,
                kind="digest",
                body=write_message(make_digest([message for _, message in collected], happened_at=now)),
                due_at=now,
                now=now,
            )
            cursor.execute(COLLECT_SQL, {"tenant_id": tenant_id, "digest_id": digest_id, "ids": ids, "now": now})
    return len(digests)


def retry_delivery(*, tenant_id: int, delivery_id: UUID, actor: str, now: datetime) -> None:
    """Try a dead delivery again, as often as a new one, under its id. Raises DeliveryUnknown where none is dead."""
    with tenant_scope(tenant_id):
        dead = AlertDelivery.objects.select_for_update().filter(tenant_id=tenant_id, id=delivery_id, state="dead")
        row = dead.first()
        if row is None:
            raise DeliveryUnknown(f"there is no dead delivery {delivery_id}")
        dead.update(
            state="waiting", due_at=now, held_for="", finished_at=None, leased_until=None,
            retried_from=row.attempt_count,
        )  # fmt: skip
        facts = {"delivery": str(delivery_id), "channel": str(row.channel_id)}
        book_act(tenant_id=tenant_id, act=Act(name="alert_delivery.retried", actor=actor, facts=facts), now=now)
