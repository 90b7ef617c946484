"""What the set-up leaves: roles that cannot do harm, and rights that suffice."""

import os
import subprocess
import sys

import psycopg
import pytest
from django.apps import apps
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from finops.roles import LIBRARY_APPS, ROLE_OF_VARIABLE, RolesRefused, derive_urls, ensure_roles
from tests.conftest import ROOT, URLS

OURS = {"tenants", "ledger", "content", "billing", "audit", "alerts", "chargeback", "api", "dashboards", "finops"}

READ_ROLES_SQL = """
    SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
    FROM pg_roles WHERE rolname LIKE 'tokenledger%'"""
COUNT_OWNED_SQL = """
    SELECT count(*) FROM pg_class
    WHERE pg_get_userbyid(relowner) IN ('tokenledger_app', 'tokenledger_reader', 'tokenledger_sealer')
      AND relpersistence <> 't'"""


def test_no_role_may_do_more_than_its_own_work(owner_connection):
    roles = dict(owner_connection.execute(READ_ROLES_SQL).fetchall())
    assert roles == {
        "tokenledger_owner": False, "tokenledger_app": False, "tokenledger_reader": False, "tokenledger_sealer": False,
    }  # fmt: skip


def test_the_application_role_the_reader_and_the_sealer_own_nothing(owner_connection):
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
    ours = Session.objects.filter(session_key="one")
    assert ours.update(session_data="more") == 1
    assert ours.delete() == (1, {"sessions.Session": 1})


def test_setting_up_a_second_time_changes_nothing(committed_db, capsys):
    from django.core.management import call_command

    call_command("setup_database", verbosity=0)
    assert capsys.readouterr().out.splitlines()[-1] == "The database is up to date."


def test_an_administrators_url_alone_is_enough(administrator_url, django_db_setup, tmp_path):
    database = f"by_hand_{os.getpid()}"
    environment = {
        **os.environ,
        "DATABASE_URL": make_conninfo(administrator_url, dbname=database),
        "TOKENLEDGER_HOME": str(tmp_path),
    }
    command = [sys.executable, str(ROOT / "manage.py"), "setup_database", "--verbosity=0"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout == "The database is up to date.\n", done.stderr
        written = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())
        with psycopg.connect(written["DATABASE_APP_URL"]) as connection:
            assert connection.execute("SELECT current_user, current_database()").fetchone() == (
                "tokenledger_app",
                database,
            )
    finally:
        with psycopg.connect(administrator_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nonsense", "DATABASE_URL is not a PostgreSQL URL: write it as postgresql://"),
        ("postgresql://boss:secret@127.0.0.1:1/costs", "DATABASE_URL does not reach a PostgreSQL server"),
    ],
)
def test_an_administrators_url_that_leads_nowhere_is_named(url, complaint):
    with pytest.raises(RolesRefused, match=complaint) as refused:
        ensure_roles(administrator_url=url, urls=derive_urls(administrator_url=url, known={}))
    assert "secret" not in str(refused.value)


def test_a_role_that_may_not_make_roles_is_no_administrator(django_db_setup):
    url = URLS["DATABASE_APP_URL"]
    with pytest.raises(RolesRefused, match="give it CREATEROLE and CREATEDB"):
        ensure_roles(administrator_url=url, urls=derive_urls(administrator_url=url, known=URLS))


def test_an_administrator_who_is_no_superuser_suffices(administrator_url, django_db_setup):
    """As on a managed PostgreSQL; the roles stay those of this run."""
    database = f"managed_{os.getpid()}"
    with psycopg.connect(administrator_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE boss LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
        for role in ROLE_OF_VARIABLE.values():
            connection.execute(f"GRANT {role} TO boss WITH ADMIN OPTION")
        try:
            boss = make_conninfo(administrator_url, user="boss", password="secret", dbname=database)
            urls = derive_urls(administrator_url=boss, known=URLS)
            ensure_roles(administrator_url=boss, urls=urls)
            ensure_roles(administrator_url=boss, urls=urls)
            with psycopg.connect(urls["DATABASE_OWNER_URL"]) as owner:
                assert owner.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone() == (True,)
            with psycopg.connect(urls["DATABASE_APP_URL"]) as app:
                assert app.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone() == (False,)
        finally:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
            connection.execute("DROP OWNED BY boss; DROP ROLE boss")


def test_passwords_are_kept_and_only_missing_ones_are_made():
    first = derive_urls(administrator_url="postgresql://boss:x@db.example/costs?sslmode=require", known={})
    again = derive_urls(administrator_url="postgresql://boss:x@db.example/costs?sslmode=require", known=first)
    moved = derive_urls(administrator_url="postgresql://boss:x@other.example/postgres", known=first)
    assert first == again
    assert conninfo_to_dict(moved["DATABASE_APP_URL"]) == {
        "user": "tokenledger_app",
        "password": conninfo_to_dict(first["DATABASE_APP_URL"])["password"],
        "host": "other.example",
        "dbname": "tokenledger",
    }
    assert conninfo_to_dict(first["DATABASE_READER_URL"])["sslmode"] == "require"
