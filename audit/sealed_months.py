"""A tenant's month in its tree: from which batch to which it reaches, and under which checkpoint that was sealed.

What is sealed never changes, so whoever knows these few numbers can read the month piece by piece, without holding a
transaction open meanwhile.
"""

import base64
from dataclasses import dataclass, replace
from datetime import date, datetime

from django.db import connections

from audit.core.statement import Checkpoint as StatementCheckpoint
from audit.core.statement import Statement
from audit.statements import get_statement, name_period, snapshot_scope
from ledger.sealing.proofs import (
    LogHead,
    LogLeaf,
    RangeComplement,
    SignedCheckpoint,
    complete_range,
    get_checkpoint_over,
    get_log_head_over,
    get_log_leaf,
    get_salt,
    prove_log_inclusion,
)
from tenants.selectors import TenantInfo


class PeriodEmpty(LookupError):
    """Nothing of the tenant is charged in this month."""


class PeriodUnsealed(RuntimeError):
    """Not everything of the month is sealed and published yet; `waiting`: batches that wait for their seal."""

    def __init__(self, text: str, *, waiting: int) -> None:
        super().__init__(text)
        self.waiting = waiting


@dataclass(frozen=True, slots=True)
class SealedMonth:
    """The batches [first, end) of the tenant's tree hold every entry of the month, and perhaps others.

    checkpoint: the smallest signed one over all of them, so that what is booked later in another month changes
    nothing; log_leaf, log_head, log_path: that it is in the log of all checkpoints.
    """

    tenant: TenantInfo
    period: date
    first: int
    end: int
    checkpoint: SignedCheckpoint
    complement: RangeComplement
    log_leaf: LogLeaf
    log_head: LogHead
    log_path: tuple[bytes, ...]
    salt: bytes
    statement: Statement
    unpriced: int

    @property
    def name(self) -> str:
        return f"{self.tenant.slug}-{self.period:%Y-%m}"

    @property
    def entries(self) -> int:
        return self.statement.rows + self.statement.acts


def find_sealed_month(*, tenant: TenantInfo, period: date, now: datetime, using: str = "default") -> SealedMonth:
    """The month as it is sealed, of one moment. Raises PeriodEmpty, PeriodUnsealed; `TreeTorn` of a tree that is torn.

    period: a month that has begun (`audit.core.statement.read_period`).
    """
    with snapshot_scope(tenant.id, using=using):
        first, end = _find_range(tenant.id, period, using=using)
        checkpoint = get_checkpoint_over(tenant_id=tenant.id, size=end, using=using)
        leaf = get_log_leaf(tenant_id=tenant.id, size=checkpoint.size, using=using) if checkpoint else None
        head = get_log_head_over(size=leaf.log_index + 1, using=using) if leaf else None
        salt = get_salt(tenant_id=tenant.id, using=using)
        if checkpoint is None or leaf is None or head is None or salt is None:
            raise PeriodUnsealed(
                "everything is sealed; its checkpoint is published in the log within a minute", waiting=0
            )
        statement = get_statement(tenant=tenant, period=period, now=now, using=using)
        return SealedMonth(
            tenant=tenant,
            period=period,
            first=first,
            end=end,
            checkpoint=checkpoint,
            complement=complete_range(tenant_id=tenant.id, start=first, end=end, size=checkpoint.size, using=using),
            log_leaf=leaf,
            log_head=head,
            log_path=tuple(prove_log_inclusion(log_index=leaf.log_index, size=head.size, using=using)),
            salt=salt,
            statement=_name_checkpoint(statement, checkpoint),
            unpriced=_count_unpriced(tenant.id, period, using=using),
        )


# A batch is of the month when its receipt says so, or when one of its rows does: each without the other is what
# somebody tampered with, and must not shorten the range. The receipt is searched as it is written, in base64, because
# one that was spoilt may be anything.
FIND_RANGE_SQL = """
    WITH of_month AS (
        SELECT batch_id FROM ledger_batch
        WHERE tenant_id = %(tenant_id)s AND recorded_at >= %(booked_from)s
          AND (strpos(receipt, %(spelt_0)s) > 0 OR strpos(receipt, %(spelt_1)s) > 0
               OR strpos(receipt, %(spelt_2)s) > 0)
        UNION
        SELECT DISTINCT batch_id FROM ledger_entry
        WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s)
    SELECT min(leaf_index), max(leaf_index) + 1, count(*), count(*) - count(leaf_index)
    FROM of_month LEFT JOIN seal_leaf AS leaf ON leaf.tenant_id = %(tenant_id)s AND leaf.batch_id = of_month.batch_id"""
# A batch that is gone beside the range may have been of the month.
FIND_GONE_SQL = """
    SELECT coalesce(
               (SELECT max(leaf_index) + 1 FROM seal_leaf AS leaf
                WHERE tenant_id = %(tenant_id)s AND leaf_index < %(first)s
                  AND EXISTS (SELECT FROM ledger_batch AS batch
                              WHERE batch.tenant_id = leaf.tenant_id AND batch.batch_id = leaf.batch_id)), 0),
           coalesce(
               (SELECT min(leaf_index) FROM seal_leaf AS leaf
                WHERE tenant_id = %(tenant_id)s AND leaf_index >= %(end)s
                  AND EXISTS (SELECT FROM ledger_batch AS batch
                              WHERE batch.tenant_id = leaf.tenant_id AND batch.batch_id = leaf.batch_id)),
               (SELECT max(leaf_index) + 1 FROM seal_leaf WHERE tenant_id = %(tenant_id)s))"""


def _find_range(tenant_id: int, period: date, *, using: str) -> tuple[int, int]:
    spellings = spell_in_base64(f'"{period.isoformat()}":"'.encode())
    values = name_period(tenant_id, period) | {f"spelt_{shift}": text for shift, text in enumerate(spellings)}
    with connections[using].cursor() as cursor:
        cursor.execute(FIND_RANGE_SQL, values)
        first, end, batches, waiting = cursor.fetchone()
        if not batches:
            raise PeriodEmpty(f"nothing is charged in {period:%Y-%m}")
        if waiting:
            raise PeriodUnsealed(
                f"{waiting:,} of the {batches:,} batches of {period:%Y-%m} wait for their seal", waiting=waiting
            )
        cursor.execute(FIND_GONE_SQL, {"tenant_id": tenant_id, "first": first, "end": end})
        return cursor.fetchone()


def spell_in_base64(text: bytes) -> tuple[str, str, str]:
    """How a text may stand inside base64url, by the place where it begins: the letters that it alone makes up.

    >>> spell_in_base64(b'"2026-10-01":"')[0] in base64.urlsafe_b64encode(b'abc"2026-10-01":"x').decode()
    True
    """
    spelt = []
    for shift in range(3):
        encoded = base64.urlsafe_b64encode(b"\0" * shift + text).rstrip(b"=").decode()
        whole = (shift + len(text)) * 8 // 6  # letters that no byte after the text has a part in
        spelt.append(encoded[(shift * 8 + 5) // 6 : whole])
    return spelt[0], spelt[1], spelt[2]


COUNT_UNPRICED_SQL = """
    SELECT count(*) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s
      AND billed_cost IS NULL"""


def _count_unpriced(tenant_id: int, period: date, *, using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute(COUNT_UNPRICED_SQL, name_period(tenant_id, period))
        return cursor.fetchone()[0]


def _name_checkpoint(statement: Statement, checkpoint: SignedCheckpoint) -> Statement:
    named = StatementCheckpoint(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        signed_at=checkpoint.signed_at,
        key_id=checkpoint.key_id,
    )
    return replace(statement, checkpoint=named)
