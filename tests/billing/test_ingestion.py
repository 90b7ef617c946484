"""Booking: each event once, priced or said to be unpriced, all of it or nothing."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import IntegrityError, ProgrammingError, connection
from msgspec import structs

from billing.core.pricing import price_event
from billing.ingestion import AtomicIntakeRefused, KeyRevoked, RejectedItem, _small_intakes, ingest_events
from tenants.keys import revoke_api_key
from tenants.scope import tenant_scope
from tests.factories import make_event, make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def rates():
    publish_test_rates()


@pytest.fixture
def acme():
    return make_tenant("acme")


def book(tenant, *events, **options):
    return ingest_events(
        tenant_id=tenant.id, api_key_id="testkey", events=list(enumerate(events)), now=datetime.now(UTC), **options
    )


def read(tenant, query, using=connection):
    with tenant_scope(tenant.id), using.cursor() as cursor:
        cursor.execute(query, {"tenant_id": tenant.id})
        return cursor.fetchall()


def test_an_event_becomes_one_priced_entry(acme):
    receipt = book(acme, make_event(time=NOW))
    assert (receipt.accepted, receipt.duplicates, receipt.conflicts, receipt.rejected, receipt.unpriced) == (
        1, 0, 0, 0, 0,
    )  # fmt: skip
    [row] = read(acme, "SELECT input_cost, cache_read_cost, output_cost, billed_cost, pricing_status FROM ledger_entry")
    # 200 × 2.50 + 1,000 × 1.25 + 300 × 10 USD a million tokens
    assert row == (Decimal("0.0005"), Decimal("0.00125"), Decimal("0.003"), Decimal("0.00475"), "priced")


def test_a_late_event_is_charged_in_the_month_of_its_use(acme):
    book(acme, make_event(time=datetime(2026, 10, 31, 23, 59, 59, 999999, tzinfo=UTC)))
    assert read(acme, "SELECT billing_period FROM ledger_entry") == [(date(2026, 10, 1),)]


def test_the_same_event_again_is_a_duplicate_that_names_its_entry_and_changes_nothing(acme):
    event = make_event(time=NOW)
    first = book(acme, event)
    again = book(acme, event)
    assert (again.accepted, again.duplicates, again.batch_id, again.receipt) == (0, 1, None, None)
    assert again.results[0].entry_id == f"{first.batch_id}.0"
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]
    assert read(acme, "SELECT count(*) FROM ledger_batch") == [(1,)]


def test_the_same_id_with_other_facts_is_a_conflict_that_names_them(acme):
    event = make_event(event_id="e1", time=NOW)
    book(acme, event)
    other = make_event(
        event_id="e1", time=NOW, feature="translator", usage={"input_tokens": 1200, "output_tokens": 301}
    )
    receipt = book(acme, other)
    assert (receipt.accepted, receipt.conflicts) == (0, 1)
    assert set(receipt.results[0].fields) == {"input_tokens", "cache_read_tokens", "output_tokens", "feature"}
    assert read(acme, "SELECT sum(billed_cost) FROM ledger_entry") == [(Decimal("0.00475"),)]


def test_two_equal_events_in_one_request_are_one_entry_and_a_duplicate(acme):
    event = make_event(time=NOW)
    receipt = book(acme, event, event)
    assert (receipt.accepted, receipt.duplicates) == (1, 1)
    assert receipt.results[1].entry_id == f"{receipt.batch_id}.0"


def test_one_response_reported_through_two_doors_is_one_entry(acme):
    book(acme, make_event(response_id="chatcmpl-1", source="sdk", time=NOW))
    receipt = book(acme, make_event(response_id="chatcmpl-1", source="otel", time=NOW - timedelta(milliseconds=812)))
    assert (receipt.accepted, receipt.duplicates) == (0, 1)


def test_two_doors_may_spell_the_provider_of_one_response_differently(acme):
    book(acme, make_event(response_id="msg_bdrk_1", provider="aws.bedrock", time=NOW))
    receipt = book(acme, make_event(response_id="msg_bdrk_1", provider="AWS", time=NOW))
    assert (receipt.accepted, receipt.duplicates) == (0, 1)
    assert read(acme, "SELECT provider FROM ledger_entry") == [("aws.bedrock",)]  # as it was sent first


def test_an_unknown_model_is_booked_without_money_and_never_at_zero(acme):
    receipt = book(acme, make_event(model="no-such-model", time=NOW))
    assert (receipt.accepted, receipt.unpriced) == (1, 1)
    [row] = read(acme, "SELECT billed_cost, list_cost, pricing_status, pricing_reason FROM ledger_entry")
    assert row == (None, None, "unpriced", "no_rate_for_model")


def test_what_was_received_is_booked_duplicate_conflict_or_rejected(acme):
    event = make_event(event_id="e1", time=NOW)
    book(acme, event, make_event(time=NOW))
    bad = RejectedItem(2, "bad", "usage_inconsistent", "cache_read_tokens 9 exceed input_tokens 1", '{"id": "bad"}')
    book(acme, event, make_event(event_id="e1", time=NOW, feature="other"), rejected=[bad])
    tallies = read(
        acme, "SELECT received, booked, duplicates, conflicts, rejected FROM intake_tally ORDER BY received_at, id"
    )
    assert tallies == [(2, 2, 0, 0, 0), (3, 0, 1, 1, 1)]
    assert read(acme, "SELECT event_id, code, body FROM rejected_event") == [
        ("bad", "usage_inconsistent", '{"id": "bad"}')
    ]


def test_all_or_nothing_books_nothing_when_one_item_is_in_conflict(acme):
    book(acme, make_event(event_id="e1", time=NOW))
    with pytest.raises(AtomicIntakeRefused) as refused:
        book(acme, make_event(time=NOW), make_event(event_id="e1", time=NOW, feature="x"), atomic=True)
    assert refused.value.receipt.conflicts == 1
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(1,)]
    assert read(acme, "SELECT count(*) FROM event_key") == [(1,)]


def test_a_user_is_a_random_reference_in_the_ledger_and_the_same_one_each_time(acme):
    book(acme, make_event(user="u-17", time=NOW))
    book(acme, make_event(user="u-17", time=NOW), make_event(user="u-18", time=NOW))
    references = [ref for (ref,) in read(acme, "SELECT user_ref FROM ledger_entry ORDER BY batch_id, line")]
    assert references[0] == references[1] != references[2]
    assert "u-17" not in references
    assert read(acme, "SELECT external_id FROM person ORDER BY 1") == [("u-17",), ("u-18",)]


def test_another_tenant_may_use_the_same_ids_and_sees_nothing(acme):
    globex = make_tenant("globex")
    event = make_event(time=NOW)
    book(acme, event)
    assert book(globex, event).accepted == 1
    for table in ("ledger_entry", "ledger_batch", "event_key", "intake_tally"):
        assert read(globex, f"SELECT count(*) FROM {table} WHERE tenant_id <> %(tenant_id)s") == [(0,)]
        assert read(globex, f"SELECT count(*) FROM {table}") == [(1,)]


def test_a_revoked_key_among_requests_that_share_a_commit_is_refused_alone(acme):
    live, revoked = (make_key(acme, "ingest").split("_")[1] for _ in range(2))
    revoke_api_key(tenant_id=acme.id, key_id=revoked, now=NOW)

    def send(key_id):
        try:
            return ingest_events(
                tenant_id=acme.id, api_key_id=key_id, events=[(0, make_event())], now=NOW, confirms_key=True
            ).accepted
        except KeyRevoked as error:
            return str(error)
        finally:
            connection.close()

    _small_intakes._is_led = True  # as if somebody led: these five gather behind
    with ThreadPoolExecutor(5) as pool:
        sent = [pool.submit(send, key_id) for key_id in (live, revoked, live, revoked, live)]
        while len(_small_intakes._queue) < 5:
            time.sleep(0.01)
        _small_intakes._queue[0].woken.release()
    assert [future.result() for future in sent] == [1, revoked, 1, revoked, 1]
    assert read(acme, "SELECT api_key_id, count(*) FROM ledger_entry GROUP BY api_key_id") == [(live, 3)]


def test_writers_that_send_the_same_events_at_once_book_each_once(acme):
    events = [make_event(time=NOW) for _ in range(40)]

    def send(number):
        try:
            shuffled = events[number:] + events[:number]
            return book(acme, *shuffled)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(send, range(16)))
    assert sum(receipt.accepted for receipt in receipts) == 40
    assert sum(receipt.duplicates for receipt in receipts) == 15 * 40
    assert read(acme, "SELECT count(*), count(DISTINCT event_id) FROM ledger_entry") == [(40, 40)]
    assert read(acme, "SELECT sum(entry_count) FROM ledger_batch") == [(40,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET billed_cost = 0",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry",
        "UPDATE ledger_batch SET entry_count = 0",
        "DELETE FROM event_key",
        "TRUNCATE event_key",
        f"UPDATE ledger_entry_{NOW:%Y_%m} SET billed_cost = 0",
        f"DELETE FROM ledger_entry_{NOW:%Y_%m}",
        f"TRUNCATE ledger_entry_{NOW:%Y_%m}",
        f"SELECT * FROM ledger_entry_{NOW:%Y_%m}",
    ],
)
def test_the_application_cannot_change_the_ledger(acme, statement):
    book(acme, make_event(time=NOW))
    with pytest.raises(ProgrammingError, match="permission denied|append-only"), tenant_scope(acme.id):
        connection.cursor().execute(statement)


@pytest.mark.parametrize("table", ["ledger_entry", f"ledger_entry_{NOW:%Y_%m}", "ledger_batch", "event_key"])
def test_not_even_the_owner_changes_the_ledger_by_accident(acme, owner_connection, table):
    book(acme, make_event(time=NOW))
    for statement in (f"TRUNCATE {table}", f"DELETE FROM {table} WHERE tenant_id = {acme.id}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"), owner_connection.transaction():
            owner_connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(acme.id)])
            owner_connection.execute(statement)


def test_a_price_that_does_not_add_up_is_refused_by_the_table(acme, monkeypatch):
    def price_wrongly(event, **where):
        price = price_event(event, **where)
        return structs.replace(price, billed_cost=price.billed_cost + 1)

    monkeypatch.setattr("billing.ingestion.price_event", price_wrongly)
    with pytest.raises(IntegrityError, match="entry_billed_is_sum_of_meters"):
        book(acme, make_event(time=NOW))
    assert read(acme, "SELECT count(*) FROM event_key") == [(0,)]
