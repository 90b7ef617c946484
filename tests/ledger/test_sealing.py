"""The sealer on a real database, as its own role: what it signs, what it refuses, and what a crash leaves."""

import pytest
from django.db import connections

from ledger.core.merkle import hash_leaf, hash_root
from ledger.core.notes import verify_checkpoint
from ledger.key_files import verify
from ledger.receipts import load_receipt_key, open_receipt
from ledger.sealing import proofs
from ledger.sealing.alarms import list_alarms
from ledger.sealing.keys import list_announced_keys
from ledger.selectors import get_batch
from tests.factories import make_tenant
from tests.ledger.sealing import Tamperer, book_batches, connect_superuser, seal

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme():
    return make_tenant("acme").id


@pytest.fixture
def tamperer(administrator_url):
    with connect_superuser(administrator_url) as connection:
        yield Tamperer(connection)


def list_leaves(tenant_id):
    head = proofs.get_head(tenant_id=tenant_id)
    return proofs.list_sealed_batches(tenant_id=tenant_id, start=0, end=head.size) if head else []


def read_payload(tenant_id, batch_id):
    key = load_receipt_key()
    return open_receipt(get_batch(tenant_id=tenant_id, batch_id=batch_id).receipt, keys={key.key_id: key.public_key})


def seal_keys():
    return [key.public_key for key in list_announced_keys() if key.purpose == "seal"]


def list_waiting(tenant_id):
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT batch_id, tries, last_error FROM outbox WHERE topic = 'seal' AND tenant_id = %s", [tenant_id]
        )
        return cursor.fetchall()


def alarms_of(tenant_id):
    return {(alarm.subject, alarm.kind) for alarm in list_alarms() if alarm.tenant_id == tenant_id}


def test_every_batch_becomes_a_leaf_in_the_order_of_booking_under_a_signed_checkpoint(acme):
    batch_ids = book_batches(acme, 5)
    seal()
    leaves = list_leaves(acme)
    assert [leaf.leaf_index for leaf in leaves] == [0, 1, 2, 3, 4]
    assert [leaf.batch_id for leaf in leaves] == batch_ids
    assert [leaf.leaf for leaf in leaves] == [hash_leaf(read_payload(acme, batch_id)) for batch_id in batch_ids]
    head = proofs.get_head(tenant_id=acme)
    assert (head.size, head.root) == (5, hash_root([leaf.leaf for leaf in leaves]))
    signed = verify_checkpoint(head.note, origin=head.origin, public_keys=seal_keys(), verify=verify)
    assert (signed.size, signed.root) == (5, head.root)
    assert head.origin.endswith(f"/{acme}")
    assert list_waiting(acme) == []
