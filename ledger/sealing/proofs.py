"""What readers ask of the trees: checkpoints, inclusion and consistency, and the hashes that complete a range.

All of it is made of what is stored, by whoever asks; nothing here signs or checks a signature. Sizes and indexes are
counts of batches. A path is a list of hashes, lowest first (RFC 9162, 2.1.3 and 2.1.4).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connections

from ledger.core.merkle import (
    LeafRange,
    Subtree,
    hash_range,
    list_subtrees,
    plan_consistency,
    plan_inclusion,
    split_range,
)
from tenants.scope import reading_scope

Subtrees = dict[Subtree, bytes]


class TreeTorn(RuntimeError):
    """A leaf or an inner node that must be there is not: somebody took it out of the database."""


# --- a tenant's tree ---


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A signed head of a tenant's tree. note: the C2SP tlog-checkpoint; its first line is the tree's origin."""

    size: int
    root: bytes
    signed_at: datetime
    key_id: str
    note: str

    @property
    def origin(self) -> str:
        return self.note.partition("\n")[0]


GET_CHECKPOINT_SQL = """
    SELECT size, root, signed_at, key_id, note FROM checkpoint
    WHERE tenant_id = %(tenant_id)s AND size >= %(size)s
    ORDER BY size LIMIT 1"""
GET_HEAD_SQL = """
    SELECT size, root, signed_at, key_id, note FROM checkpoint
    WHERE tenant_id = %(tenant_id)s
    ORDER BY size DESC LIMIT 1"""


def get_head(*, tenant_id: int, using: str = "default") -> SignedCheckpoint | None:
    """The newest checkpoint; None before the first."""
    return _get_checkpoint(GET_HEAD_SQL, tenant_id, 0, using)


def get_checkpoint_over(*, tenant_id: int, size: int, using: str = "default") -> SignedCheckpoint | None:
    """The smallest signed checkpoint of at least `size` batches; None when so many are not sealed yet."""
    return _get_checkpoint(GET_CHECKPOINT_SQL, tenant_id, size, using)


def get_checkpoint(*, tenant_id: int, size: int, using: str = "default") -> SignedCheckpoint | None:
    """The checkpoint of exactly this size; None where none was signed."""
    found = get_checkpoint_over(tenant_id=tenant_id, size=size, using=using)
    return found if found and found.size == size else None


def _get_checkpoint(statement: str, tenant_id: int, size: int, using: str) -> SignedCheckpoint | None:
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(statement, {"tenant_id": tenant_id, "size": size})
        row = cursor.fetchone()
    return SignedCheckpoint(row[0], bytes(row[1]), *row[2:]) if row else None


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch's place in the tenant's tree."""

    leaf_index: int
    batch_id: UUID
    leaf: bytes


GET_SEALED_BATCH_SQL = """
    SELECT leaf_index, batch_id, leaf FROM seal_leaf
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s"""
LIST_SEALED_BATCHES_SQL = """
    SELECT leaf_index, batch_id, leaf FROM seal_leaf
    WHERE tenant_id = %(tenant_id)s AND leaf_index >= %(start)s AND leaf_index < %(end)s
    ORDER BY leaf_index"""


def get_sealed_batch(*, tenant_id: int, batch_id: UUID, using: str = "default") -> SealedBatch | None:
    """Where a batch stands; None while it waits for its seal."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_SEALED_BATCH_SQL, {"tenant_id": tenant_id, "batch_id": batch_id})
        row = cursor.fetchone()
    return SealedBatch(row[0], row[1], bytes(row[2])) if row else None


def list_sealed_batches(*, tenant_id: int, start: int, end: int, using: str = "default") -> list[SealedBatch]:
    """The batches at the places [start, end), in their order."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_SEALED_BATCHES_SQL, {"tenant_id": tenant_id, "start": start, "end": end})
        return [SealedBatch(index, batch_id, bytes(leaf)) for index, batch_id, leaf in cursor.fetchall()]


READ_SUBTREES_SQL = """
    SELECT level::int, node_index, hash FROM seal_node
    WHERE tenant_id = %(tenant_id)s
      AND (level, node_index) IN (SELECT * FROM unnest(%(levels)s::smallint[], %(indexes)s::bigint[]))
    UNION ALL
    SELECT 0, leaf_index, leaf FROM seal_leaf
    WHERE tenant_id = %(tenant_id)s AND leaf_index = ANY(%(leaves)s::bigint[])"""


def read_subtrees(*, tenant_id: int, places: Iterable[Subtree], using: str = "default") -> Subtrees:
    """The hashes of complete subtrees of a tenant's tree. Raises TreeTorn where one is missing."""
    places = list(places)
    values = {
        "tenant_id": tenant_id,
        "levels": [place.level for place in places if place.level],
        "indexes": [place.number for place in places if place.level],
        "leaves": [place.number for place in places if not place.level],
    }
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(READ_SUBTREES_SQL, values)
        return _complete(cursor.fetchall(), places)


