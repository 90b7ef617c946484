"""What must hold in the database is asked of the database; each fault is made here, and found."""

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import SystemCheckError
from django.db import connections
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from finops.checks import check_application_role, refuse_strong_role
from finops.defences import list_missing_partitions, list_role_faults, list_unguarded_tables, list_unprotected_tables
from finops.environment import ROOT
from finops.roles import OWNER
from finops.services import list_services, locate_program
from tests.conftest import DATABASE, URLS, accepts_connections, find_free_port


@pytest.fixture
def owner_query(owner_connection):
    """Asks as the owner, inside a transaction that is taken back."""
    with owner_connection.transaction(force_rollback=True):
        yield lambda statement, values=None: owner_connection.execute(statement, values)


def ask(execute):
    return lambda statement, values: execute(statement, values).fetchall()


def test_all_holds_after_the_set_up(db):
    with connections["default"].cursor() as cursor:
        query = ask(cursor.execute)
        assert list_role_faults(query) == []
        assert list_unprotected_tables(query) == []
        assert list_unguarded_tables(query) == []


def test_a_superuser_and_the_tables_owner_are_found_out(administrator_url, owner_query, django_db_setup):
    with psycopg.connect(make_conninfo(administrator_url, dbname=DATABASE)) as connection:
        assert "postgres is a superuser" in list_role_faults(ask(connection.execute))
    (fault,) = list_role_faults(ask(owner_query))
    assert fault.startswith("tokenledger_owner owns ") and fault.endswith(" and more")


def test_a_table_without_forced_row_security_is_named(owner_query):
    owner_query("ALTER TABLE cost_hour NO FORCE ROW LEVEL SECURITY")
    owner_query("CREATE TABLE stray (tenant_id bigint)")
    assert list_unprotected_tables(ask(owner_query)) == ["cost_hour", "stray"]


def test_a_partition_without_forced_row_security_is_named(owner_query):
    (name,) = owner_query("SELECT ensure_partition(now())").fetchone()
    owner_query(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
    assert list_unprotected_tables(ask(owner_query)) == [name]


def test_a_trigger_that_replica_mode_would_skip_is_named(owner_query):
    (name,) = owner_query("SELECT ensure_partition(now())").fetchone()
    owner_query("ALTER TABLE event_key ENABLE TRIGGER refuse_change")
    owner_query(f"DROP TRIGGER refuse_truncate ON {name}")
    assert list_unguarded_tables(ask(owner_query)) == ["event_key lacks refuse_change", f"{name} lacks refuse_truncate"]


def test_the_months_without_a_partition_are_named(owner_query):
    from datetime import UTC, datetime

    missing = list_missing_partitions(ask(owner_query), now=datetime(2031, 12, 31, 23, tzinfo=UTC))
    assert missing == ["2031-12", "2032-01", "2032-02"]


def use_owner_as_application(monkeypatch):
    part = conninfo_to_dict(URLS["DATABASE_OWNER_URL"])
    monkeypatch.setitem(connections.settings["default"], "USER", part["user"])
    monkeypatch.setitem(connections.settings["default"], "PASSWORD", part["password"])


def test_the_system_check_refuses_the_owner_as_application_role(committed_db, monkeypatch):
    assert check_application_role() == []
    use_owner_as_application(monkeypatch)
    (error,) = check_application_role()
    assert error.id == "finops.E001" and error.msg.startswith(f"{OWNER} owns ")
    with pytest.raises(ImproperlyConfigured, match="Use the role tokenledger_app"):
        refuse_strong_role()


def test_a_command_does_not_run_as_the_owner(committed_db, monkeypatch):
    use_owner_as_application(monkeypatch)
    with pytest.raises(SystemCheckError, match="finops.E001"):
        call_command("list_api_keys", "acme", skip_checks=False)


def test_every_command_asks_for_this_check_alone():
    ours = {name: app for name, app in get_commands().items() if (ROOT / app).is_dir()}
    asked = {name: list(load_command_class(app, name).requires_system_checks) for name, app in ours.items()}
    assert asked == {name: [] if name in ("up", "doctor", "check_focus") else ["role"] for name in ours}
    assert len(ours) > 15


def test_a_database_that_is_away_is_no_fault_of_the_role(committed_db, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "HOST", "/nowhere")
    assert check_application_role() == []


def test_the_web_server_does_not_serve_as_the_owner(django_db_setup, start_service):
    port = find_free_port()
    command = locate_program(list_services(host="127.0.0.1", port=port)["web"])
    service = start_service("web-as-owner", command, DATABASE_APP_URL=URLS["DATABASE_OWNER_URL"])
    service.wait_until(lambda log: "ImproperlyConfigured: tokenledger_owner owns" in log)
    assert "Started worker" not in service.read_log()
    service.stop()
    assert not accepts_connections(port)


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_neither_worker_nor_beat_runs_as_the_owner(django_db_setup, start_service, name):
    command = locate_program(list_services(host="127.0.0.1", port=0)[name])
    service = start_service(f"{name}-as-owner", command, DATABASE_APP_URL=URLS["DATABASE_OWNER_URL"])
    assert service.process.wait(60) != 0
    assert "tokenledger_owner owns" in service.read_log()
    assert " ready." not in service.read_log()
