"""Who gets which report: subscribed, ended and tested, each time as an act of the tenant's ledger.

An act never holds an address: it says the person's number, or the domain that the address is of.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, connections

from chargeback.core.reports.periods import find_period
from chargeback.core.reports.terms import SubscriptionProblem, SubscriptionRefused, SubscriptionTerms
from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.core.identity import make_uuid7
from tenants.scope import reading_scope, tenant_scope
from tenants.selectors import find_mail_addresses, get_tenant_by_id

SUBSCRIPTIONS_MAX = 500
BY_LINK = "unsubscribe link"


class SubscriptionUnknown(LookupError):
    """The tenant has no subscription of this number, or it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(SubscriptionTerms):
    """A subscription as it is kept. created_by: as acts name an actor."""

    tenant_id: int
    id: int
    created_by: str
    created_at: datetime

    @property
    def recipient(self) -> str:
        """As acts name it."""
        return f"person {self.person}" if self.person is not None else f"an address of {self.address.split('@')[1]}"


# Whoever checks a subscription beside the others must be the only one who adds one.
LOCK_SUBSCRIPTIONS_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('reports ' || %(tenant_id)s::bigint, 0))"
ADD_SUBSCRIPTION_SQL = """
    INSERT INTO report_subscription (tenant_id, cadence, person, address, scope, created_by, created_at)
    VALUES (%(tenant_id)s, %(cadence)s, %(person)s, %(address)s, %(scope)s::jsonb, %(actor)s, %(now)s)
    RETURNING id"""


def subscribe(terms: SubscriptionTerms, *, tenant_id: int, actor: str, now: datetime) -> tuple[Subscription, bool]:
    """The subscription, and whether it is new: the same again is the one that there is. Raises SubscriptionRefused."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_SUBSCRIPTIONS_SQL, {"tenant_id": tenant_id})
        kept = list_subscriptions(tenant_id=tenant_id)
        for one in kept:
            if (one.cadence, one.person, one.address, one.scope) == (
                terms.cadence, terms.person, terms.address, terms.scope,
            ):  # fmt: skip
                return one, False
        if len(kept) >= SUBSCRIPTIONS_MAX:
            cure = f"a tenant has at most {SUBSCRIPTIONS_MAX} subscriptions; end one first"
            raise SubscriptionRefused([SubscriptionProblem("", "too_many", cure)])
        if terms.person is not None and not find_mail_addresses([terms.person], tenant_id=tenant_id):
            cure = "is nobody who signs in and may look at this tenant"
            raise SubscriptionRefused([SubscriptionProblem("person", "wrong_value", cure)])
        values = {"cadence": terms.cadence, "person": terms.person, "address": terms.address, "actor": actor}
        values |= {"tenant_id": tenant_id, "scope": json.dumps(dict(terms.scope)), "now": now}
        cursor.execute(ADD_SUBSCRIPTION_SQL, values)
        subscription = get_subscription(tenant_id=tenant_id, subscription_id=cursor.fetchone()[0])
        _record("created", subscription, actor=actor, now=now)
    return subscription, True


END_SUBSCRIPTION_SQL = """
    UPDATE report_subscription SET address = '', ended_by = %(actor)s, ended_at = %(now)s
    WHERE tenant_id = %(tenant_id)s AND id = %(subscription_id)s AND ended_at IS NULL"""
WITHHOLD_SQL = """
    UPDATE report_sent SET state = 'withheld', finished_at = %(now)s, leased_until = NULL, last_error = 'it was ended',
                           subject = '', body_text = '', body_html = ''
    WHERE tenant_id = %(tenant_id)s AND subscription_id = %(subscription_id)s AND state = 'waiting'"""


def end_subscription(*, tenant_id: int, subscription_id: int, actor: str, now: datetime) -> None:
    """Send nothing more by it, and forget its address. Raises SubscriptionUnknown."""
    named = {"tenant_id": tenant_id, "subscription_id": subscription_id, "now": now}
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_SUBSCRIPTIONS_SQL, {"tenant_id": tenant_id})
        before = get_subscription(tenant_id=tenant_id, subscription_id=subscription_id)
        cursor.execute(END_SUBSCRIPTION_SQL, named | {"actor": actor})
        cursor.execute(WITHHOLD_SQL, named)
        _record("ended", before, actor=actor, now=now)


def unsubscribe(*, tenant_id: int, subscription_id: int, now: datetime) -> bool:
    """End it by the link of a mail; False where it had ended, or never was."""
    try:
        end_subscription(tenant_id=tenant_id, subscription_id=subscription_id, actor=BY_LINK, now=now)
    except SubscriptionUnknown:
        return False
    return True


ADD_REPORT_SQL = """
    INSERT INTO report_sent (tenant_id, id, subscription_id, first_day, after_day, is_test, state, queued_at, due_at)
    VALUES (%(tenant_id)s, %(id)s, %(subscription_id)s, %(first)s, %(after)s, %(is_test)s, 'waiting', %(now)s, %(now)s)
    ON CONFLICT DO NOTHING"""


def send_test(*, tenant_id: int, subscription_id: int, actor: str, now: datetime) -> UUID:
    """Queue the latest report once more, as a test; the id of what is sent. Raises SubscriptionUnknown."""
    with tenant_scope(tenant_id):
        subscription = get_subscription(tenant_id=tenant_id, subscription_id=subscription_id)
        sent_id = queue_report(subscription, now=now, is_test=True)
        _record("tested", subscription, actor=actor, now=now)
    return sent_id


def queue_report(subscription: Subscription, *, now: datetime, is_test: bool = False) -> UUID:
    """Let a subscription's latest report be sent; one that was queued before is not queued again, but for a test."""
    tenant = get_tenant_by_id(subscription.tenant_id)
    period = find_period(subscription.cadence, now=now, timezone=tenant.timezone)
    sent_id = make_uuid7(now, os.urandom(8))
    values = {"id": sent_id, "subscription_id": subscription.id, "first": period.first, "after": period.after}
    with tenant_scope(subscription.tenant_id), connection.cursor() as cursor:
        cursor.execute(
            ADD_REPORT_SQL, values | {"tenant_id": subscription.tenant_id, "is_test": is_test, "now": now}
        )  # fmt: skip
    return sent_id


