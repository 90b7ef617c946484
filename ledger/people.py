"""The people of a tenant: a random reference in the ledger, their own id in a row that can be deleted."""

import json
import secrets
from collections.abc import Iterable
from datetime import datetime

from django.db import connection
from psycopg import Cursor

from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.prepared import prepared_cursor

REFERENCE_BYTES = 12  # 96 random bits: 16 characters of base64url

# A look-up for each, whatever the planner believes of a table that was never analysed: OFFSET 0 keeps it from comparing
# each person with each name.
FIND_PEOPLE_SQL = """
    SELECT wanted.external_id, found.user_ref
    FROM jsonb_array_elements_text(%(external_ids)s::jsonb) AS wanted (external_id)
    CROSS JOIN LATERAL (
        SELECT user_ref FROM person
        WHERE tenant_id = %(tenant_id)s AND external_id = wanted.external_id
        OFFSET 0) AS found"""

ADD_PEOPLE_SQL = """
    INSERT INTO person (tenant_id, user_ref, external_id, created_at)
    SELECT %(tenant_id)s::bigint, user_ref, external_id, %(now)s
    FROM unnest(%(user_refs)s::text[], %(external_ids)s::text[]) AS new (user_ref, external_id)
    ON CONFLICT (tenant_id, external_id) DO NOTHING"""


def refer_to_people(*, tenant_id: int, external_ids: Iterable[str], now: datetime) -> dict[str, str]:
    """The reference of each person, made for those who are new. Call it inside the tenant's scope.

    Deleting a person's row makes later events refer to a new, unrelated reference.
    """
    wanted = sorted(set(external_ids))  # sorted: two writers with the same new people wait, and do not deadlock
    if not wanted:
        return {}
    with prepared_cursor() as cursor:
        found = _find_people(cursor, tenant_id, wanted)
        missing = [external_id for external_id in wanted if external_id not in found]
        if missing:
            references = [f"u_{secrets.token_urlsafe(REFERENCE_BYTES)}" for _ in missing]
            cursor.execute(
                ADD_PEOPLE_SQL,
                {"tenant_id": tenant_id, "user_refs": references, "external_ids": missing, "now": now},
            )
            found |= _find_people(cursor, tenant_id, missing)
    return found


def _find_people(cursor: Cursor, tenant_id: int, external_ids: list[str]) -> dict[str, str]:
    cursor.execute(FIND_PEOPLE_SQL, {"tenant_id": tenant_id, "external_ids": json.dumps(external_ids)})
    return dict(cursor.fetchall())


ERASE_PERSON_SQL = """
    DELETE FROM person WHERE tenant_id = %(tenant_id)s AND external_id = %(external_id)s
    RETURNING user_ref"""


def erase_person(*, tenant_id: int, external_id: str, actor: str, now: datetime) -> bool:
    """Forget who a reference was; entries keep the reference, which then means nobody, and so does the act.

    Call it inside the tenant's scope. False where nobody is known by that id.
    """
    with connection.cursor() as cursor:
        cursor.execute(ERASE_PERSON_SQL, {"tenant_id": tenant_id, "external_id": external_id})
        erased = cursor.fetchone()
    if erased is None:
        return False
    book_act(tenant_id=tenant_id, act=Act("person.erased", actor, {"user_ref": erased[0]}), now=now)
    return True
