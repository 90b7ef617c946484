"""Comparing all of it again: every sealed batch with its receipt, every node with its leaves, every checkpoint with its
signature; and whether a batch of the ledger is neither sealed nor waiting.

A round looks at the edge of a tree, which is enough to sign the next checkpoint honestly; what was changed behind the
edge is found here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connections

from ledger.core.headers import HeaderInvalid, HeaderOutdated, read_header
from ledger.core.identity import make_uuid7
from ledger.core.merkle import LeafRange, Subtree, grow_tree, hash_range, split_range
from ledger.receipts import ReceiptInvalid, open_receipt
from ledger.sealing import SEALER
from ledger.sealing.keys import KeyRing
from ledger.sealing.memory import Memory
from ledger.sealing.proofs import SignedCheckpoint, Subtrees
from ledger.sealing.tenant_trees import STORED, TreeRefused, check_checkpoint, examine_batch, examine_tree, hold_tree
from tenants.scope import tenant_scope

HISTORY = "history"
KINDS_OF_BATCHES = ("missed", "changed")
PAGE = 5_000
FAULTS_MAX = 100
RECENT = timedelta(hours=3)
SETTLED_AFTER = timedelta(minutes=1)  # a batch that was booked before this is sealed, or waits


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was sealed. subject: as an alarm names it."""

    subject: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class TreeCheck:
    """What a comparison saw of one tenant. before_seals: batches from before there were seals, which have none."""

    tenant_id: int
    batches: int
    checkpoints: int
    before_seals: int
    faults: tuple[Fault, ...]


def check_tree(
    tenant_id: int, *, memory: Memory, ring: KeyRing, now: datetime, pause: Callable[[], object] = lambda: None
) -> TreeCheck:
    """Everything of a tenant, from its batches up to the sealer's memory; FAULTS_MAX faults are told.

    pause: called between two pages, outside of any transaction: sealing need not wait until it is done.
    """
    faults: list[Fault] = []
    with tenant_scope(tenant_id, using=SEALER):
        hold_tree(tenant_id)
        origin = ring.name_origin(tenant_id)
        try:
            _, size = examine_tree(tenant_id, origin=origin, memory=memory, ring=ring)
        except TreeRefused as refusal:
            faults.append(Fault("tree", refusal.kind, refusal.detail))
            size = _count_leaves(tenant_id)
        missed, before_seals = find_missed(tenant_id, until=now - SETTLED_AFTER, ring=ring)
    faults += [_say_missed(batch_id) for batch_id in missed]
    known: Subtrees = {}
    for start in range(0, size, PAGE):
        pause()
        with tenant_scope(tenant_id, using=SEALER):
            known, found = _compare_page(tenant_id, known, start=start, end=min(start + PAGE, size), ring=ring)
        faults = list(dict.fromkeys(faults + found))[:FAULTS_MAX]
        if not known:
            break
    checkpoints, found = _check_checkpoints(tenant_id, origin=origin, ring=ring, pause=pause)
    return TreeCheck(tenant_id, size, checkpoints, before_seals, tuple(dict.fromkeys(faults + found))[:FAULTS_MAX])


def check_recent(tenant_id: int, *, ring: KeyRing, now: datetime) -> list[Fault]:
    """The batches of the last hours that are neither sealed nor wait."""
    with tenant_scope(tenant_id, using=SEALER):
        missed, _ = find_missed(tenant_id, since=now - RECENT, until=now - SETTLED_AFTER, ring=ring)
    return [_say_missed(batch_id) for batch_id in missed]


def _say_missed(batch_id: UUID) -> Fault:
    return Fault(f"batch {batch_id}", "missed", "the batch is neither sealed nor does it wait for its seal")


LIST_TENANTS_SQL = "SELECT id FROM tenant ORDER BY id"


def list_tenants() -> list[int]:
    """Every tenant's number, those too of whom nothing was ever sealed."""
    with connections[SEALER].cursor() as cursor:
        cursor.execute(LIST_TENANTS_SQL)
        return [tenant_id for (tenant_id,) in cursor.fetchall()]


COUNT_LEAVES_SQL = "SELECT coalesce(max(leaf_index) + 1, 0) FROM seal_leaf WHERE tenant_id = %(tenant_id)s"
LIST_LEAVES_SQL = """
    SELECT leaf_index, leaf, leaf_of.batch_id, batch.batch_id, recorded_at, api_key_id, kind, entry_count,
           unpriced_count, billed_cost, root, receipt
    FROM seal_leaf AS leaf_of
    LEFT JOIN ledger_batch AS batch ON batch.tenant_id = %(tenant_id)s AND batch.batch_id = leaf_of.batch_id
    WHERE leaf_of.tenant_id = %(tenant_id)s AND leaf_index >= %(start)s AND leaf_index < %(end)s
    ORDER BY leaf_index"""
LIST_NODES_SQL = """
    SELECT level::int, node_index, hash FROM seal_node
    WHERE tenant_id = %(tenant_id)s
      AND (node_index + 1) << level > %(start)s AND (node_index + 1) << level <= %(end)s"""
LIST_CHECKPOINT_ROOTS_SQL = """
    SELECT size, root FROM checkpoint
    WHERE tenant_id = %(tenant_id)s AND size > %(start)s AND size <= %(end)s
    ORDER BY size"""


def _count_leaves(tenant_id: int) -> int:
    with connections[SEALER].cursor() as cursor:
        cursor.execute(COUNT_LEAVES_SQL, {"tenant_id": tenant_id})
        return int(cursor.fetchone()[0])


