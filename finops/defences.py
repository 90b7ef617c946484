"""What the database itself must hold, whatever our code does: asked of PostgreSQL's catalogue, never assumed.

`doctor` prints it, a system check refuses to start without the first part, the tests keep all of it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

# Tables that name a tenant and are open on purpose.
OPEN_TABLES = {
    "log_leaf": "the log of all trees; ids and hashes only",
    "outbox": "a worker must see whose turn it is; ids and counts only",
    "rate_job": "a worker takes them all in turn; tenant_id is 0 where a job is of a rate",
    "rate_version": "prices; tenant_id is 0 for everybody's",
    "tenants_user": "a person signs in before the tenant is known",
}
APPEND_ONLY_TABLES = (
    "checkpoint", "event_key", "ledger_batch", "ledger_entry", "log_head", "log_leaf", "log_node", "seal_alarm",
    "seal_leaf", "seal_node", "seal_tree", "signing_key",
)  # fmt: skip

Query = Callable[[str, dict[str, Any]], list[tuple]]

READ_POWERS_SQL = """
    SELECT rolname, rolsuper, rolbypassrls,
           ARRAY(SELECT relname::text FROM pg_class
                 WHERE relowner = pg_roles.oid AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                 ORDER BY relname)
    FROM pg_roles WHERE rolname = current_user"""

LIST_UNPROTECTED_TABLES_SQL = """
    SELECT relname::text
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
      AND attname = 'tenant_id' AND NOT attisdropped
      AND NOT (relrowsecurity AND relforcerowsecurity)
      AND relname <> ALL(%(open_tables)s)
    ORDER BY relname"""

# Row triggers are cloned to partitions, statement triggers are not; each must fire in replica mode too ('A').
LIST_UNGUARDED_TABLES_SQL = """
    WITH guarded AS (
        SELECT oid, relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relname = ANY(%(tables)s)
        UNION
        SELECT child.oid, child.relname
        FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
        WHERE parent.relname = ANY(%(tables)s))
    SELECT relname::text || ' lacks ' || name
    FROM guarded CROSS JOIN unnest(ARRAY['refuse_change', 'refuse_truncate']) AS name
    WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = guarded.oid AND tgname = name AND tgenabled = 'A')
    ORDER BY 1"""

LIST_MISSING_PARTITIONS_SQL = """
    SELECT to_char(month, 'YYYY-MM')
    FROM (SELECT date_trunc('month', %(now)s::timestamptz AT TIME ZONE 'UTC') + make_interval(months => ahead) AS month
          FROM generate_series(0, 2) AS ahead) AS months
    WHERE to_regclass('public.ledger_entry_' || to_char(month, 'YYYY_MM')) IS NULL
    ORDER BY 1"""


def list_role_faults(query: Query) -> list[str]:
    """What makes the connected role too strong for the web and the worker."""
    ((name, is_superuser, bypasses, owned),) = query(READ_POWERS_SQL, {})
    faults = []
    if is_superuser:
        faults.append(f"{name} is a superuser")
    if bypasses:
        faults.append(f"{name} bypasses row security")
    if owned:
        faults.append(f"{name} owns {', '.join(owned[:3])}{' and more' if len(owned) > 3 else ''}")
    return faults


def list_unprotected_tables(query: Query) -> list[str]:
    """Tables and partitions that name a tenant and lack forced row security."""
    return [name for (name,) in query(LIST_UNPROTECTED_TABLES_SQL, {"open_tables": list(OPEN_TABLES)})]


def list_unguarded_tables(query: Query) -> list[str]:
    """Append-only tables and partitions whose triggers are missing, or could be switched off by a setting."""
    return [name for (name,) in query(LIST_UNGUARDED_TABLES_SQL, {"tables": list(APPEND_ONLY_TABLES)})]


def list_missing_partitions(query: Query, *, now: datetime) -> list[str]:
    """Which of this month and the next two have no partition, as YYYY-MM."""
    return [month for (month,) in query(LIST_MISSING_PARTITIONS_SQL, {"now": now})]
