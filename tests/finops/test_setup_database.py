"""What the set-up leaves: roles that cannot do harm, and rights that suffice."""

import psycopg
import pytest
from django.apps import apps

from finops.roles import LIBRARY_APPS

OURS = {"tenants", "ledger", "billing", "api", "dashboards", "finops"}

READ_ROLES_SQL = """
    SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
    FROM pg_roles WHERE rolname LIKE 'tokenledger%'"""
COUNT_OWNED_SQL = """
    SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) IN ('tokenledger_app', 'tokenledger_reader')"""


def test_no_role_may_do_more_than_its_own_work(owner_connection):
    roles = dict(owner_connection.execute(READ_ROLES_SQL).fetchall())
    assert roles == {"tokenledger_owner": False, "tokenledger_app": False, "tokenledger_reader": False}


def test_the_application_role_and_the_reader_own_nothing(owner_connection):
    assert owner_connection.execute(COUNT_OWNED_SQL).fetchone() == (0,)


def test_the_reader_writes_nothing(reader):
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute("INSERT INTO tenant (slug) VALUES ('globex')")


def test_every_library_with_tables_is_named():
    with_tables = {config.label for config in apps.get_app_configs() if list(config.get_models())}
    assert with_tables - OURS == set(LIBRARY_APPS)


def test_the_application_role_may_work_on_the_tables_of_libraries(db):
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    Session.objects.create(session_key="one", session_data="", expire_date=timezone.now())
    Session.objects.update(session_data="more")
    assert Session.objects.all().delete() == (1, {"sessions.Session": 1})


def test_setting_up_a_second_time_changes_nothing(committed_db, capsys):
    from django.core.management import call_command

    call_command("setup_database", verbosity=0)
    assert capsys.readouterr().out.splitlines()[-1] == "The database is up to date."