def _complete(rows: Iterable[tuple[int, int, bytes]], places: Sequence[Subtree]) -> Subtrees:
    found = {Subtree(level, index): bytes(node) for level, index, node in rows}
    for place in places:
        if place not in found:
            raise TreeTorn(f"the subtree {place.number} of level {place.level} is missing")
    return found


def hash_tree(*, tenant_id: int, size: int, using: str = "default") -> bytes:
    """The root of the tenant's first `size` batches, signed or not. Raises TreeTorn."""
    (root,) = _hash_ranges(tenant_id, [LeafRange(0, size)], using)
    return root


def prove_inclusion(*, tenant_id: int, leaf_index: int, size: int, using: str = "default") -> list[bytes]:
    """The path from a batch to the root of the first `size` batches. Raises IndexError, TreeTorn."""
    return _hash_ranges(tenant_id, plan_inclusion(index=leaf_index, size=size), using)


def prove_consistency(*, tenant_id: int, old_size: int, new_size: int, using: str = "default") -> list[bytes]:
    """The path that proves that `new_size` batches begin with the first `old_size`. Raises IndexError, TreeTorn."""
    return _hash_ranges(tenant_id, plan_consistency(old_size=old_size, new_size=new_size), using)


def _hash_ranges(tenant_id: int, ranges: Sequence[LeafRange], using: str) -> list[bytes]:
    nodes = read_subtrees(tenant_id=tenant_id, places=list_subtrees(ranges), using=using)
    return [hash_range(part, nodes) for part in ranges]


@dataclass(frozen=True, slots=True)
class RangeComplement:
    """The complete subtrees left and right of a range of batches, from left to right, each with its hash.

    With the leaves of the range between them, `ledger.core.merkle.fold_subtrees` gives the root of the whole tree.
    """

    left: tuple[tuple[Subtree, bytes], ...]
    right: tuple[tuple[Subtree, bytes], ...]


def complete_range(*, tenant_id: int, start: int, end: int, size: int, using: str = "default") -> RangeComplement:
    """What completes the batches [start, end) to the tree of `size` batches. Raises IndexError, TreeTorn.

    At most 2 log2(size) hashes, whatever the range.
    """
    if not 0 <= start <= end <= size:
        raise IndexError(f"batches {start} to {end} of {size}")
    left, right = list(split_range(0, start)), list(split_range(end, size))
    nodes = read_subtrees(tenant_id=tenant_id, places=[*left, *right], using=using)
    return RangeComplement(
        tuple((place, nodes[place]) for place in left), tuple((place, nodes[place]) for place in right)
    )


# --- the log of all trees ---


@dataclass(frozen=True, slots=True)
class LogHead:
    """A signed head of the log. note: the C2SP tlog-checkpoint that is published."""

    size: int
    root: bytes
    signed_at: datetime
    key_id: str
    note: str


GET_LOG_HEAD_SQL = """
    SELECT size, root, signed_at, key_id, note FROM log_head
    WHERE size >= %(size)s
    ORDER BY size LIMIT 1"""
GET_LAST_LOG_HEAD_SQL = "SELECT size, root, signed_at, key_id, note FROM log_head ORDER BY size DESC LIMIT 1"


def get_log_head(*, using: str = "default") -> LogHead | None:
    """The newest published head; None before the first."""
    return _get_log_head(GET_LAST_LOG_HEAD_SQL, 0, using)


def get_log_head_over(*, size: int, using: str = "default") -> LogHead | None:
    """The smallest published head over at least `size` leaves; None when none is published yet."""
    return _get_log_head(GET_LOG_HEAD_SQL, size, using)


def _get_log_head(statement: str, size: int, using: str) -> LogHead | None:
    with connections[using].cursor() as cursor:
        cursor.execute(statement, {"size": size})
        row = cursor.fetchone()
    return LogHead(row[0], bytes(row[1]), *row[2:]) if row else None


@dataclass(frozen=True, slots=True)
class LogLeaf:
    """A leaf of the log. data: the text whose hash the leaf is."""

    log_index: int
    leaf: bytes
    data: str


GET_LOG_LEAF_SQL = """
    SELECT log_index, leaf, data FROM log_leaf WHERE tenant_id = %(tenant_id)s AND size = %(size)s"""


def get_log_leaf(*, tenant_id: int, size: int, using: str = "default") -> LogLeaf | None:
    """The log's leaf of the tenant's checkpoint of this size; None while it is not there yet."""
    with connections[using].cursor() as cursor:
        cursor.execute(GET_LOG_LEAF_SQL, {"tenant_id": tenant_id, "size": size})
        row = cursor.fetchone()
    return LogLeaf(row[0], bytes(row[1]), row[2]) if row else None


