"""How many users there were."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connections
from psycopg.sql import SQL, Composable, Composed, Identifier

from billing.selectors.sources import ONE_TENANT, list_pending_entries
from tenants.scope import reading_scope

# A user whose calls were all reversed is none.
_COUNT_USERS = SQL("""
    SELECT value, count(DISTINCT user_ref)
    FROM (SELECT value, user_ref
          FROM (SELECT {group}, user_ref, calls FROM cost_user_hour
                WHERE tenant_id = %(tenant_id)s AND hour >= %(start)s AND hour < %(end)s AND user_ref <> ''
                  AND (%(environment)s::text IS NULL OR environment = %(environment)s::text)
                UNION ALL
                SELECT {group}, user_ref, calls FROM ({pending}) AS entry
                WHERE charge_period_start >= %(start)s AND charge_period_start < %(end)s AND user_ref <> ''
                  AND (%(environment)s::text IS NULL OR environment = %(environment)s::text))
               AS called (value, user_ref, calls)
          GROUP BY value, user_ref HAVING sum(calls) > 0) AS person
    GROUP BY GROUPING SETS ((value), ())""")


def _count_users(group: Composable) -> Composed:
    return _COUNT_USERS.format(group=group, pending=list_pending_entries(ONE_TENANT))


COUNT_USERS_BY_FEATURE_SQL = _count_users(Identifier("feature"))
COUNT_USERS_BY_MODEL_SQL = _count_users(Identifier("model"))
COUNTS_BY = {"feature": COUNT_USERS_BY_FEATURE_SQL, "model": COUNT_USERS_BY_MODEL_SQL}


@dataclass(frozen=True, slots=True)
class UsersBy:
    """How many users called: in all, and by value of a dimension; a user of two values is one of each."""

    whole: int
    values: Mapping[str, int]


def count_users_by(
    dimension: str, *, tenant_id: int, start: datetime, end: datetime, environment: str, using: str = "default"
) -> UsersBy:
    """The users of [start, end), full hours of UTC, by feature or model. environment: '' for all of them.

    It reads every user's every hour: for a time of few calls.
    """
    values = {"tenant_id": tenant_id, "start": start, "end": end, "environment": environment or None}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(COUNTS_BY[dimension], values)
        found = dict(cursor.fetchall())
    return UsersBy(whole=found.pop(None, 0), values=found)
