"""The log of all trees: every tenant's checkpoint and every key's announcement a leaf, its head published.

What one tenant cannot see is that another was told another history: a public head over all of them is what makes that
hard to do and impossible to take back.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connections, transaction

from ledger.core.log_leaves import write_checkpoint_leaf
from ledger.core.merkle import LeafRange, grow_tree, hash_leaf, hash_range, list_subtrees, split_range
from ledger.core.notes import Checkpoint, NoteInvalid, read_checkpoint, read_note
from ledger.sealing import SEALER
from ledger.sealing.keys import KeyRing, list_announced_keys
from ledger.sealing.memory import LOG, LOG_HEAD, Memory, Remembered
from ledger.sealing.proofs import LogHead, TreeTorn, get_checkpoint, get_log_head, get_salt, read_log_subtrees
from ledger.sealing.tenant_trees import SealedTree, TreeRefused, check_checkpoint, write_nodes
from tenants.scope import tenant_scope

PUBLISH_EVERY = timedelta(minutes=1)
TAIL_BYTES = 4_096  # of the file of heads: one note is a tenth of it


@dataclass(frozen=True, slots=True)
class NewLeaf:
    """What is to be added: a tenant's checkpoint, by its size, or a key's announcement."""

    data: str
    tenant_id: int | None = None
    size: int | None = None
    key_id: str | None = None


LOCK_LOG_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('seal log', 0))"


@contextmanager
def hold_log() -> Iterator[None]:
    """A transaction that alone adds to the log."""
    with transaction.atomic(using=SEALER):
        with connections[SEALER].cursor() as cursor:
            cursor.execute(LOCK_LOG_SQL)
        yield


# --- the log as it is stored ---

COUNT_LOG_LEAVES_SQL = "SELECT coalesce(max(log_index) + 1, 0) FROM log_leaf"


def examine_log(*, last: Remembered, ring: KeyRing) -> tuple[list[bytes], Remembered]:
    """The stored log's frontier and state, when it is what we left or goes on from it by what we signed.

    last: as we left it. Raises TreeRefused.
    """
    with connections[SEALER].cursor() as cursor:
        cursor.execute(COUNT_LOG_LEAVES_SQL)
        (size,) = cursor.fetchone()
    if size < last.size:
        raise TreeRefused("shrank", f"the log has {size} leaves, and it had {last.size}")
    whole, before = LeafRange(0, size), LeafRange(0, last.size)
    try:
        nodes = read_log_subtrees(places=list_subtrees([whole, before]), using=SEALER)
    except TreeTorn as error:
        raise TreeRefused("torn", str(error)) from None
    if hash_range(before, nodes) != last.root:
        raise TreeRefused("forked", f"the first {last.size} leaves of the log are not those that it had")
    for added in _list_leaves(start=last.size, end=size):
        _vouch_for(added, ring=ring)
    return [nodes[place] for place in split_range(0, size)], Remembered(size, hash_range(whole, nodes))


LIST_LOG_LEAVES_SQL = """
    SELECT log_index, tenant_id, size, key_id, leaf, data FROM log_leaf
    WHERE log_index >= %(start)s AND log_index < %(end)s
    ORDER BY log_index"""


def _list_leaves(*, start: int, end: int) -> list[tuple[int, NewLeaf, bytes]]:
    if start == end:
        return []
    with connections[SEALER].cursor() as cursor:
        cursor.execute(LIST_LOG_LEAVES_SQL, {"start": start, "end": end})
        return [
            (index, NewLeaf(data, tenant_id, size, key_id), bytes(leaf))
            for index, tenant_id, size, key_id, leaf, data in cursor.fetchall()
        ]


def _vouch_for(added: tuple[int, NewLeaf, bytes], *, ring: KeyRing) -> None:
    """That a leaf which we do not remember is ours: another sealer's, or our own before we died. Raises TreeRefused."""
    index, found, leaf = added
    expected = _make_key_leaf(found.key_id, ring) if found.key_id else _make_checkpoint_leaf(found, ring)
    if expected != found.data or hash_leaf(found.data.encode()) != leaf:
        raise TreeRefused("forged", f"leaf {index} of the log is none that we signed")


def _make_key_leaf(key_id: str | None, ring: KeyRing) -> str | None:
    for key in list_announced_keys(using=SEALER):
        if key.key_id == key_id and key_id in {**ring.receipt_keys, **ring.seal_keys}:
            return key.announcement
    return None


def _make_checkpoint_leaf(found: NewLeaf, ring: KeyRing) -> str | None:
    tenant_id, size = found.tenant_id or 0, found.size or 0
    origin = ring.name_origin(tenant_id)
    with tenant_scope(tenant_id, using=SEALER):
        stored = get_checkpoint(tenant_id=tenant_id, size=size, using=SEALER)
        salt = get_salt(tenant_id=tenant_id, using=SEALER)
    if stored is None or salt is None:
        return None
    check_checkpoint(stored, origin=origin, ring=ring)
    return write_checkpoint_leaf(origin=origin, salt=salt, size=size, root=stored.root, signed_at=stored.signed_at)


# --- adding ---

LIST_UNLOGGED_SQL = """
    SELECT size, root, signed_at FROM checkpoint
    WHERE tenant_id = %(tenant_id)s
      AND size > (SELECT coalesce(max(size), 0) FROM log_leaf WHERE tenant_id = %(tenant_id)s)
    ORDER BY size"""
