"""What providers or logs reported to have been paid, beside what was booked."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import connection

from tenants.scope import tenant_scope


@dataclass(frozen=True, slots=True)
class ReportedCosts:
    """Sums in USD over the entries of one batch that have a reported cost.

    reported_cost = of the priced ones + `unpriced_reported_cost`; `billed_cost` is of the priced ones alone.
    """

    reported_cost: Decimal
    unpriced_reported_cost: Decimal
    billed_cost: Decimal


SUM_REPORTED_SQL = """
    SELECT coalesce(sum(reported_cost), 0), coalesce(sum(reported_cost) FILTER (WHERE billed_cost IS NULL), 0),
           coalesce(sum(billed_cost), 0)
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s AND reported_cost IS NOT NULL"""


def sum_reported_costs(*, tenant_id: int, batch_id: UUID) -> ReportedCosts:
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(SUM_REPORTED_SQL, {"tenant_id": tenant_id, "batch_id": batch_id})
        return ReportedCosts(*cursor.fetchone())
