"""Tenants are apart in the database itself, and each role may do what is listed here and nothing more."""

import psycopg
import pytest

TENANT_TABLES = {
    "alert", "alert_attempt", "alert_channel", "alert_delivery", "alert_event", "allocation_rule", "api_key",
    "billing_period", "billing_period_step", "billing_setting", "budget", "budget_window", "business_driver",
    "calls_minute", "charge_rule", "checkpoint", "content", "content_act", "cost_center", "cost_day", "cost_hour",
    "cost_slice",
    "cost_user_hour", "event_key", "forecast_event", "forecast_run", "histogram", "histogram_slice", "intake_hour",
    "intake_tally", "ledger_batch", "ledger_entry", "mapping_rule", "person", "quota_decision_hour", "quota_hold",
    "rejected_event", "saved_view", "seal_alarm", "seal_leaf", "seal_node", "seal_tree", "span", "trace",
    "trace_cost", "trace_day", "watch_setting",
    "bill_charge", "bill_day", "bill_mapping", "bill_sign_off", "bill_tolerance", "export_run", "export_target",
    "report_sent", "report_subscription",
    "provider_bill", "variance_decision",
}  # fmt: skip
# Tables that name a tenant and are open on purpose, with the reason.
OPEN_TABLES = {
    "log_leaf": "the log of all trees; ids and hashes only",
    "outbox": "a worker must see whose turn it is; ids and counts only",
    "rate_job": "the worker takes them all in turn; tenant_id is 0 where a job is of a rate",
    "rate_version": "prices are the operator's; tenant_id is 0 for everybody's",
    "tenants_user": "a person signs in before the tenant is known",
}

LIST_TABLES_NAMING_A_TENANT_SQL = """
    SELECT relname::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND attname = 'tenant_id' AND NOT attisdropped"""
LIST_ROW_SECURITY_SQL = """
    SELECT relname::text, relrowsecurity AND relforcerowsecurity
    FROM pg_class
    WHERE oid = ANY(SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)
       OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'ledger_entry'::regclass AND relkind = 'r')"""
LIST_UNIQUE_KEYS_SQL = """
    SELECT table_class.relname::text, index_class.relname::text, attname::text
    FROM pg_index
    JOIN pg_class AS table_class ON table_class.oid = indrelid
    JOIN pg_class AS index_class ON index_class.oid = indexrelid
    LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE table_class.relnamespace = 'public'::regnamespace AND (indisunique OR indisexclusion)
      AND table_class.relname = ANY(%(tables)s)"""
LIST_FOREIGN_KEYS_SQL = """
    SELECT conrelid::regclass::text, conname::text, attname::text
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
    WHERE contype = 'f' AND conrelid::regclass::text = ANY(%(tables)s)"""
LIST_POLICIES_SQL = """
    SELECT tablename::text, policyname::text, cmd::text, roles::text[], qual, with_check
    FROM pg_policies WHERE schemaname = 'public'"""
LIST_PARTITIONS_SQL = """
    SELECT relname::text FROM pg_class JOIN pg_inherits ON inhrelid = oid
    WHERE inhparent = 'ledger_entry'::regclass"""
LIST_GRANTS_SQL = """
    SELECT relname::text, privilege_type::text
    FROM pg_class CROSS JOIN aclexplode(relacl) AS grant_row
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
      AND grantee = %(role)s::regrole"""
LIST_COLUMN_GRANTS_SQL = """
    SELECT relname::text, attname::text, privilege_type::text
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid CROSS JOIN aclexplode(attacl) AS grant_row
    WHERE relnamespace = 'public'::regnamespace AND grantee = %(role)s::regrole"""
LIST_PUBLIC_GRANTS_SQL = """
    SELECT relname::text FROM pg_class CROSS JOIN aclexplode(relacl) AS grant_row
    WHERE relnamespace = 'public'::regnamespace AND grantee = 0"""
LIST_DEFINER_FUNCTIONS_SQL = """
    SELECT proname::text, array_to_string(proconfig, ' ') LIKE '%search_path=pg_catalog%',
           has_function_privilege('public', pg_proc.oid, 'EXECUTE')
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"""

