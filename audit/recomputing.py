"""The figures of a statement, found another way: rows added up by SQL, features and models from the rollups."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connections

from audit.core.statement import Statement, add_up
from audit.statements import get_statement, snapshot_scope
from billing.selectors import Quantities
from billing.selectors.periods import sum_period
from tenants.selectors import TenantInfo


@dataclass(frozen=True, slots=True)
class Check:
    """A figure of the statement beside the same one found elsewhere."""

    name: str
    statement: Decimal
    other: Decimal

    @property
    def difference(self) -> Decimal:
        return self.statement - self.other


@dataclass(frozen=True, slots=True)
class Recomputation:
    """What was compared, all of one moment. groups: of a feature and model; those that differ are named."""

    checked_at: datetime
    checks: tuple[Check, ...]
    groups: int
    differing: tuple[tuple[str, str, str], ...]

    @property
    def difference(self) -> Decimal:
        """The greatest of all."""
        return max((abs(check.difference) for check in self.checks), default=Decimal(0))

    @property
    def agrees(self) -> bool:
        return not self.difference and not self.differing


# Beside the statement's own way: one sum, no group, no price list.
SUM_PERIOD_ROWS_SQL = """
    SELECT count(*), coalesce(sum(calls), 0), coalesce(sum(billed_cost), 0), coalesce(sum(list_cost), 0),
           coalesce(sum(calls) FILTER (WHERE pricing_status = 'unpriced'), 0)
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND kind <> 'admin_act'"""


def recompute_statement(*, tenant: TenantInfo, period: date, now: datetime, using: str = "default") -> Recomputation:
    """Compare the statement's lines with the rows added up by SQL, and each feature and model with the rollups.

    The rows are found by their billing period alone, however late or early they were booked.
    """
    with snapshot_scope(tenant.id, using=using):
        statement = get_statement(tenant=tenant, period=period, now=now, using=using)
        with connections[using].cursor() as cursor:
            cursor.execute(SUM_PERIOD_ROWS_SQL, {"tenant_id": tenant.id, "period": period})
            rows, calls, billed, listed, unpriced = cursor.fetchone()
        rollups = sum_period(tenant_id=tenant.id, period=period, using=using)
    lines = statement.lines
    checks = (
        Check("ledger rows, counted", Decimal(statement.rows), Decimal(rows)),
        Check("calls, counted", Decimal(statement.calls), Decimal(calls)),
        Check("calls without a price, counted", Decimal(statement.unpriced_calls), Decimal(unpriced)),
        Check("lines and ledger rows, USD", add_up(line.amount for line in lines), billed),
        Check("lines and ledger rows at list prices, USD", add_up(line.list_amount for line in lines), listed),
        Check("total and rollups, USD", statement.amount, add_up(each.billed_cost for each in rollups.values())),
    )
    found = _sum_groups(statement)
    names = found.keys() | rollups.keys()
    differing = [name for name in sorted(names) if found.get(name, (0, 0)) != _get_sums(rollups.get(name))]
    return Recomputation(now, checks, len(names), tuple(differing))


def _sum_groups(statement: Statement) -> dict[tuple[str, str, str], tuple[Decimal, Decimal]]:
    sums: dict[tuple[str, str, str], tuple[Decimal, Decimal]] = {}
    for group in statement.groups:
        name = group.feature, group.provider, group.model
        amount, listed = sums.get(name, (Decimal(0), Decimal(0)))
        sums[name] = add_up([amount, group.amount]), add_up([listed, group.list_amount])
    return sums


def _get_sums(quantities: Quantities | None) -> tuple[Decimal, Decimal]:
    return (quantities.billed_cost, quantities.list_cost) if quantities else (Decimal(0), Decimal(0))
