"""Going through every sealed batch of a tenant: what is wrong is counted, and said where."""

from datetime import UTC, datetime

import pytest

from audit.chain import get_last_chain_check, verify_chain
from tests.factories import make_tenant
from tests.ledger.sealing import TREE_TABLES, book_batches, list_leaves, seal, tampering

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme():
    tenant = make_tenant("acme")
    book_batches(tenant.id, 6)
    seal(at_once=True)
    return tenant


def verify(tenant):
    return verify_chain(tenant_id=tenant.id, now=datetime.now(UTC))


def test_a_tree_that_nobody_touched_is_right(acme):
    check = verify(acme)
    assert (check.batches, check.size, check.wrong, check.faults) == (6, 6, 0, ())
    assert get_last_chain_check(tenant_id=acme.id) == check


def test_a_leaf_that_is_gone_is_named_and_none_after_it(acme, administrator_url):
    with tampering(administrator_url) as administrator, administrator.keep(*TREE_TABLES):
        administrator.change(
            "seal_leaf", "DELETE FROM seal_leaf WHERE tenant_id = %s AND leaf_index IN (1, 5)", [acme.id]
        )
        check = verify(acme)
    assert check.faults == (
        "batch 1 of the tree is missing",
        "batch 5 of the tree is missing",
        "the root over 4 batches is not the one that was signed for 6",
    )


def test_of_many_faults_all_are_counted_and_the_first_are_told(acme, administrator_url, monkeypatch):
    monkeypatch.setattr("audit.chain.FAULTS_MAX", 2)
    first, second, *_ = list_leaves(acme.id)
    with tampering(administrator_url) as administrator, administrator.keep("ledger_batch"):
        administrator.change(
            "ledger_batch", "UPDATE ledger_batch SET root = sha256(root) WHERE tenant_id = %s", [acme.id]
        )
        check = verify(acme)
    assert check.wrong == 6
    assert check.faults == tuple(
        f"batch {one.leaf_index} of the tree, {one.batch_id}: its root is not the one that its receipt signs"
        for one in (first, second)
    )