READ_LOG_SUBTREES_SQL = """
    SELECT level::int, node_index, hash FROM log_node
    WHERE (level, node_index) IN (SELECT * FROM unnest(%(levels)s::smallint[], %(indexes)s::bigint[]))
    UNION ALL
    SELECT 0, log_index, leaf FROM log_leaf WHERE log_index = ANY(%(leaves)s::bigint[])"""


def read_log_subtrees(*, places: Iterable[Subtree], using: str = "default") -> Subtrees:
    """The hashes of complete subtrees of the log. Raises TreeTorn where one is missing."""
    places = list(places)
    values = {
        "levels": [place.level for place in places if place.level],
        "indexes": [place.number for place in places if place.level],
        "leaves": [place.number for place in places if not place.level],
    }
    with connections[using].cursor() as cursor:
        cursor.execute(READ_LOG_SUBTREES_SQL, values)
        return _complete(cursor.fetchall(), places)


def hash_log(*, size: int, using: str = "default") -> bytes:
    """The root of the log's first `size` leaves. Raises TreeTorn."""
    (root,) = _hash_log_ranges([LeafRange(0, size)], using)
    return root


def prove_log_inclusion(*, log_index: int, size: int, using: str = "default") -> list[bytes]:
    """The path from a leaf of the log to its root over `size` leaves. Raises IndexError, TreeTorn."""
    return _hash_log_ranges(plan_inclusion(index=log_index, size=size), using)


def prove_log_consistency(*, old_size: int, new_size: int, using: str = "default") -> list[bytes]:
    """The path that proves that the log only grew between two sizes. Raises IndexError, TreeTorn."""
    return _hash_log_ranges(plan_consistency(old_size=old_size, new_size=new_size), using)


def _hash_log_ranges(ranges: Sequence[LeafRange], using: str) -> list[bytes]:
    nodes = read_log_subtrees(places=list_subtrees(ranges), using=using)
    return [hash_range(part, nodes) for part in ranges]


GET_SALT_SQL = "SELECT salt FROM seal_tree WHERE tenant_id = %(tenant_id)s"


def get_salt(*, tenant_id: int, using: str = "default") -> bytes | None:
    """What hides the tenant in the log: with it, it finds its own leaves there, and nobody else's."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_SALT_SQL, {"tenant_id": tenant_id})
        row = cursor.fetchone()
    return bytes(row[0]) if row else None


COUNT_SEALED_SQL = """
    SELECT coalesce(sum(newest.size), 0)::bigint
    FROM tenant CROSS JOIN LATERAL (
        SELECT size FROM checkpoint WHERE checkpoint.tenant_id = tenant.id ORDER BY size DESC LIMIT 1) AS newest"""


def count_sealed_batches(*, using: str = "reader") -> int:
    """The batches under a signed checkpoint, of all tenants, through the reader."""
    with connections[using].cursor() as cursor:
        cursor.execute(COUNT_SEALED_SQL)
        return int(cursor.fetchone()[0])


# --- put together ---


@dataclass(frozen=True, slots=True)
class SealProof:
    """That a batch is in the tenant's tree under a signed checkpoint. path: from its leaf to the checkpoint's root."""

    batch: SealedBatch
    checkpoint: SignedCheckpoint
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LogProof:
    """That a checkpoint is in the log under a published head. path: from its leaf to the head's root."""

    leaf: LogLeaf
    head: LogHead
    path: tuple[bytes, ...]


def prove_batch(*, tenant_id: int, batch_id: UUID, size: int = 0, using: str = "default") -> SealProof | None:
    """A batch's place under the checkpoint of this size, or under the newest; None while it waits for its seal, and
    for a size under which it is not, or that was not signed. Raises TreeTorn.
    """
    with reading_scope(tenant_id, using=using):
        batch = get_sealed_batch(tenant_id=tenant_id, batch_id=batch_id, using=using)
        checkpoint = (
            get_checkpoint(tenant_id=tenant_id, size=size, using=using)
            if size
            else get_head(tenant_id=tenant_id, using=using)
        )
        if batch is None or checkpoint is None or batch.leaf_index >= checkpoint.size:
            return None
        path = prove_inclusion(tenant_id=tenant_id, leaf_index=batch.leaf_index, size=checkpoint.size, using=using)
    return SealProof(batch, checkpoint, tuple(path))


def prove_logged(*, tenant_id: int, size: int, using: str = "default") -> LogProof | None:
    """A checkpoint's place under the first head published over it; None before there is one. Raises TreeTorn."""
    leaf = get_log_leaf(tenant_id=tenant_id, size=size, using=using)
    head = get_log_head_over(size=leaf.log_index + 1, using=using) if leaf else None
    if leaf is None or head is None:
        return None
    return LogProof(leaf, head, tuple(prove_log_inclusion(log_index=leaf.log_index, size=head.size, using=using)))