ADD_LOG_LEAVES_SQL = """
    INSERT INTO log_leaf (log_index, tenant_id, size, key_id, leaf, data)
    SELECT %(start)s + number - 1, tenant_id, size, key_id, decode(leaf, 'hex'), data
    FROM unnest(%(tenant_ids)s::bigint[], %(sizes)s::bigint[], %(key_ids)s::text[], %(leaves)s::text[],
                %(data)s::text[]) WITH ORDINALITY AS leaf (tenant_id, size, key_id, leaf, data, number)"""
ADD_LOG_NODES_SQL = """
    INSERT INTO log_node (level, node_index, hash)
    SELECT level, node_index, decode(hash, 'hex')
    FROM unnest(%(levels)s::smallint[], %(indexes)s::bigint[], %(hashes)s::text[]) AS node (level, node_index, hash)"""


def log_tree(tree: SealedTree, *, last: Remembered, ring: KeyRing) -> Remembered:
    """Add those of a tenant's checkpoints that are not in the log yet, in the transaction that signed the last of them;
    the log as it is then. Raises TreeRefused.
    """
    with tenant_scope(tree.tenant_id, using=SEALER), hold_log(), connections[SEALER].cursor() as cursor:
        cursor.execute(LIST_UNLOGGED_SQL, {"tenant_id": tree.tenant_id})
        new = [
            NewLeaf(
                write_checkpoint_leaf(
                    origin=tree.origin, salt=tree.salt, size=size, root=bytes(root), signed_at=signed_at
                ),
                tenant_id=tree.tenant_id,
                size=size,
            )
            for size, root, signed_at in cursor.fetchall()
        ]
        return _grow_log(new, last=last, ring=ring)


LIST_LOGGED_KEYS_SQL = "SELECT key_id FROM log_leaf WHERE key_id IS NOT NULL"


def log_keys(*, last: Remembered, ring: KeyRing) -> Remembered:
    """Add the announcements of keys that are believed and not in the log yet. Raises TreeRefused."""
    with hold_log(), connections[SEALER].cursor() as cursor:
        cursor.execute(LIST_LOGGED_KEYS_SQL)
        logged = {key_id for (key_id,) in cursor.fetchall()}
        believed = {**ring.receipt_keys, **ring.seal_keys}
        new = [
            NewLeaf(key.announcement, key_id=key.key_id)
            for key in list_announced_keys(using=SEALER)
            if key.key_id not in logged and believed.get(key.key_id) == key.public_key
        ]
        return _grow_log(new, last=last, ring=ring)


def _grow_log(new: Sequence[NewLeaf], *, last: Remembered, ring: KeyRing) -> Remembered:
    if not new:
        return last
    frontier, stored = examine_log(last=last, ring=ring)
    leaves = [hash_leaf(leaf.data.encode()) for leaf in new]
    growth = grow_tree(size=stored.size, frontier=frontier, leaves=leaves)
    with connections[SEALER].cursor() as cursor:
        cursor.execute(
            ADD_LOG_LEAVES_SQL,
            {
                "start": stored.size,
                "tenant_ids": [leaf.tenant_id for leaf in new],
                "sizes": [leaf.size for leaf in new],
                "key_ids": [leaf.key_id for leaf in new],
                "leaves": [leaf.hex() for leaf in leaves],
                "data": [leaf.data for leaf in new],
            },
        )
        cursor.execute(ADD_LOG_NODES_SQL, write_nodes(growth.completed))
    return Remembered(growth.size, growth.root)


# --- the published head ---

ADD_LOG_HEAD_SQL = """
    INSERT INTO log_head (size, root, signed_at, key_id, note)
    VALUES (%(size)s, %(root)s, %(signed_at)s, %(key_id)s, %(note)s)
    ON CONFLICT (size) DO NOTHING"""


def publish_head(memory: Memory, *, last: Remembered, ring: KeyRing, now: datetime, at_once: bool = False) -> bool:
    """Sign the log's head and append it to the file, once a minute at most unless `at_once`; whether that was done.

    last: the log as it is. Raises TreeRefused when a head that was published is gone.
    """
    with hold_log():
        head = get_log_head(using=SEALER)
        published = memory.recall(LOG_HEAD)
        if (head.size if head else 0) < published.size:
            raise TreeRefused("shrank", f"a head over {published.size} leaves was published and is not there any more")
        is_due = at_once or head is None or now - head.signed_at >= PUBLISH_EVERY
        has_grown = last.size > (head.size if head else 0)
        if is_due and has_grown:
            examine_log(last=last, ring=ring)
            head = _sign_head(last, ring=ring, now=now)
    if head:
        file_heads(settings.LOG_HEADS, newest=head)
        memory.remember([(LOG, last), (LOG_HEAD, Remembered(head.size, head.root))])
    return is_due and has_grown


def _sign_head(last: Remembered, *, ring: KeyRing, now: datetime) -> LogHead:
    note = ring.sign(Checkpoint(ring.log_origin, last.size, last.root))
    head = LogHead(last.size, last.root, now, ring.own.key_id, note)
    with connections[SEALER].cursor() as cursor:
        cursor.execute(
            ADD_LOG_HEAD_SQL,
            {"size": head.size, "root": head.root, "signed_at": now, "key_id": head.key_id, "note": note},
        )
    return head


def file_heads(path: Path, *, newest: LogHead) -> None:
    """Append the newest head to the file of heads, unless it is its last; on disk when it returns."""
    if _read_last_size(path) >= newest.size:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{newest.note}\n")
        file.flush()
        os.fsync(file.fileno())


def _read_last_size(path: Path) -> int:
    """The size of the last head in the file; 0 where none can be read."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").rstrip("\n").split("\n")
    try:
        text, _ = read_note("\n".join(lines[-5:]) + "\n")
        return read_checkpoint(text).size
    except NoteInvalid:
        return 0
