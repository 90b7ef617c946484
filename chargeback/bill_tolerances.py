"""What may stay unexplained of a tenant's bills: the newest word counts, those before it stay."""

from datetime import datetime

from django.db import connection, connections

from chargeback.bills import lock_bills
from chargeback.core.bills.charges import strip_zeros
from chargeback.core.reconciliation import DEFAULT_TOLERANCE, Tolerance
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope

GET_TOLERANCE_SQL = """
    SELECT absolute, percent FROM bill_tolerance WHERE tenant_id = %(tenant_id)s ORDER BY id DESC LIMIT 1"""
KEEP_TOLERANCE_SQL = """
    INSERT INTO bill_tolerance (tenant_id, absolute, percent, kept_by, kept_at)
    VALUES (%(tenant_id)s, %(absolute)s, %(percent)s, %(actor)s, %(now)s)"""


def get_tolerance(*, tenant_id: int, using: str = "default") -> Tolerance:
    """What may stay unexplained of the tenant's bills."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_TOLERANCE_SQL, {"tenant_id": tenant_id})
        row = cursor.fetchone()
    return DEFAULT_TOLERANCE if row is None else Tolerance(strip_zeros(row[0]), strip_zeros(row[1]))


def set_tolerance(tolerance: Tolerance, *, tenant_id: int, actor: str, now: datetime) -> bool:
    """Judge differences so from now on; False where that was so."""
    with lock_bills(tenant_id=tenant_id), connection.cursor() as cursor:
        before = get_tolerance(tenant_id=tenant_id)
        if before == tolerance:
            return False
        values = {"absolute": tolerance.absolute, "percent": tolerance.percent}
        cursor.execute(KEEP_TOLERANCE_SQL, {"tenant_id": tenant_id, "actor": actor, "now": now, **values})
        facts = {name: f"{value:f}" for name, value in values.items()}
        facts |= {"absolute_before": f"{before.absolute:f}", "percent_before": f"{before.percent:f}"}
        act = Act(name="reconciliation.tolerance_set", actor=actor, facts=facts)
        book_act(tenant_id=tenant_id, act=act, now=now)
    return True
