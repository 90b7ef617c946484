"""Partitions: made ahead, once, protected like their parent."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DataError, connection, connections, transaction

from ledger import partitions
from ledger.partitions import ensure_partition, ensure_partitions
from ledger.tasks import ensure_partitions_ahead

NOW = datetime.now(UTC)

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(partitions, "_known_months", set())


def list_partitions():
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ledger_entry'::regclass")
        return {name for (name,) in cursor.fetchall()}


def name_month(months_ahead):
    year, month = divmod(NOW.year * 12 + NOW.month - 1 + months_ahead, 12)
    return f"ledger_entry_{year}_{month + 1:02}"


def test_this_month_and_the_next_three_are_there():
    ensure_partitions(now=NOW)
    assert {name_month(ahead) for ahead in range(4)} <= list_partitions()


def test_a_month_is_made_when_it_is_needed_and_then_known(django_assert_num_queries):
    moment = NOW + timedelta(days=150)
    ensure_partition(moment)
    assert f"ledger_entry_{moment:%Y_%m}" in list_partitions()
    with django_assert_num_queries(0):
        ensure_partition(moment)


def test_many_processes_make_a_month_at_once():
    moment, errors = NOW + timedelta(days=185), []

    def ensure():
        try:
            with connection.cursor() as cursor:
                cursor.execute(partitions.ENSURE_PARTITION_SQL, {"moment": moment})
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ensure) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert f"ledger_entry_{moment:%Y_%m}" in list_partitions()


@pytest.mark.parametrize("days", [-60, 300])
def test_a_month_far_from_now_is_refused_and_not_remembered(days):
    for _ in range(2):
        with pytest.raises(DataError):
            ensure_partition(NOW + timedelta(days=days))


def test_it_is_never_part_of_a_larger_transaction():
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        ensure_partition(NOW)


def test_a_new_partition_is_protected_like_its_parent(owner_connection):
    ensure_partition(NOW + timedelta(days=120))
    rows = owner_connection.execute("""
        SELECT relname, relrowsecurity AND relforcerowsecurity,
               has_table_privilege('tokenledger_app', pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'),
               (SELECT count(*) FROM pg_trigger
                WHERE tgrelid = pg_class.oid AND tgname IN ('refuse_change', 'refuse_truncate') AND tgenabled = 'A'),
               (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid)
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'ledger_entry'::regclass""").fetchall()
    assert len(rows) >= 4
    for name, has_row_security, is_reachable, triggers, policies in rows:
        assert (has_row_security, is_reachable, triggers, policies) == (True, False, 2, 2), name


def test_the_task_needs_no_argument():
    ensure_partitions_ahead()
    assert name_month(3) in list_partitions()
