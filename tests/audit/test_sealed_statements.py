"""Which checkpoint a statement names: the smallest signed one over all of its month, once all of it is sealed."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec import structs

from audit.statements import get_statement
from ledger.append import append_batches
from ledger.topics import TOPICS
from tenants.scope import tenant_scope
from tests.billing.ledger_rows import make_batch, make_entry
from tests.factories import make_tenant
from tests.ledger.sealing import seal

pytestmark = pytest.mark.usefixtures("committed_db")


def book(tenant, *, month: datetime) -> UUID:
    batch = make_batch(structs.replace(make_entry(time=month), billing_period=month.date().replace(day=1)))
    with tenant_scope(tenant.id):
        append_batches(tenant_id=tenant.id, batches=[batch], topics=TOPICS)
    return batch.batch_id


def test_a_month_names_its_checkpoint_once_all_of_it_is_sealed_and_keeps_it():
    acme, now = make_tenant("acme"), datetime.now(UTC)
    this_month = now.date().replace(day=1)
    month_before = datetime(this_month.year - (this_month.month == 1), (this_month.month - 2) % 12 + 1, 5, tzinfo=UTC)

    def find():
        return get_statement(tenant=acme, period=month_before.date().replace(day=1), now=now).checkpoint

    book(acme, month=month_before)
    assert find() is None
    seal()
    first = find()
    assert (first.size, first.origin.startswith("tokenledger/"), len(first.root)) == (1, True, 64)
    book(acme, month=now)
    seal()
    assert find() == first  # another month's batch is above it in the tree
    book(acme, month=month_before)
    assert find() is None
    seal()
    assert find().size == 3
