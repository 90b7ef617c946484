"""What the comparisons of rollups and ledger found, and what the rollups say in all."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connections

LIST_RECONCILIATIONS_SQL = """
    SELECT DISTINCT ON (job) split_part(job, ' ', 2)::bigint, slot, (result::json ->> 'differences')::integer,
           (result::json ->> 'cost_difference')::numeric
    FROM job_run
    WHERE job LIKE 'reconcile %%' AND job <> 'reconcile' AND finished_at IS NOT NULL
    ORDER BY job, slot DESC"""


class TenantReconciliation(NamedTuple):
    """A tenant's latest comparison of rollups and ledger; see LastReconciliation."""

    tenant_id: int
    checked_at: datetime
    differences: int
    cost_difference: Decimal


def list_reconciliations(*, using: str = "reader") -> list[TenantReconciliation]:
    """The latest one of every tenant."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_RECONCILIATIONS_SQL)
        return [TenantReconciliation(*row) for row in cursor.fetchall()]


SUM_HOURS_SQL = """
    SELECT tenant_id, sum(billed_cost) FROM cost_hour WHERE tenant_id = ANY(%(tenant_ids)s) GROUP BY tenant_id"""


def sum_hours(*, tenant_ids: Sequence[int], using: str = "reader") -> dict[int, Decimal]:
    """What the hours say that each tenant ever cost."""
    with connections[using].cursor() as cursor:
        cursor.execute(SUM_HOURS_SQL, {"tenant_ids": list(tenant_ids)})
        return dict(cursor.fetchall())
