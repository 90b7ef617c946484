"""What stands in the tables, read as the application's role does."""

from django.db import connection

from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo


def read(tenant: TenantInfo, query: str) -> list[tuple]:
    """The rows of a query in the tenant's scope."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()
