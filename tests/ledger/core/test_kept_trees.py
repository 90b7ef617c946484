"""Trees that are kept by their complete subtrees, held against RFC 6962's own words and published examples."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.merkle import (
    LeafRange,
    Subtree,
    fold_subtrees,
    grow_tree,
    hash_leaf,
    hash_range,
    hash_root,
    is_consistent,
    is_included,
    list_subtrees,
    make_inclusion_path,
    plan_consistency,
    plan_inclusion,
    split_range,
)

# RFC 6962's reference implementation (certificate-transparency, merkle_tree_test.cc): its inputs, and the paths that it
# expects. Inclusion: leaf (counted from 1), tree size, path. Consistency: old size, new size, path.
REFERENCE_INPUTS = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
REFERENCE_INCLUSION = [
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (2, 5, [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip
REFERENCE_CONSISTENCY = [
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip


def make_leaves(count):
    return [hash_leaf(str(number).encode()) for number in range(count)]


# --- the RFC's definitions, word for word: 2.1, 2.1.1, 2.1.2 of RFC 6962 ---


def split(count):
    """The largest power of two smaller than `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def define_root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + define_root(leaves[:k]) + define_root(leaves[k:])).digest()


def define_path(index, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*define_path(index, leaves[:k]), define_root(leaves[k:])]
    return [*define_path(index - k, leaves[k:]), define_root(leaves[:k])]


def define_proof(old_size, leaves):
    return define_subproof(old_size, leaves, True)


def define_subproof(m, leaves, is_whole):
    n = len(leaves)
    if m == n:
        return [] if is_whole else [define_root(leaves)]
    k = split(n)
    if m <= k:
        return [*define_subproof(m, leaves[:k], is_whole), define_root(leaves[k:])]
    return [*define_subproof(m - k, leaves[k:], False), define_root(leaves[:k])]


def keep(leaves, *, sizes=()):
    """The kept subtrees of a tree that grew through these sizes."""
    nodes, size = {}, 0
    for end in [*sorted(set(sizes)), len(leaves)]:
        growth = grow_tree(
            size=size, frontier=[nodes[place] for place in split_range(0, size)], leaves=leaves[size:end]
        )
        nodes |= {Subtree(0, index): leaf for index, leaf in enumerate(leaves[:end])} | dict(growth.completed)
        size = growth.size
    return nodes


def fetch(ranges, nodes):
    """What a path is made of, from the nodes that it names and no others."""
    named = {place: nodes[place] for place in list_subtrees(ranges)}
    return [hash_range(part, named) for part in ranges]


@settings(max_examples=80)
@given(data=st.data(), size=st.integers(1, 260))
def test_a_tree_that_grew_in_any_steps_has_the_definitions_roots_and_paths(data, size):
    leaves = make_leaves(size)
    nodes = keep(leaves, sizes=data.draw(st.lists(st.integers(1, size), max_size=6)))
    for place, node in nodes.items():
        covered = leaves[place.number << place.level : (place.number + 1) << place.level]
        assert len(covered) == 1 << place.level and define_root(covered) == node
    now = data.draw(st.integers(1, size))
    assert hash_range(LeafRange(0, now), nodes) == define_root(leaves[:now])
    index = data.draw(st.integers(0, now - 1))
    path = fetch(plan_inclusion(index=index, size=now), nodes)
    assert path == define_path(index, leaves[:now]) == make_inclusion_path(leaves[:now], index)
    old = data.draw(st.integers(1, now))
    assert fetch(plan_consistency(old_size=old, new_size=now), nodes) == define_proof(old, leaves[:now])


@pytest.mark.parametrize(("number", "size", "path"), REFERENCE_INCLUSION)
def test_inclusion_paths_are_those_of_the_reference_implementation(number, size, path):
    leaves = [hash_leaf(bytes.fromhex(text)) for text in REFERENCE_INPUTS]
    made = fetch(plan_inclusion(index=number - 1, size=size), keep(leaves))
    assert [node.hex() for node in made] == path
    root = hash_root(leaves[:size])
    assert is_included(leaf=leaves[number - 1], index=number - 1, size=size, path=made, root=root)


@pytest.mark.parametrize(("old_size", "new_size", "path"), REFERENCE_CONSISTENCY)
def test_consistency_paths_are_those_of_the_reference_implementation(old_size, new_size, path):
    leaves = [hash_leaf(bytes.fromhex(text)) for text in REFERENCE_INPUTS]
    made = fetch(plan_consistency(old_size=old_size, new_size=new_size), keep(leaves))
    assert [node.hex() for node in made] == path
    roots = {"old_root": hash_root(leaves[:old_size]), "new_root": hash_root(leaves[:new_size])}
    assert is_consistent(old_size=old_size, new_size=new_size, path=made, **roots)


def test_every_consistency_proof_up_to_forty_holds_and_every_flipped_one_is_refused():
    leaves = make_leaves(40)
    nodes = keep(leaves)
    roots = {size: define_root(leaves[:size]) for size in range(1, 41)}
    refused = 0
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = {
                "old_size": old, "new_size": new, "old_root": roots[old], "new_root": roots[new],
                "path": fetch(plan_consistency(old_size=old, new_size=new), nodes),
            }  # fmt: skip
            assert is_consistent(**proof)
            for flipped in flip_consistency(proof):
                assert not is_consistent(**flipped), flipped
                refused += 1
    assert refused > 10_000


def flip_consistency(proof):
    """The proof with one thing in it wrong."""
    path = proof["path"]
    for name in ("old_root", "new_root"):
        yield proof | {name: flip(proof[name])}
    for place in range(len(path)):
        yield proof | {"path": [*path[:place], flip(path[place]), *path[place + 1 :]]}
        yield proof | {"path": [*path[:place], *path[place + 1 :]]}
        yield proof | {"path": [*path[:place], path[place], *path[place:]]}
    yield proof | {"path": [*path, proof["new_root"]]}
    yield proof | {"old_size": 0}
    yield proof | {"old_size": proof["new_size"] + 1}
    if proof["old_size"] > 1 and proof["old_size"] != proof["new_size"]:
        yield proof | {"old_root": hash_leaf(b"another")}
        yield proof | {"old_root": proof["new_root"]}


def test_every_inclusion_proof_up_to_forty_holds_and_every_flipped_one_is_refused():
    leaves = make_leaves(40)
    nodes = keep(leaves)
    refused = 0
    for size in range(1, 41):
        root = define_root(leaves[:size])
        for index in range(size):
            path = fetch(plan_inclusion(index=index, size=size), nodes)
            proof = {"leaf": leaves[index], "index": index, "size": size, "path": path, "root": root}
            assert is_included(**proof)
            for flipped in flip_inclusion(proof):
                assert not is_included(**flipped), flipped
                refused += 1
    assert refused > 10_000


def flip_inclusion(proof):
    path = proof["path"]
    yield proof | {"leaf": flip(proof["leaf"])}
    yield proof | {"root": flip(proof["root"])}
    yield proof | {"index": proof["size"]}
    yield proof | {"index": -1}
    if proof["size"] > 1:
        yield proof | {"index": (proof["index"] + 1) % proof["size"]}
        yield proof | {"index": proof["index"] ^ 1}
    for place in range(len(path)):
        yield proof | {"path": [*path[:place], flip(path[place]), *path[place + 1 :]]}
        yield proof | {"path": [*path[:place], *path[place + 1 :]]}
    yield proof | {"path": [*path, proof["root"]]}


def flip(node):
    return bytes([node[0] ^ 1]) + node[1:]


@given(size=st.integers(1, 400), data=st.data())
def test_a_range_and_what_stands_left_and_right_of_it_give_the_root(size, data):
    leaves = make_leaves(size)
    nodes = keep(leaves)
    start = data.draw(st.integers(0, size))
    end = data.draw(st.integers(start, size))
    within = [(Subtree(0, index), leaves[index]) for index in range(start, end)]
    around = [[(place, nodes[place]) for place in split_range(*part)] for part in ((0, start), (end, size))]
    assert fold_subtrees([*around[0], *within, *around[1]]) == hash_root(leaves)
    assert sum(map(len, around)) <= 2 * size.bit_length()


def test_a_range_is_split_into_the_fewest_complete_subtrees():
    assert list(split_range(0, 13)) == [(3, 0), (2, 2), (0, 12)]
    assert list(split_range(3, 13)) == [(0, 3), (2, 1), (2, 2), (0, 12)]
    assert list(split_range(5, 5)) == []
    assert fold_subtrees([]) == sha256(b"").digest()


def test_a_frontier_of_another_size_is_refused():
    with pytest.raises(ValueError):
        grow_tree(size=3, frontier=make_leaves(1), leaves=make_leaves(1))


@pytest.mark.parametrize(("old_size", "new_size"), [(0, 1), (2, 1), (-1, 3)])
def test_no_consistency_is_planned_where_there_is_none(old_size, new_size):
    with pytest.raises(IndexError):
        plan_consistency(old_size=old_size, new_size=new_size)
