"""Every SQL constant is one that PostgreSQL understands, and names its tenant where it touches tenants' rows."""

import ast
import importlib
import re
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import Composable

ROOT = Path(__file__).resolve().parents[2]
APPS = ("finops", "api", "dashboards", "chargeback", "alerts", "audit", "billing", "content", "ledger", "tenants")
PREPARABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "WITH")
# Statements that PostgreSQL runs and does not prepare; each is run by a test of its own.
UTILITY = ("CREATE TEMPORARY TABLE", "COPY ", "LOCK ", "SET LOCAL ", "SET TRANSACTION ", "NOTIFY ")

WATCHES_ALL = "the job that watches every tenant, through the reader"
# SQL that reads tenants' tables without a tenant, and why it may.
WITHOUT_TENANT: dict[str, str] = {
    "chargeback.exports.runs.LIST_EXPORTING_TENANTS_SQL": "whose days there are to send, through the reader",
    "alerts.deliveries.LIST_DUE_TENANTS_SQL": "whose turn it is, through the reader",
    "alerts.evaluation.LIST_WINDOWS_SQL": "the windows of all budgets, through the reader",
    "alerts.evaluation.LIST_ENDED_SQL": "whose turn it is, through the reader",
    "alerts.anomalies.feedback.LIST_JUDGED_SQL": WATCHES_ALL,
    "alerts.anomalies.telling.LIST_STANDING_FINDINGS_SQL": WATCHES_ALL,
    "alerts.thresholds.LIST_SETTINGS_SQL": WATCHES_ALL,
    "billing.selectors.intake.SUM_INTAKE_BY_TENANT_SQL": "metrics of all tenants, through the reader",
    "billing.rollups.intake.LIST_TALLIED_TENANTS_SQL": "whose turn it is, through the reader",
    "billing.spans.kept.LIST_QUIET_TRACES_SQL": "whose turn it is, through the reader",
    "billing.selectors.watched.series.LIST_HOUR_SERIES_SQL": WATCHES_ALL,
    "billing.selectors.watched.series.LIST_DAY_SERIES_SQL": WATCHES_ALL,
    "billing.selectors.watched.series.LIST_FIRST_HOURS_SQL": WATCHES_ALL,
    "billing.selectors.watched.minutes.LIST_BUSY_MINUTES_SQL": WATCHES_ALL,
    "billing.selectors.watched.minutes.LIST_USUAL_CALLS_SQL": WATCHES_ALL,
    "billing.selectors.watched.minutes.LIST_DEAR_USERS_SQL": WATCHES_ALL,
    "billing.selectors.watched.calls.LIST_UNPRICED_CALLS_SQL": WATCHES_ALL,
    "billing.selectors.watched.sources.LIST_SOURCE_PAUSES_SQL": WATCHES_ALL,
    "billing.selectors.watched.sources.LIST_NEW_VALUES_SQL": WATCHES_ALL,
    "billing.selectors.watched.sources.LIST_NEW_USERS_SQL": WATCHES_ALL,
    "billing.selectors.watched.prices.LIST_MODEL_USE_SQL": WATCHES_ALL,
    "billing.selectors.watched.calls.LIST_HEAVIEST_CALLS_SQL": WATCHES_ALL,
    "billing.selectors.watched.reconciliations.SUM_HOURS_SQL": WATCHES_ALL,
    "ledger.sealing.alarms.LIST_ALARMS_SQL": "what stands refused, of all tenants, through the reader",
    "ledger.sealing.proofs.COUNT_SEALED_SQL": "metrics of all tenants, through the reader",
    "ledger.truncations.LIST_TRUNCATIONS_SQL": WATCHES_ALL,
    "finops.doctor.LIST_UNPRICED_MODELS_SQL": "models of all tenants, through the reader",
}


def find_constants():
    """The name and text of every *_SQL constant, by the module that writes it."""
    found = []
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            names = [
                target.id
                for node in ast.parse(path.read_text()).body
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                if isinstance(target, ast.Name) and target.id.endswith("_SQL") and not target.id.startswith("_")
            ]
            if names:
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found += [(module, name) for name in names]
    return found


CONSTANTS = find_constants()


def read_text(module, name):
    value = getattr(importlib.import_module(module), name)
    text = value.as_string(None) if isinstance(value, Composable) else value
    return text.strip()


def number_parameters(text):
    """The statement with $1, $2 … in place of named parameters, as PREPARE takes it."""
    names: dict[str, int] = {}

    def number(match):
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return re.sub(r"%\((\w+)\)[sbt]", number, text).replace("%%", "%")


@pytest.fixture(scope="module")
def prepared(django_db_setup):
    """A connection that owns the tables and has the temporary ones; what it does is never committed."""
    from tests.conftest import URLS

    with psycopg.connect(URLS["DATABASE_OWNER_URL"]) as connection:
        for module, name in CONSTANTS:
            text = read_text(module, name)
            if text.startswith("CREATE TEMPORARY TABLE"):
                connection.execute(text)
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def tenant_tables(prepared):
    rows = prepared.execute("""
        SELECT relname::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND attname = 'tenant_id' AND relrowsecurity""").fetchall()
    return {name for (name,) in rows}


def test_the_constants_are_found():
    assert ("ledger.selectors.entry_lists", "LIST_ENTRIES_SQL") in CONSTANTS
    assert ("tenants.scope", "SET_TENANT_SQL") in CONSTANTS


@pytest.mark.parametrize(("module", "name"), CONSTANTS, ids=lambda value: value)
def test_postgresql_understands_it(prepared, module, name):
    text = read_text(module, name)
    if text.upper().startswith(UTILITY):
        return
    assert text.upper().startswith(PREPARABLE), f"{name} is neither a query nor a known utility statement"
    with prepared.transaction(force_rollback=True):
        prepared.execute(f"PREPARE checked AS {number_parameters(text)}".encode())
        prepared.execute("DEALLOCATE checked")


@pytest.mark.parametrize(("module", "name"), CONSTANTS, ids=lambda value: value)
def test_it_names_the_tenant_where_it_touches_tenants_rows(tenant_tables, module, name):
    text = read_text(module, name)
    touched = set(re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE|USING|TABLE)\s+(?:ONLY\s+)?(\w+)", text, re.IGNORECASE))
    if not touched & tenant_tables or "%(tenant_id)s" in text:
        return
    assert f"{module}.{name}" in WITHOUT_TENANT, f"{name} reads {touched & tenant_tables} without %(tenant_id)s"


def test_what_may_read_without_a_tenant_still_exists():
    assert set(WITHOUT_TENANT) <= {f"{module}.{name}" for module, name in CONSTANTS}


def test_no_statement_is_written_where_it_is_run():
    # Found by name and read with its function: so text is never passed to execute() itself.
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for app in ("api", "dashboards", "chargeback", "alerts", "audit", "billing", "content", "ledger", "tenants")
        for path in sorted((ROOT / app).rglob("*.py"))
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany", "copy", "raw")
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)
    ]
    assert found == []
