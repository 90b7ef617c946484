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
    is_nested = connections[using].in_atomic_block
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if not is_nested:
            cursor.execute(SET_TENANT_SQL, {"tenant_id": str(tenant_id)})
            yield
            return
        cursor.execute(SWITCH_TENANT_SQL, {"tenant_id": str(tenant_id)})
        outer = cursor.fetchone()[0]
        yield
        cursor.execute(SET_TENANT_SQL, {"tenant_id": outer or ""})