def _compare_page(
    tenant_id: int, known: Subtrees, *, start: int, end: int, ring: KeyRing
) -> tuple[Subtrees, list[Fault]]:
    """Grow the tree again by the leaves [start, end), and hold every stored hash against it.

    known: the frontier before; given back: the frontier after, or nothing where leaves are missing.
    """
    values = {"tenant_id": tenant_id, "start": start, "end": end}
    with connections[SEALER].cursor() as cursor:
        cursor.execute(LIST_LEAVES_SQL, values)
        rows = cursor.fetchall()
        cursor.execute(LIST_NODES_SQL, values)
        stored = {Subtree(level, number): bytes(node) for level, number, node in cursor.fetchall()}
        cursor.execute(LIST_CHECKPOINT_ROOTS_SQL, values)
        roots = [(size, bytes(root)) for size, root in cursor.fetchall()]
    if [row[0] for row in rows] != list(range(start, end)):
        return {}, [Fault(HISTORY, "torn", f"of the leaves {start} to {end - 1} some are missing")]
    leaves = [bytes(row[1]) for row in rows]
    faults = [
        _compare_batch(tenant_id, leaf, row[2], row[3:], ring=ring) for leaf, row in zip(leaves, rows, strict=True)
    ]
    growth = grow_tree(size=start, frontier=[known[place] for place in split_range(0, start)], leaves=leaves)
    grown = dict(growth.completed)
    faults += [
        Fault(HISTORY, "torn", f"subtree {place.number} of level {place.level} is not stored as its leaves give it")
        for place in sorted(grown.keys() | stored.keys())
        if grown.get(place) != stored.get(place)
    ]
    known |= {Subtree(0, index): leaf for index, leaf in enumerate(leaves, start=start)} | grown
    faults += [
        Fault(HISTORY, "forked", f"the batches do not give the root of the checkpoint over {size}")
        for size, root in roots
        if hash_range(LeafRange(0, size), known) != root
    ]
    return {place: known[place] for place in split_range(0, end)}, [fault for fault in faults if fault]


def _compare_batch(
    tenant_id: int, leaf: bytes, batch_id: UUID, row: Sequence[object], *, ring: KeyRing
) -> Fault | None:
    stored = dict(zip(STORED, row, strict=True)) if row[0] else None
    try:
        if examine_batch(tenant_id, stored, ring=ring) != leaf:
            return Fault(f"batch {batch_id}", "changed", "its receipt is another than the one that was sealed")
    except HeaderInvalid as error:
        return Fault(f"batch {batch_id}", "changed", str(error))
    return None


LIST_CHECKPOINTS_SQL = """
    SELECT size, root, signed_at, key_id, note FROM checkpoint
    WHERE tenant_id = %(tenant_id)s AND size > %(size)s
    ORDER BY size LIMIT %(limit)s"""


def _check_checkpoints(
    tenant_id: int, *, origin: str, ring: KeyRing, pause: Callable[[], object]
) -> tuple[int, list[Fault]]:
    """How many there are, and those that do not carry our signature over what they state."""
    faults, count, size = [], 0, 0
    while True:
        pause()
        with tenant_scope(tenant_id, using=SEALER), connections[SEALER].cursor() as cursor:
            cursor.execute(LIST_CHECKPOINTS_SQL, {"tenant_id": tenant_id, "size": size, "limit": PAGE})
            rows = cursor.fetchall()
        for found, root, signed_at, key_id, note in rows:
            try:
                check_checkpoint(
                    SignedCheckpoint(found, bytes(root), signed_at, key_id, note), origin=origin, ring=ring
                )
            except TreeRefused as refusal:
                faults.append(Fault(HISTORY, refusal.kind, refusal.detail))
        count += len(rows)
        if len(rows) < PAGE:
            return count, faults
        size = rows[-1][0]


FIND_MISSED_SQL = """
    SELECT batch_id, receipt FROM ledger_batch AS batch
    WHERE tenant_id = %(tenant_id)s AND batch_id >= %(since)s AND batch_id < %(until)s
      AND NOT EXISTS (SELECT FROM seal_leaf
                      WHERE seal_leaf.tenant_id = %(tenant_id)s AND seal_leaf.batch_id = batch.batch_id)
      AND NOT EXISTS (SELECT FROM outbox
                      WHERE topic = 'seal' AND outbox.tenant_id = %(tenant_id)s AND outbox.batch_id = batch.batch_id)
    ORDER BY batch_id"""
FIRST_BATCH = UUID(int=0)


def find_missed(
    tenant_id: int, *, until: datetime, ring: KeyRing, since: datetime | None = None
) -> tuple[list[UUID], int]:
    """Batches booked before `until` that are neither sealed nor wait: somebody took them off the list. In the scope.

    The second number is of those whose receipts, signed by a key of ours, are from before there were seals.
    """
    values = {
        "tenant_id": tenant_id,
        "since": make_uuid7(since, bytes(8)) if since else FIRST_BATCH,
        "until": make_uuid7(until, bytes(8)),
    }
    with connections[SEALER].cursor() as cursor:
        cursor.execute(FIND_MISSED_SQL, values)
        rows = cursor.fetchall()
    missed = [batch_id for batch_id, receipt in rows if not _is_before_seals(receipt, ring=ring)]
    return missed, len(rows) - len(missed)


def _is_before_seals(receipt: str, *, ring: KeyRing) -> bool:
    try:
        read_header(open_receipt(receipt, keys=ring.receipt_keys))
    except HeaderOutdated:
        return True
    except (ReceiptInvalid, HeaderInvalid):
        return False
    return False
