"""One tenant's tree: its head held against the sealer's memory, its waiting batches added, the new head signed.

All of it is one transaction under the tenant's lock: a batch is a leaf and no longer waits, or neither.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections

from ledger.core.headers import HeaderInvalid, list_differing, read_header
from ledger.core.merkle import Growth, LeafRange, Subtree, grow_tree, hash_leaf, hash_range, list_subtrees, split_range
from ledger.core.notes import Checkpoint, NoteInvalid, verify_checkpoint
from ledger.key_files import verify
from ledger.receipts import ReceiptInvalid, open_receipt
from ledger.sealing import SEALER
from ledger.sealing.keys import KeyRing
from ledger.sealing.memory import Memory, Remembered, name_tree
from ledger.sealing.proofs import SignedCheckpoint, TreeTorn, get_head, read_subtrees
from tenants.scope import tenant_scope

BATCHES_PER_ROUND_MAX = 2_000
RETRY_FIRST, RETRY_LAST = timedelta(seconds=30), timedelta(hours=1)  # of a batch that does not verify
SALT_BYTES = 32


class TreeRefused(RuntimeError):
    """What is stored is not what was signed: nothing more is signed until somebody has looked. kind: in one word."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail


@dataclass(frozen=True, slots=True)
class BatchRefused:
    """A batch that was left out, and why; it waits on."""

    batch_id: UUID
    detail: str


