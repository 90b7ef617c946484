from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.merkle import hash_leaf, hash_root, is_included, make_inclusion_path

# The inputs and roots of RFC 6962's reference implementation (certificate-transparency, merkle_tree_test.cc).
REFERENCE_INPUTS = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
REFERENCE_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize(("size", "root"), REFERENCE_ROOTS.items())
def test_roots_are_those_of_the_reference_implementation(size, root):
    leaves = [hash_leaf(bytes.fromhex(text)) for text in REFERENCE_INPUTS[:size]]
    assert hash_root(leaves).hex() == root


def test_the_root_of_nothing_is_the_hash_of_nothing():
    assert hash_root([]) == sha256(b"").digest()


def root_by_definition(leaves):
    """RFC 6962, 2.1, word for word: split at the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + root_by_definition(leaves[:split]) + root_by_definition(leaves[split:])).digest()


@given(size=st.integers(1, 300))
def test_the_root_is_that_of_the_definition_at_every_size(size):
    leaves = [hash_leaf(str(number).encode()) for number in range(size)]
    assert hash_root(leaves) == root_by_definition(leaves)


@given(size=st.integers(1, 200), data=st.data())
def test_every_leaf_is_proved_and_no_other(size, data):
    leaves = [hash_leaf(str(number).encode()) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path = make_inclusion_path(leaves, index)
    root = hash_root(leaves)
    assert is_included(leaf=leaves[index], index=index, size=size, path=path, root=root)
    assert not is_included(leaf=hash_leaf(b"another"), index=index, size=size, path=path, root=root)
    if size > 1:
        other = (index + 1) % size
        assert not is_included(leaf=leaves[index], index=other, size=size, path=path, root=root)
        assert not is_included(leaf=leaves[index], index=index, size=size, path=path[:-1], root=root)
    assert not is_included(leaf=leaves[index], index=index, size=size, path=[*path, root], root=root)


def test_a_leaf_that_is_not_there_has_no_path():
    with pytest.raises(IndexError):
        make_inclusion_path([hash_leaf(b"")], 1)