LIST_SUBSCRIPTIONS_SQL = """
    SELECT id, cadence, person, address, scope, created_by, created_at
    FROM report_subscription
    WHERE tenant_id = %(tenant_id)s AND ended_at IS NULL
    ORDER BY id"""


def list_subscriptions(*, tenant_id: int, using: str = "default") -> list[Subscription]:
    """Those that have not ended, the oldest first."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_SUBSCRIPTIONS_SQL, {"tenant_id": tenant_id})
        return [_read(tenant_id, row) for row in cursor.fetchall()]


def get_subscription(*, tenant_id: int, subscription_id: int) -> Subscription:
    """One that has not ended. Raises SubscriptionUnknown."""
    for subscription in list_subscriptions(tenant_id=tenant_id):
        if subscription.id == subscription_id:
            return subscription
    raise SubscriptionUnknown(f"there is no subscription {subscription_id}")


def _read(tenant_id: int, row: tuple[Any, ...]) -> Subscription:
    number, cadence, person, address, scope, created_by, created_at = row
    return Subscription(
        tenant_id=tenant_id,
        id=number,
        cadence=cadence,
        person=person,
        address=address,
        scope=json.loads(scope) if isinstance(scope, str) else scope,
        created_by=created_by,
        created_at=created_at,
    )


def _record(what: str, subscription: Subscription, *, actor: str, now: datetime) -> None:
    facts = {
        "subscription": str(subscription.id), "cadence": subscription.cadence, "to": subscription.recipient,
        "about": subscription.scope_words,
    }  # fmt: skip
    act = Act(name=f"report_subscription.{what}", actor=actor, facts=facts)
    book_act(tenant_id=subscription.tenant_id, act=act, now=now)