POLICY = (
    """(tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::bigint AS "nullif"))"""
)

READ, ADD = {"SELECT"}, {"SELECT", "INSERT"}
WORK = {"SELECT", "INSERT", "UPDATE", "DELETE"}
APP_GRANTS = {
    "ledger_entry": ADD,
    "ledger_batch": ADD,
    "event_key": ADD,
    "rejected_event": ADD | {"DELETE"},
    "person": ADD | {"DELETE"},
    "content": ADD | {"DELETE"},
    "content_act": ADD,
    "saved_view": WORK,
    "business_driver": ADD,
    "cost_center": ADD,
    "mapping_rule": ADD,
    "billing_period": ADD,
    "billing_period_step": ADD,
    "alert": ADD | {"UPDATE"},
    **dict.fromkeys(("allocation_rule", "charge_rule", "billing_setting", "fx_rate"), ADD),
    **dict.fromkeys(("bill_charge", "bill_day", "bill_mapping", "bill_sign_off", "bill_tolerance"), ADD),
    **dict.fromkeys(("provider_bill", "variance_decision"), ADD),
    **dict.fromkeys(("report_sent", "report_subscription"), ADD),
    "export_run": ADD | {"UPDATE"},
    "export_target": ADD | {"UPDATE"},
    "alert_attempt": ADD | {"UPDATE"},
    "alert_channel": ADD | {"UPDATE"},
    "alert_delivery": ADD | {"UPDATE"},
    "alert_event": ADD,
    "budget": ADD,
    "budget_window": ADD | {"UPDATE"},
    "forecast_event": ADD,
    "forecast_run": ADD,
    "quota_decision_hour": ADD | {"UPDATE"},
    "quota_hold": WORK,
    "watch_setting": ADD | {"UPDATE"},
    "outbox": WORK,
    **dict.fromkeys(("seal_alarm", "seal_leaf", "seal_node", "seal_tree", "checkpoint"), READ),
    **dict.fromkeys(("log_leaf", "log_node", "log_head"), READ),
    "signing_key": ADD,
    "tenant": ADD,
    "tenants_user": ADD | {"UPDATE"},
    "api_key": ADD,
    "cost_hour": WORK,
    "cost_day": WORK,
    "cost_slice": WORK,
    "cost_user_hour": WORK,
    "calls_minute": WORK,
    "histogram": WORK,
    "histogram_slice": WORK,
    "trace_cost": WORK,
    "trace_day": WORK,
    "intake_tally": WORK,
    "intake_hour": WORK,
    "job_run": WORK,
    "span": WORK,
    "trace": WORK,
    "rate_version": ADD,
    "rate_act": ADD,
    "rate_job": ADD | {"UPDATE"},
    "rate_upload": ADD | {"DELETE"},
    "rate_ending": ADD | {"UPDATE"},
    "rate_book": READ | {"UPDATE"},
    "model_alias": WORK,
    "django_migrations": READ,
}
APP_COLUMN_GRANTS = {
    ("tenant", "name", "UPDATE"),
    ("tenant", "timezone", "UPDATE"),
    ("tenant", "content_kept_days", "UPDATE"),
    ("tenant", "fiscal_month", "UPDATE"),
    ("forecast_event", "removed_by", "UPDATE"),
    ("forecast_event", "removed_at", "UPDATE"),
    ("forecast_run", "actual", "UPDATE"),
    *(("report_subscription", column, "UPDATE") for column in ("address", "ended_by", "ended_at")),
    *(
        ("report_sent", column, "UPDATE")
        for column in (
            "state",
            "due_at",
            "leased_until",
            "attempts",
            "status",
            "last_error",
            "finished_at",
            "subject",
            "body_text",
            "body_html",
        )
    ),
    ("provider_bill", "withdrawn_by", "UPDATE"),
    ("provider_bill", "withdrawn_at", "UPDATE"),
    ("mapping_rule", "position", "UPDATE"),
    ("mapping_rule", "valid_to", "UPDATE"),
    *(
        ("cost_center", column, "UPDATE")
        for column in ("name", "owner", "gl_account", "parent_id", "changed_at", "retired_at")
    ),
    *(("billing_period", column, "UPDATE") for column in ("state", "changed_by", "changed_at", "reopen_asked_by")),
    *(
        ("budget", column, "UPDATE")
        for column in (
            "name",
            "scope",
            "time_window",
            "amount",
            "currency",
            "actions",
            "per_request",
            "parent_id",
            "rollover",
            "owner",
            "channel_ids",
            "changed_at",
            "retired_at",
        )
    ),
    ("content", "kept_until", "UPDATE"),
    ("api_key", "revoked_at", "UPDATE"),
    *(
        (table, f"{resource}_per_second", "UPDATE")
        for table in ("tenant", "api_key")
        for resource in ("requests", "bytes", "events")
    ),
    ("rejected_event", "replayed_at", "UPDATE"),
    *(
        ("rate_version", column, "UPDATE")
        for column in (
            "provider",
            "model",
            "match",
            "tenant_id",
            "service_tier",
            "region",
            "time_window",
            "effective",
            "currency",
            "document",
            "content_hash",
            "state",
            "authors",
            "submitted_by",
            "submitted_at",
            "replaces_id",
            "approved_by",
            "published_at",
        )
    ),
}
READER_TABLES = {
    "export_run",
    "allocation_rule", "charge_rule", "billing_setting", "fx_rate",
    "billing_period", "billing_period_step", "cost_center", "mapping_rule",
    "alert", "alert_delivery", "budget", "budget_window", "tenant", "ledger_entry", "ledger_batch", "rejected_event",
    "outbox", "cost_hour", "cost_day", "cost_slice", "forecast_event", "forecast_run", "quota_decision_hour",
    "quota_hold",
    "cost_user_hour", "calls_minute", "histogram", "histogram_slice", "intake_tally", "intake_hour", "job_run",
    "rate_version", "rate_book", "rate_act", "rate_job", "span", "trace", "trace_cost", "trace_day", "watch_setting",
    "seal_alarm", "seal_leaf", "seal_node", "seal_tree", "checkpoint", "log_leaf", "log_node", "log_head",
    "signing_key",
}  # fmt: skip
SEALER_GRANTS = {
    "ledger_batch": READ,
    "outbox": READ | {"DELETE"},
    **dict.fromkeys(("seal_alarm", "seal_leaf", "seal_node", "seal_tree", "checkpoint"), ADD),
    **dict.fromkeys(("log_leaf", "log_node", "log_head", "signing_key"), ADD),
    "job_run": ADD | {"UPDATE"},
}
LIBRARY_PREFIXES = ("account_", "auth_", "axes_", "django_")