@dataclass(frozen=True, slots=True)
class SealedTree:
    """What a transaction made of a tenant's tree; to be remembered once it is committed.

    has_more: whether further batches may wait.
    """

    tenant_id: int
    tree: Remembered
    origin: str
    salt: bytes
    sealed: tuple[UUID, ...]
    refused: tuple[BatchRefused, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A claimed row of the outbox, and what is stored of its batch; stored: None of a batch that is not there."""

    outbox_id: int
    batch_id: UUID
    tries: int
    is_sealed: bool
    stored: Mapping[str, Any] | None


TRY_TREE_LOCK_SQL = "SELECT pg_try_advisory_xact_lock(hashtextextended('seal ' || %(tenant_id)s::bigint, 0))"

HOLD_TREE_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('seal ' || %(tenant_id)s::bigint, 0))"


def seal_tenant(
    tenant_id: int, *, memory: Memory, ring: KeyRing, now: datetime, batches_max: int = BATCHES_PER_ROUND_MAX
) -> SealedTree | None:
    """Seal what waits of a tenant, inside a transaction of the caller's; None when another sealer is at it.

    Raises TreeRefused when the stored tree is not the one that was signed: then nothing changes.
    """
    with tenant_scope(tenant_id, using=SEALER):
        if not _try_lock(tenant_id):
            return None
        origin = ring.name_origin(tenant_id)
        frontier, size = examine_tree(tenant_id, origin=origin, memory=memory, ring=ring)
        salt = _find_salt(tenant_id, origin=origin, now=now)
        claimed = _claim_batches(tenant_id, now=now, limit=batches_max)
        accepted, refused, done = _sort_out(tenant_id, claimed, ring=ring)
        growth = grow_tree(size=size, frontier=frontier, leaves=[leaf for _, leaf in accepted])
        if accepted:
            _keep_growth(tenant_id, size, accepted, growth)
            _keep_checkpoint(tenant_id, growth, origin=origin, ring=ring, now=now)
        _clear_outbox(done)
        _postpone(refused, now=now)
        return SealedTree(
            tenant_id,
            Remembered(growth.size, growth.root),
            origin,
            salt,
            tuple(waiting.batch_id for waiting, _ in accepted),
            tuple(fault for _, fault in refused),
            has_more=len(claimed) == batches_max,
        )


def _try_lock(tenant_id: int) -> bool:
    with connections[SEALER].cursor() as cursor:
        cursor.execute(TRY_TREE_LOCK_SQL, {"tenant_id": tenant_id})
        return bool(cursor.fetchone()[0])


def hold_tree(tenant_id: int) -> None:
    """Let nobody add to the tree until this transaction ends: for whoever compares several statements' answers."""
    with connections[SEALER].cursor() as cursor:
        cursor.execute(HOLD_TREE_SQL, {"tenant_id": tenant_id})


# --- the tree as it is stored ---

COUNT_LEAVES_SQL = "SELECT coalesce(max(leaf_index) + 1, 0) FROM seal_leaf WHERE tenant_id = %(tenant_id)s"


def examine_tree(tenant_id: int, *, origin: str, memory: Memory, ring: KeyRing) -> tuple[list[bytes], int]:
    """The stored tree's frontier and size, when it is what was signed or a signed continuation of it.

    A sealer that died between its commit and its memory left a tree that is ahead of the memory: it is believed when it
    begins with what is remembered and its head carries a signature of ours. Raises TreeRefused.
    """
    head = get_head(tenant_id=tenant_id, using=SEALER)
    remembered = memory.recall(name_tree(tenant_id))
    size = head.size if head else 0
    with connections[SEALER].cursor() as cursor:
        cursor.execute(COUNT_LEAVES_SQL, {"tenant_id": tenant_id})
        (leaf_count,) = cursor.fetchone()
    if size < remembered.size:
        raise TreeRefused("shrank", f"the tree has {size} batches, and {remembered.size} were signed")
    if leaf_count != size:
        raise TreeRefused("unsigned", f"the tree has {leaf_count} leaves, and its checkpoint is over {size}")
    if head:
        check_checkpoint(head, origin=origin, ring=ring)
    whole, before = LeafRange(0, size), LeafRange(0, remembered.size)
    try:
        nodes = read_subtrees(tenant_id=tenant_id, places=list_subtrees([whole, before]), using=SEALER)
    except TreeTorn as error:
        raise TreeRefused("torn", str(error)) from None
    if head and hash_range(whole, nodes) != head.root:
        raise TreeRefused("forked", f"the stored batches do not give the root of the checkpoint over {size}")
    if hash_range(before, nodes) != remembered.root:
        raise TreeRefused("forked", f"the first {remembered.size} batches are not those that were signed")
    return [nodes[place] for place in split_range(0, size)], size


def check_checkpoint(stored: SignedCheckpoint, *, origin: str, ring: KeyRing) -> None:
    """Hold a stored checkpoint against its own note, and the note against our keys. Raises TreeRefused."""
    try:
        signed = verify_checkpoint(stored.note, origin=origin, public_keys=ring.seal_keys.values(), verify=verify)
    except NoteInvalid as error:
        raise TreeRefused(
            "forged", f"the checkpoint over {stored.size} does not carry our signature: {error}"
        ) from None
    if (signed.size, signed.root) != (stored.size, stored.root):
        raise TreeRefused("forged", f"the checkpoint over {stored.size} states another size or root than it signs")


READ_TREE_SQL = "SELECT origin, salt FROM seal_tree WHERE tenant_id = %(tenant_id)s"
BEGIN_TREE_SQL = """
    INSERT INTO seal_tree (tenant_id, origin, salt, begun_at)
    VALUES (%(tenant_id)s, %(origin)s, %(salt)s, %(now)s)"""


def _find_salt(tenant_id: int, *, origin: str, now: datetime) -> bytes:
    """The tenant's salt, made with its tree. Raises TreeRefused for a tree of another installation."""
    values = {"tenant_id": tenant_id, "origin": origin, "salt": os.urandom(SALT_BYTES), "now": now}
    with connections[SEALER].cursor() as cursor:
        cursor.execute(READ_TREE_SQL, values)
        if row := cursor.fetchone():
            if row[0] != origin:
                raise TreeRefused("forged", f"the tree is called {row[0]}, and here it would be {origin}")
            return bytes(row[1])
        cursor.execute(BEGIN_TREE_SQL, values)
    return values["salt"]


# --- the batches that wait ---

STORED = (
    "batch_id", "recorded_at", "api_key_id", "kind", "entry_count", "unpriced_count", "billed_cost", "root", "receipt",
)  # fmt: skip
CLAIM_BATCHES_SQL = """
    WITH waiting AS (
        SELECT id, batch_id, recorded_at, tries FROM outbox
        WHERE topic = 'seal' AND tenant_id = %(tenant_id)s AND not_before <= %(now)s
        ORDER BY recorded_at, batch_id LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED)
    SELECT waiting.id, waiting.batch_id, waiting.tries, seal_leaf.leaf_index IS NOT NULL, batch.batch_id,
           batch.recorded_at, api_key_id, kind, entry_count, unpriced_count, billed_cost, root, receipt
    FROM waiting
    LEFT JOIN ledger_batch AS batch ON batch.tenant_id = %(tenant_id)s AND batch.batch_id = waiting.batch_id
    LEFT JOIN seal_leaf ON seal_leaf.tenant_id = %(tenant_id)s AND seal_leaf.batch_id = waiting.batch_id
    ORDER BY waiting.recorded_at, waiting.batch_id, waiting.id"""


def _claim_batches(tenant_id: int, *, now: datetime, limit: int) -> list[_Waiting]:
    with connections[SEALER].cursor() as cursor:
        cursor.execute(CLAIM_BATCHES_SQL, {"tenant_id": tenant_id, "now": now, "limit": limit})
        return [
            _Waiting(
                outbox_id, batch_id, tries, is_sealed, dict(zip(STORED, stored, strict=True)) if stored[0] else None
            )
            for outbox_id, batch_id, tries, is_sealed, *stored in cursor.fetchall()
        ]


def _sort_out(
    tenant_id: int, claimed: Sequence[_Waiting], *, ring: KeyRing
) -> tuple[list[tuple[_Waiting, bytes]], list[tuple[_Waiting, BatchRefused]], list[int]]:
    """The batches that verify with their leaves; those that do not; the outbox rows that are done."""
    accepted, refused, done = [], [], []
    seen = set()
    for waiting in claimed:
        if waiting.is_sealed or waiting.batch_id in seen:  # queued twice: it has its leaf
            done.append(waiting.outbox_id)
            continue
        try:
            leaf = examine_batch(tenant_id, waiting.stored, ring=ring)
        except HeaderInvalid as error:
            refused.append((waiting, BatchRefused(waiting.batch_id, str(error))))
            continue
        seen.add(waiting.batch_id)
        accepted.append((waiting, leaf))
        done.append(waiting.outbox_id)
    return accepted, refused, done


def examine_batch(tenant_id: int, stored: Mapping[str, Any] | None, *, ring: KeyRing) -> bytes:
    """The leaf of a stored batch whose receipt a key of ours signed, over just these columns. Raises HeaderInvalid."""
    if stored is None:
        raise HeaderInvalid("the batch is not in the ledger any more")
    try:
        payload = open_receipt(stored["receipt"], keys=ring.receipt_keys)
    except ReceiptInvalid as error:
        raise HeaderInvalid(str(error)) from None
    header = read_header(payload)
    if differing := list_differing(header, tenant_id=tenant_id, stored=stored):
        raise HeaderInvalid("; ".join(differing))
    return hash_leaf(payload)


# --- what a round writes ---

ADD_LEAVES_SQL = """
    INSERT INTO seal_leaf (tenant_id, leaf_index, batch_id, leaf)
    SELECT %(tenant_id)s, %(size)s + number - 1, batch_id, decode(leaf, 'hex')
    FROM unnest(%(batch_ids)s::uuid[], %(leaves)s::text[]) WITH ORDINALITY AS leaf (batch_id, leaf, number)"""
ADD_NODES_SQL = """
    INSERT INTO seal_node (tenant_id, level, node_index, hash)
    SELECT %(tenant_id)s, level, node_index, decode(hash, 'hex')
    FROM unnest(%(levels)s::smallint[], %(indexes)s::bigint[], %(hashes)s::text[]) AS node (level, node_index, hash)"""
ADD_CHECKPOINT_SQL = """
    INSERT INTO checkpoint (tenant_id, size, root, signed_at, key_id, note)
    VALUES (%(tenant_id)s, %(size)s, %(root)s, %(signed_at)s, %(key_id)s, %(note)s)"""


def _keep_growth(tenant_id: int, size: int, accepted: Sequence[tuple[_Waiting, bytes]], growth: Growth) -> None:
    with connections[SEALER].cursor() as cursor:
        cursor.execute(
            ADD_LEAVES_SQL,
            {
                "tenant_id": tenant_id,
                "size": size,
                "batch_ids": [waiting.batch_id for waiting, _ in accepted],
                "leaves": [leaf.hex() for _, leaf in accepted],
            },
        )
        cursor.execute(ADD_NODES_SQL, {"tenant_id": tenant_id, **write_nodes(growth.completed)})


def write_nodes(completed: Sequence[tuple[Subtree, bytes]]) -> dict[str, list[Any]]:
    """Inner nodes as a statement takes them."""
    return {
        "levels": [place.level for place, _ in completed],
        "indexes": [place.number for place, _ in completed],
        "hashes": [node.hex() for _, node in completed],
    }


def _keep_checkpoint(tenant_id: int, growth: Growth, *, origin: str, ring: KeyRing, now: datetime) -> None:
    with connections[SEALER].cursor() as cursor:
        cursor.execute(
            ADD_CHECKPOINT_SQL,
            {
                "tenant_id": tenant_id,
                "size": growth.size,
                "root": growth.root,
                "signed_at": now,
                "key_id": ring.own.key_id,
                "note": ring.sign(Checkpoint(origin, growth.size, growth.root)),
            },
        )


CLEAR_OUTBOX_SQL = "DELETE FROM outbox WHERE topic = 'seal' AND id = ANY(%(ids)s)"
POSTPONE_SQL = """
    UPDATE outbox SET tries = least(tries + 1, 1000), not_before = fault.moment, last_error = fault.detail
    FROM jsonb_to_recordset(%(refused)s::jsonb) AS fault (id bigint, moment timestamptz, detail text)
    WHERE outbox.topic = 'seal' AND outbox.id = fault.id"""


def _clear_outbox(ids: Sequence[int]) -> None:
    if ids:
        with connections[SEALER].cursor() as cursor:
            cursor.execute(CLEAR_OUTBOX_SQL, {"ids": list(ids)})


def _postpone(refused: Sequence[tuple[_Waiting, BatchRefused]], *, now: datetime) -> None:
    """Let refused batches wait, longer each time, with the reason beside."""
    if not refused:
        return
    rows = [
        {
            "id": waiting.outbox_id,
            "moment": (now + min(RETRY_FIRST * 2 ** min(waiting.tries, 12), RETRY_LAST)).isoformat(),
            "detail": fault.detail,
        }
        for waiting, fault in refused
    ]
    with connections[SEALER].cursor() as cursor:
        cursor.execute(POSTPONE_SQL, {"refused": json.dumps(rows)})
