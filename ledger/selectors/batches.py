"""A batch with its receipt, and the proof that an entry is in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connections

from ledger.core.merkle import is_included, make_inclusion_path
from tenants.scope import reading_scope


@dataclass(frozen=True, slots=True)
class Batch:
    """The header of one accepted request. billed_cost: of its priced entries."""

    batch_id: UUID
    recorded_at: datetime
    api_key_id: str
    kind: str
    entry_count: int
    unpriced_count: int
    billed_cost: Decimal
    root: str  # hexadecimal
    receipt: str


GET_BATCH_SQL = """
    SELECT batch_id, recorded_at, api_key_id, kind, entry_count, unpriced_count, billed_cost, root, receipt
    FROM ledger_batch
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s"""


def get_batch(*, tenant_id: int, batch_id: UUID, using: str = "default") -> Batch | None:
    """The tenant's batch of this id; None for every other id."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_BATCH_SQL, {"tenant_id": tenant_id, "batch_id": batch_id})
        row = cursor.fetchone()
    return _read_batch(row) if row else None


def _read_batch(row: Sequence[Any]) -> Batch:
    *header, root, receipt = row
    return Batch(*header, bytes(root).hex(), receipt)


@dataclass(frozen=True, slots=True)
class EntryProof:
    """That an entry is in the batch whose receipt was signed. Hashes are hexadecimal.

    path: the siblings from the leaf to the root, lowest first (RFC 9162, 2.1.3). is_included: whether the stored
    leaves give the stored root.
    """

    leaf: str
    leaf_index: int
    tree_size: int
    path: tuple[str, ...]
    root: str
    receipt: str
    is_included: bool


LIST_BATCH_LEAVES_SQL = """
    SELECT line, leaf
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s AND recorded_at = %(recorded_at)s
    ORDER BY line"""


def prove_entry(*, tenant_id: int, entry: Mapping[str, Any], using: str = "default") -> EntryProof:
    """The inclusion path of a stored entry, made from its batch's leaves as they are stored now."""
    place = {"tenant_id": tenant_id, "batch_id": entry["batch_id"], "recorded_at": entry["recorded_at"]}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_BATCH_SQL, place)
        batch = _read_batch(cursor.fetchone())
        cursor.execute(LIST_BATCH_LEAVES_SQL, place)
        leaf_of_line = {line: bytes(leaf) for line, leaf in cursor.fetchall()}
    leaves = list(leaf_of_line.values())
    index = list(leaf_of_line).index(entry["line"])
    path = make_inclusion_path(leaves, index)
    return EntryProof(
        leaf=entry["leaf"],
        leaf_index=index,
        tree_size=len(leaves),
        path=tuple(sibling.hex() for sibling in path),
        root=batch.root,
        receipt=batch.receipt,
        is_included=is_included(
            leaf=bytes.fromhex(entry["leaf"]),
            index=index,
            size=batch.entry_count,
            path=path,
            root=bytes.fromhex(batch.root),
        ),
    )
