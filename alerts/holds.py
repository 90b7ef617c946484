"""What is reserved in PostgreSQL while Redis is away: slower, one check of a tenant at a time, and as exact."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from django.db import connection

# One after the other, so that two cannot find the same room.
LOCK_HOLDS_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('quota ' || %(tenant_id)s::bigint, 0)), now()"
# What was settled before `read_at` is in what was read as spent after it.
SUM_HOLDS_SQL = """
    SELECT budget_id, sum(amount)
    FROM quota_hold CROSS JOIN unnest(budget_ids) AS budget_id
    WHERE tenant_id = %(tenant_id)s AND expires_at > clock_timestamp()
      AND (settled_at IS NULL OR settled_at > %(read_at)s)
    GROUP BY budget_id"""
GET_HOLD_SQL = """
    SELECT decision, expires_at, budget_ids, amount FROM quota_hold
    WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND expires_at > clock_timestamp() AND settled_at IS NULL"""
ADD_HOLD_SQL = """
    INSERT INTO quota_hold AS hold (tenant_id, id, budget_ids, amount, decision, expires_at)
    VALUES (%(tenant_id)s, %(id)s, %(budget_ids)s, %(amount)s, %(decision)s,
            clock_timestamp() + %(seconds)s * interval '1 second')
    ON CONFLICT (tenant_id, id) DO UPDATE
    SET budget_ids = excluded.budget_ids, amount = excluded.amount, decision = excluded.decision,
        expires_at = excluded.expires_at, settled_at = NULL
    RETURNING expires_at"""
DROP_EXPIRED_HOLDS_SQL = """
    DELETE FROM quota_hold WHERE tenant_id = %(tenant_id)s AND expires_at < clock_timestamp() - interval '1 hour'"""
SETTLE_HOLDS_SQL = """
    UPDATE quota_hold SET settled_at = clock_timestamp()
    WHERE tenant_id = %(tenant_id)s AND id = ANY(%(ids)s) AND settled_at IS NULL"""


def lock_holds(*, tenant_id: int) -> datetime:
    """Be the only one who reserves for the tenant until this transaction ends; when it began, by the database's clock.

    What is read as spent from here on holds all that was booked before that.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK_HOLDS_SQL, {"tenant_id": tenant_id})
        return cursor.fetchone()[1]


def sum_holds(*, tenant_id: int, read_at: datetime) -> dict[int, Decimal]:
    """What is held, by budget, USD. read_at: when what counts as spent was begun to be read."""
    with connection.cursor() as cursor:
        cursor.execute(SUM_HOLDS_SQL, {"tenant_id": tenant_id, "read_at": read_at})
        return dict(cursor.fetchall())


def get_hold(*, tenant_id: int, reservation_id: str) -> tuple[str, datetime, Mapping[int, Decimal]] | None:
    """An open hold: the decision under which it was made, until when it holds, and how much in which budgets."""
    with connection.cursor() as cursor:
        cursor.execute(GET_HOLD_SQL, {"tenant_id": tenant_id, "id": reservation_id})
        row = cursor.fetchone()
    return (row[0], row[1], dict.fromkeys(row[2], row[3])) if row else None


def add_hold(
    *,
    tenant_id: int,
    reservation_id: str,
    budget_ids: Sequence[int],
    amount: Decimal,
    decision: str,
    seconds: int,
) -> datetime:
    """Hold `amount` USD in each of the budgets; until when."""
    values = {"tenant_id": tenant_id, "id": reservation_id, "budget_ids": list(budget_ids), "amount": amount}
    with connection.cursor() as cursor:
        cursor.execute(DROP_EXPIRED_HOLDS_SQL, {"tenant_id": tenant_id})
        cursor.execute(ADD_HOLD_SQL, values | {"decision": decision, "seconds": seconds})
        return cursor.fetchone()[0]


def settle_holds(*, tenant_id: int, reservation_ids: Sequence[str]) -> None:
    """Let go of these, whose events are booked. Those that are none are passed over."""
    with connection.cursor() as cursor:
        cursor.execute(SETTLE_HOLDS_SQL, {"tenant_id": tenant_id, "ids": list(reservation_ids)})
