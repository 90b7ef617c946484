"""Users of a tenant: the references of those who are named, and the ids of those who are referred to."""

from collections.abc import Sequence

from django.db import connections

from tenants.scope import reading_scope

FIND_USER_REFS_SQL = """
    SELECT user_ref FROM person WHERE tenant_id = %(tenant_id)s AND external_id = ANY(%(external_ids)s)"""


def find_user_refs(*, tenant_id: int, users: Sequence[str], using: str = "default") -> list[str]:
    """The references that `users` mean: themselves, where they are references, and those of the people they name."""
    if not users:
        return []
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(FIND_USER_REFS_SQL, {"tenant_id": tenant_id, "external_ids": list(users)})
        return [*users, *(user_ref for (user_ref,) in cursor.fetchall())]


NAME_USERS_SQL = """
    SELECT user_ref, external_id FROM person WHERE tenant_id = %(tenant_id)s AND user_ref = ANY(%(user_refs)s)"""


def name_users(*, tenant_id: int, user_refs: Sequence[str], using: str = "default") -> dict[str, str]:
    """By reference, the id under which each user was sent; a person who was erased has none."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(NAME_USERS_SQL, {"tenant_id": tenant_id, "user_refs": list(user_refs)})
        return dict(cursor.fetchall())
