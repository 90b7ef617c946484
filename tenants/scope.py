"""The scope in which a transaction sees one tenant's rows, held by row-level security."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

SET_TENANT_SQL = "SELECT set_config('app.tenant_id', %(tenant_id)s, true)"
SWITCH_TENANT_SQL = """
    SELECT current_setting('app.tenant_id', true), set_config('app.tenant_id', %(tenant_id)s, true)"""


@contextmanager
def tenant_scope(tenant_id: int, *, using: str = "default") -> Iterator[None]:
    """Open a transaction that sees and writes the rows of `tenant_id` alone.

    Outside of any scope no tenant's row is visible. Scopes nest: the outer tenant is set again at the end,
    because PostgreSQL keeps a transaction-local setting when a savepoint is released.
    """
    connection = connections[using]
    is_nested, around = connection.in_atomic_block, getattr(connection, "scope_tenant_id", None)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(SWITCH_TENANT_SQL if is_nested else SET_TENANT_SQL, {"tenant_id": str(tenant_id)})
        outer = cursor.fetchone()[0]
        connection.scope_tenant_id = tenant_id
        try:
            yield
        finally:
            connection.scope_tenant_id = around
        if is_nested:
            cursor.execute(SET_TENANT_SQL, {"tenant_id": outer or ""})


@contextmanager
def reading_scope(tenant_id: int, *, using: str = "default") -> Iterator[None]:
    """The same for one who only reads: within a scope of the same tenant there is nothing to set and to undo."""
    connection = connections[using]
    if connection.in_atomic_block and getattr(connection, "scope_tenant_id", None) == tenant_id:
        yield
        return
    with tenant_scope(tenant_id, using=using):
        yield