def group_grants(rows):
    grants: dict[str, set[str]] = {}
    for table, privilege in rows:
        grants.setdefault(table, set()).add(privilege)
    return grants


def test_every_table_that_names_a_tenant_is_protected_or_open_for_a_reason(owner_connection):
    rows = owner_connection.execute(LIST_TABLES_NAMING_A_TENANT_SQL).fetchall()
    assert {name for (name,) in rows} == TENANT_TABLES | set(OPEN_TABLES)


def test_row_security_is_forced_on_every_tenant_table_and_partition(owner_connection):
    rows = owner_connection.execute(LIST_ROW_SECURITY_SQL, {"tables": sorted(TENANT_TABLES)}).fetchall()
    partitions = {name for (name,) in owner_connection.execute(LIST_PARTITIONS_SQL).fetchall()}
    assert partitions
    assert {name for name, _ in rows} == TENANT_TABLES | partitions
    assert [name for name, is_forced in rows if not is_forced] == []


def test_the_policies_are_these_and_no_others(owner_connection):
    partitions = {name for (name,) in owner_connection.execute(LIST_PARTITIONS_SQL).fetchall()}
    policies = owner_connection.execute(LIST_POLICIES_SQL).fetchall()
    expected = {(table, "tenant", "ALL", ("public",), POLICY, None) for table in TENANT_TABLES | partitions}
    expected |= {
        (table, "reader", "SELECT", ("tokenledger_reader",), "true", None)
        for table in (TENANT_TABLES | partitions) - {"api_key"}
    }
    expected.add(("api_key", "find_key", "SELECT", ("tokenledger_owner",), "true", None))
    assert {(*row[:3], tuple(row[3]), *row[4:]) for row in policies} == expected


