"""Why a bill differs, as people say it: amounts of rows, each with its reason, added up and never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connection, connections

from chargeback.bills import lock_bills
from chargeback.core.bills.charges import strip_zeros, sum_amounts
from chargeback.core.reconciliation import Decision, next_month
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope

COMMENT_LENGTH_MAX = 2_000


class ReconciliationRefused(ValueError):
    """A step that cannot be taken; code: reason_unknown, comment_missing, row_unknown, month_running, unexplained."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """A decision as a person took it: one act, of one row or many."""

    decision: int
    reason: str
    comment: str
    rows: int
    amount: Decimal
    decided_by: str
    decided_at: datetime


NEXT_DECISION_SQL = "SELECT coalesce(max(decision), 0) + 1 FROM variance_decision WHERE tenant_id = %(tenant_id)s"
ADD_DECISIONS_SQL = """
    INSERT INTO variance_decision (tenant_id, decision, provider, model, day, reason, amount, comment, decided_by,
                                   decided_at)
    SELECT %(tenant_id)s::bigint, %(decision)s::bigint, provider, model, day, %(reason)s::text, amount,
           %(comment)s::text, %(actor)s::text, %(now)s::timestamptz
    FROM unnest(%(providers)s::text[], %(models)s::text[], %(days)s::date[], %(amounts)s::numeric[])
        AS new (provider, model, day, amount)"""


LIST_DECISION_ROWS_SQL = """
    SELECT provider, model, day, reason, amount FROM variance_decision
    WHERE tenant_id = %(tenant_id)s AND decision = %(decision)s"""


def take_back_decision(*, tenant_id: int, decision: int, actor: str, now: datetime) -> KeptDecision:
    """Let a decision explain nothing any more; it stays on record with its negative. Raises ReconciliationRefused."""
    with lock_bills(tenant_id=tenant_id), connection.cursor() as cursor:
        cursor.execute(LIST_DECISION_ROWS_SQL, {"tenant_id": tenant_id, "decision": decision})
        rows = cursor.fetchall()
        if not rows:
            raise ReconciliationRefused("row_unknown", f"there is no decision {decision}")
        if len(rows) > len({row[:3] for row in rows}):  # its negative stands there as well
            raise ReconciliationRefused("row_unknown", f"decision {decision} is taken back already")
        undone = [Decision((*row[:3],), row[3], row[4].copy_negate()) for row in rows]
        comment = f"taken back: decision {decision}"
        return keep_decisions(undone, comment=comment, tenant_id=tenant_id, actor=actor, now=now, decision_id=decision)


def keep_decisions(
    decisions: Sequence[Decision],
    *,
    comment: str,
    tenant_id: int,
    actor: str,
    now: datetime,
    decision_id: int | None = None,
) -> KeptDecision:
    """Keep them as one, and as one act. decision_id: the one that they undo, whose number they have."""
    (reason,) = {decision.reason for decision in decisions}
    with connection.cursor() as cursor:
        if decision_id is None:
            cursor.execute(NEXT_DECISION_SQL, {"tenant_id": tenant_id})
            (decision_id,) = cursor.fetchone()
        values = {
            "tenant_id": tenant_id, "decision": decision_id, "reason": reason, "comment": comment, "actor": actor,
            "now": now,
            "providers": [decision.place[0] for decision in decisions],
            "models": [decision.place[1] for decision in decisions],
            "days": [decision.place[2] for decision in decisions],
            "amounts": [decision.amount for decision in decisions],
        }  # fmt: skip
        cursor.execute(ADD_DECISIONS_SQL, values)
    amount = strip_zeros(sum_amounts((reason, decision.amount) for decision in decisions)[reason])
    days = [decision.place[2] for decision in decisions]
    facts = {
        "decision": str(decision_id),
        "reason": reason,
        "amount": f"{amount:f}",
        "providers": ", ".join(sorted({decision.place[0] for decision in decisions})),
        "models": ", ".join(sorted({decision.place[1] for decision in decisions}))[:500],
        "first_day": min(days).isoformat(),
        "last_day": max(days).isoformat(),
        "comment": comment,
    }
    act = Act(name="reconciliation.explained", actor=actor, facts=facts)
    book_act(tenant_id=tenant_id, act=act, now=now)
    return KeptDecision(decision_id, reason, comment, len(decisions), amount, actor, now)


READ_DECISIONS_SQL = """
    SELECT provider, model, day, reason, sum(amount) FROM variance_decision
    WHERE tenant_id = %(tenant_id)s AND day >= %(first)s AND day < %(after)s
    GROUP BY provider, model, day, reason HAVING sum(amount) <> 0"""
LIST_DECISIONS_SQL = """
    SELECT decision, min(reason), (array_agg(comment ORDER BY id))[1], count(DISTINCT (provider, model, day))::int,
           sum(amount), (array_agg(decided_by ORDER BY id))[1], min(decided_at)
    FROM variance_decision
    WHERE tenant_id = %(tenant_id)s AND decision IN (
        SELECT decision FROM variance_decision
        WHERE tenant_id = %(tenant_id)s AND day >= %(first)s AND day < %(after)s)
    GROUP BY decision HAVING count(*) = count(DISTINCT (provider, model, day))
    ORDER BY decision DESC"""


def read_decisions(*, tenant_id: int, first: date, after: date, using: str) -> list[Decision]:
    """What is explained of each row of [first, after), by reason; call it inside the tenant's scope."""
    with connections[using].cursor() as cursor:
        cursor.execute(READ_DECISIONS_SQL, {"tenant_id": tenant_id, "first": first, "after": after})
        return [Decision((*row[:3],), row[3], strip_zeros(row[4])) for row in cursor.fetchall()]


def list_decisions(*, tenant_id: int, period: date, using: str = "default") -> list[KeptDecision]:
    """What people said of the month's rows and stands, the newest first."""
    values = {"tenant_id": tenant_id, "first": period, "after": next_month(period)}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_DECISIONS_SQL, values)
        return [KeptDecision(*row[:4], strip_zeros(row[4]), *row[5:]) for row in cursor.fetchall()]


def check_comment(comment: str) -> str:
    comment = comment.strip()
    if not comment or len(comment) > COMMENT_LENGTH_MAX or "\0" in comment:
        raise ReconciliationRefused("comment_missing", f"say why, in at most {COMMENT_LENGTH_MAX:,} characters")
    return comment
