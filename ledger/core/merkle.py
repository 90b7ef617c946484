"""RFC 6962 Merkle trees over SHA-256: root, inclusion path, and its check (RFC 9162, 2.1)."""

from collections.abc import Sequence
from hashlib import sha256

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"


def hash_leaf(data: bytes) -> bytes:
    """The leaf hash of an entry's canonical bytes."""
    return sha256(LEAF_PREFIX + data).digest()


def hash_root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of leaf hashes, in order; of none, the hash of nothing.

    Pairing neighbours level by level, an odd last one carried up, gives the tree that the RFC splits at the
    largest power of two.
    """
    if not leaves:
        return sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        paired = [
            sha256(NODE_PREFIX + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def make_inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings that lead from leaf `index` to the root, lowest first. Raises IndexError."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    path = []
    level = list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        paired = [
            sha256(NODE_PREFIX + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        if len(level) % 2:
            paired.append(level[-1])
        level, index = paired, index // 2
    return path


def is_included(*, leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that `leaf` stands at `index` in the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    node, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            return False
        if index % 2 or index == last:
            node = sha256(NODE_PREFIX + sibling + node).digest()
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            node = sha256(NODE_PREFIX + node + sibling).digest()
        index, last = index // 2, last // 2
    return last == 0 and node == root