def test_every_unique_key_of_a_tenant_table_begins_with_the_tenant(owner_connection):
    rows = owner_connection.execute(LIST_UNIQUE_KEYS_SQL, {"tables": sorted(TENANT_TABLES)}).fetchall()
    assert {table for table, _, _ in rows} == TENANT_TABLES
    assert [(table, index) for table, index, first in rows if first != "tenant_id"] == []


def test_every_foreign_key_of_a_tenant_table_begins_with_the_tenant(owner_connection):
    rows = owner_connection.execute(LIST_FOREIGN_KEYS_SQL, {"tables": sorted(TENANT_TABLES)}).fetchall()
    assert [(table, name) for table, name, first in rows if first != "tenant_id"] == []


def test_the_application_role_has_these_rights_and_no_others(owner_connection):
    rows = owner_connection.execute(LIST_GRANTS_SQL, {"role": "tokenledger_app"}).fetchall()
    grants = group_grants(rows)
    ours = {table: rights for table, rights in grants.items() if table in APP_GRANTS}
    libraries = {table: rights for table, rights in grants.items() if table not in APP_GRANTS}
    assert ours == APP_GRANTS
    assert all(table.startswith(LIBRARY_PREFIXES) for table in libraries)
    assert all(rights == WORK for rights in libraries.values())
    columns = owner_connection.execute(LIST_COLUMN_GRANTS_SQL, {"role": "tokenledger_app"}).fetchall()
    assert set(columns) == APP_COLUMN_GRANTS


def test_the_reader_reads_these_tables_and_writes_none(owner_connection):
    rows = owner_connection.execute(LIST_GRANTS_SQL, {"role": "tokenledger_reader"}).fetchall()
    assert group_grants(rows) == dict.fromkeys(READER_TABLES, READ)
    assert owner_connection.execute(LIST_COLUMN_GRANTS_SQL, {"role": "tokenledger_reader"}).fetchall() == []


def test_the_sealer_adds_to_its_trees_and_touches_nothing_else(owner_connection):
    rows = owner_connection.execute(LIST_GRANTS_SQL, {"role": "tokenledger_sealer"}).fetchall()
    assert group_grants(rows) == SEALER_GRANTS
    columns = owner_connection.execute(LIST_COLUMN_GRANTS_SQL, {"role": "tokenledger_sealer"}).fetchall()
    assert set(columns) == {
        ("tenant", "id", "SELECT"), *(("outbox", name, "UPDATE") for name in ("tries", "not_before", "last_error")),
    }  # fmt: skip


def test_nothing_is_granted_to_everybody(owner_connection):
    assert owner_connection.execute(LIST_PUBLIC_GRANTS_SQL).fetchall() == []


def test_functions_that_run_as_the_owner_fix_their_search_path_and_are_not_everybodys(owner_connection):
    rows = owner_connection.execute(LIST_DEFINER_FUNCTIONS_SQL.replace("%", "%%"), {}).fetchall()
    assert set(rows) == {
        ("ensure_partition", True, False), ("find_api_key", True, False), ("list_live_keys", True, False),
    }  # fmt: skip


def test_without_a_scope_the_application_sees_no_tenants_row(owner_connection):
    from tests.conftest import URLS

    with psycopg.connect(URLS["DATABASE_APP_URL"]) as connection:
        for table in sorted(TENANT_TABLES):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_a_partition_is_out_of_reach_by_its_own_name(owner_connection):
    from tests.conftest import URLS

    partitions = [name for (name,) in owner_connection.execute(LIST_PARTITIONS_SQL).fetchall()]
    with psycopg.connect(URLS["DATABASE_APP_URL"], autocommit=True) as connection:
        for name in partitions:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT 1 FROM {name} LIMIT 1")
