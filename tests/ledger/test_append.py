"""What is hashed is what PostgreSQL gives back: the leaf of a stored row is the leaf that was booked."""

import base64
import json
import os
from datetime import date

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from ledger.append import append_batches
from ledger.core.entries import NewBatch
from ledger.core.identity import make_uuid7
from ledger.core.merkle import hash_leaf, hash_root
from ledger.core.rows import CanonicalRow, encode_row, rebuild_entry, write_place
from ledger.partitions import ensure_partition
from ledger.selectors import ENTRY_COLUMNS, EntryFilters, list_entries
from tenants.scope import tenant_scope
from tests.factories import make_tenant
from tests.ledger.core.strategies import RECORDED_AT, entries, make_plain_entry

pytestmark = pytest.mark.usefixtures("committed_db")
CASES = int(os.environ.get("TOKENLEDGER_PROPERTY_CASES", "60"))


@pytest.fixture(scope="module")
def acme_id(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        return make_tenant("acme").id


def append(tenant_id, *batches):
    ensure_partition(RECORDED_AT)
    with tenant_scope(tenant_id):
        return append_batches(tenant_id=tenant_id, batches=batches, topics=("rollup",))


def make_batch(batch_entries):
    return NewBatch(
        batch_id=make_uuid7(RECORDED_AT, os.urandom(8)),
        recorded_at=RECORDED_AT,
        api_key_id="ab12CD34ef56",
        kind="usage",
        entries=batch_entries,
    )


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_stored_row_hashes_to_its_leaf_and_the_leaves_to_the_batchs_root(acme_id, data):
    batch = make_batch([data.draw(entries(line=line)) for line in range(data.draw(st.integers(1, 20)))])
    [result] = append(acme_id, batch)
    page = list_entries(tenant_id=acme_id, filters=EntryFilters(batch_id=batch.batch_id), before=None, limit=1000)
    rows = sorted(page.entries, key=lambda row: row["line"])
    assert [row["line"] for row in rows] == sorted(result.booked)
    place = write_place(
        tenant_id=acme_id, batch_id=batch.batch_id, recorded_at=RECORDED_AT, api_key_id=batch.api_key_id
    )
    leaves = []
    for row in rows:
        hashed = "ab" * 32 if row["rate_version_id"] is not None else ""
        leaves.append(hash_leaf(encode_row(rebuild_entry(row, rate_version_hash=hashed), place=place)))
        assert leaves[-1].hex() == row["leaf"]
    if rows:
        assert hash_root(leaves) == result.root


COLUMNS_SQL = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = 'ledger_entry'::regclass AND attnum > 0 AND NOT attisdropped"""


def test_every_column_of_an_entry_is_hashed_but_the_leaf_itself():
    assert set(ENTRY_COLUMNS) - set(CanonicalRow.__struct_fields__) == {"leaf"}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS_SQL)
        assert {name for (name,) in cursor.fetchall()} == set(ENTRY_COLUMNS)


def test_two_batches_of_one_call_get_their_own_roots_and_outbox_rows():
    tenant_id = make_tenant("acme").id
    one, other = (make_plain_entry(key=os.urandom(16)) for _ in range(2))
    first, second = make_batch([one]), make_batch([other, structs.replace(one, line=1)])
    results = append(tenant_id, first, second)
    assert [result.booked for result in results] == [(0,), (0,)]
    [kept] = results[1].kept
    assert (kept.line, kept.batch_id, kept.first_line, kept.differing) == (1, first.batch_id, 0, ())
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT batch_id, topic, entry_count FROM outbox WHERE tenant_id = %s", [tenant_id])
        assert set(cursor.fetchall()) == {(first.batch_id, "rollup", 1), (second.batch_id, "rollup", 1)}


def test_a_receipt_names_the_months_that_its_entries_are_charged_in():
    tenant_id = make_tenant("acme").id
    months = [date(2026, 11, 1), date(2026, 10, 1), date(2026, 11, 1)]
    batch = make_batch(
        [
            structs.replace(make_plain_entry(key=os.urandom(16)), line=line, billing_period=month)
            for line, month in enumerate(months)
        ]
    )
    [result] = append(tenant_id, batch)
    payload = result.receipt.split(".")[1]
    header = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert header["billing_periods"] == {"2026-10-01": "1", "2026-11-01": "2"}
    assert list(header) == sorted(header)
