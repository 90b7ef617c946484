"""RFC 6962 Merkle trees over SHA-256: roots, inclusion and consistency paths, and their checks (RFC 9162, 2.1).

A tree that is kept grows by its *complete subtrees*: `Subtree(level, number)` covers the 2^level leaves from
number * 2^level on, level 0 being the leaves. Once complete it never changes, so whatever is asked of any size of the
tree is made of a few of them: `split_range` says which, `fold_subtrees` puts them together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"


def hash_leaf(data: bytes) -> bytes:
    """The leaf hash of an entry's canonical bytes."""
    return sha256(LEAF_PREFIX + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(NODE_PREFIX + left + right).digest()


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


# --- trees that are kept ---


class Subtree(NamedTuple):
    """A complete subtree, by its place: the leaves from number * 2^level up to (number + 1) * 2^level."""

    level: int
    number: int


class LeafRange(NamedTuple):
    """The leaves from `start` up to `end`, half-open."""

    start: int
    end: int


def split_range(start: int, end: int) -> Iterator[Subtree]:
    """The fewest complete subtrees that cover the leaves [start, end), from left to right."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield Subtree(level, start >> level)
        start += 1 << level


def fold_subtrees(subtrees: Iterable[tuple[Subtree, bytes]]) -> bytes:
    """The root over subtrees that lie side by side, from left to right; of none, the hash of nothing.

    They cover a whole tree, or the range of one of its inner nodes: what RFC 6962 splits at the largest power of two.
    """
    stack: list[tuple[Subtree, bytes]] = []
    for place, node in subtrees:
        while stack and place.number % 2 and stack[-1][0] == (place.level, place.number - 1):
            place, node = Subtree(place.level + 1, place.number // 2), hash_node(stack.pop()[1], node)
        stack.append((place, node))
    if not stack:
        return sha256(b"").digest()
    root = stack.pop()[1]
    while stack:
        root = hash_node(stack.pop()[1], root)
    return root


@dataclass(frozen=True, slots=True)
class Growth:
    """What new leaves made of a tree: its size and root, and the inner subtrees that became complete."""

    size: int
    root: bytes
    completed: tuple[tuple[Subtree, bytes], ...]  # of level 1 and above


def grow_tree(*, size: int, frontier: Sequence[bytes], leaves: Sequence[bytes]) -> Growth:
    """Add leaves to a tree of `size` leaves.

    frontier: the hashes of `split_range(0, size)`, in its order. Raises ValueError when they are not as many.
    """
    stack = list(zip(split_range(0, size), frontier, strict=True))
    completed = []
    for index, leaf in enumerate(leaves, start=size):
        place, node = Subtree(0, index), leaf
        while place.number % 2:
            place, node = Subtree(place.level + 1, place.number // 2), hash_node(stack.pop()[1], node)
            completed.append((place, node))
        stack.append((place, node))
    return Growth(size + len(leaves), fold_subtrees(stack), tuple(completed))


def plan_inclusion(*, index: int, size: int) -> list[LeafRange]:
    """The ranges whose roots lead from leaf `index` to the root of `size` leaves, lowest first. Raises IndexError."""
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of {size}")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if index < middle:
            path.append(LeafRange(middle, end))
            end = middle
        else:
            path.append(LeafRange(start, middle))
            start = middle
    return path[::-1]


def plan_consistency(*, old_size: int, new_size: int) -> list[LeafRange]:
    """The ranges whose roots prove that `new_size` leaves begin with the first `old_size` (RFC 9162, 2.1.4.1).

    Raises IndexError unless 0 < old_size <= new_size.
    """
    if not 0 < old_size <= new_size:
        raise IndexError(f"a tree of {old_size} leaves before one of {new_size}")
    path = []
    start, end, is_whole = 0, new_size, True
    while old_size != end:
        middle = start + _largest_power_below(end - start)
        if old_size <= middle:
            path.append(LeafRange(middle, end))
            end = middle
        else:
            path.append(LeafRange(start, middle))
            start, is_whole = middle, False
    return ([] if is_whole else [LeafRange(start, end)]) + path[::-1]


def _largest_power_below(count: int) -> int:
    """The largest power of two smaller than `count`, which is 2 or more."""
    return 1 << ((count - 1).bit_length() - 1)


def list_subtrees(ranges: Iterable[LeafRange]) -> list[Subtree]:
    """Every complete subtree that the roots of these ranges are made of, each once."""
    return list(dict.fromkeys(place for part in ranges for place in split_range(*part)))


def hash_range(part: LeafRange, nodes: Mapping[Subtree, bytes]) -> bytes:
    """The root over a range, of the kept subtrees. Raises KeyError where one is missing."""
    return fold_subtrees((place, nodes[place]) for place in split_range(*part))


def is_consistent(*, old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree of `new_size` leaves begins with that of `old_size` (RFC 9162, 2.1.4.2)."""
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not path and old_root == new_root
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        return False
    old_index, last = old_size - 1, new_size - 1
    while old_index % 2:
        old_index, last = old_index // 2, last // 2
    old_node = new_node = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if old_index % 2 or old_index == last:
            old_node, new_node = hash_node(sibling, old_node), hash_node(sibling, new_node)
            while old_index % 2 == 0 and old_index:
                old_index, last = old_index // 2, last // 2
        else:
            new_node = hash_node(new_node, sibling)
        old_index, last = old_index // 2, last // 2
    return last == 0 and old_node == old_root and new_node == new_root
