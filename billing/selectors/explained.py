"""What was used in the hours or days of an anomaly beside those that say what is usual, as bridges take it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from psycopg.sql import SQL, Composed

from billing.core.bridges import Use
from ledger.core.entries import PICO
from tenants.scope import reading_scope


class KindUse(NamedTuple):
    """What one kind of call used and cost: then, or in all that is usual together. Users' sums know no provider and
    no key: '' there."""

    feature: str
    provider: str
    model: str
    key: str
    is_then: bool
    use: Use


class UserCost(NamedTuple):
    """What a user cost, in pico-USD: in all that is usual together, and then."""

    user: str
    before: int
    after: int


SUMS = SQL("""sum(calls)::bigint, sum(input_tokens)::bigint, sum(cache_read_tokens)::bigint,
           sum(cache_write_tokens + cache_write_1h_tokens)::bigint, sum(output_tokens)::bigint, sum(input_cost),
           sum(cache_read_cost), sum(cache_write_cost), sum(output_cost), sum(other_cost)""")
WITHIN = SQL("feature = coalesce(%(feature)s::text, feature) AND model = coalesce(%(model)s::text, model)")
LIST_USE_OF_HOURS_SQL = SQL("""
    SELECT feature, provider, model, api_key_id, hour = ANY(%(then)s::timestamptz[]), {sums}
    FROM cost_hour
    WHERE tenant_id = %(tenant_id)s AND hour = ANY(%(then)s::timestamptz[] || %(before)s::timestamptz[])
      AND {within} AND api_key_id = coalesce(%(key)s::text, api_key_id)
    GROUP BY 1, 2, 3, 4, 5""").format(sums=SUMS, within=WITHIN)
LIST_USE_OF_DAYS_SQL = SQL("""
    SELECT feature, provider, model, api_key_id, day = ANY(%(then)s::date[]), {sums}
    FROM cost_day
    WHERE tenant_id = %(tenant_id)s AND day = ANY(%(then)s::date[] || %(before)s::date[])
      AND {within} AND api_key_id = coalesce(%(key)s::text, api_key_id)
    GROUP BY 1, 2, 3, 4, 5""").format(sums=SUMS, within=WITHIN)
LIST_USE_OF_USER_SQL = SQL("""
    SELECT feature, '', model, '', hour = ANY(%(then)s::timestamptz[]), {sums}
    FROM cost_user_hour
    WHERE tenant_id = %(tenant_id)s AND hour = ANY(%(then)s::timestamptz[] || %(before)s::timestamptz[])
      AND {within} AND user_ref = %(user)s
    GROUP BY 1, 3, 5""").format(sums=SUMS, within=WITHIN)
LIST_COSTS_OF_USERS_SQL = SQL("""
    SELECT user_ref,
           coalesce(sum(billed_cost) FILTER (WHERE hour <> ALL (%(then)s::timestamptz[])), 0),
           coalesce(sum(billed_cost) FILTER (WHERE hour = ANY (%(then)s::timestamptz[])), 0)
    FROM cost_user_hour
    WHERE tenant_id = %(tenant_id)s AND hour = ANY(%(then)s::timestamptz[] || %(before)s::timestamptz[]) AND {within}
    GROUP BY user_ref""").format(within=WITHIN)


def list_use_of_hours(
    *, tenant_id: int, scope: Mapping[str, str], then: Sequence[datetime], before: Sequence[datetime]
) -> list[KindUse]:
    """By hours of UTC. scope: of feature, model and key, or of user."""
    statement = LIST_USE_OF_USER_SQL if "user" in scope else LIST_USE_OF_HOURS_SQL
    return _list_use(statement, tenant_id, scope, then, before)


def list_use_of_days(
    *, tenant_id: int, scope: Mapping[str, str], then: Sequence[date], before: Sequence[date]
) -> list[KindUse]:
    """By days of the tenant's zone. scope: of feature, model and key."""
    return _list_use(LIST_USE_OF_DAYS_SQL, tenant_id, scope, then, before)


def list_costs_of_users(
    *, tenant_id: int, scope: Mapping[str, str], then: Sequence[datetime], before: Sequence[datetime]
) -> list[UserCost]:
    """By hours of UTC; '' for calls that name no user. scope: of feature and model."""
    rows = _read(LIST_COSTS_OF_USERS_SQL, tenant_id, scope, then, before)
    return [UserCost(user, *map(_to_pico, costs)) for user, *costs in rows]


def _list_use(
    statement: Composed, tenant_id: int, scope: Mapping[str, str], then: Sequence[Any], before: Sequence[Any]
) -> list[KindUse]:
    rows = _read(statement, tenant_id, scope, then, before)
    return [KindUse(*row[:5], Use(*row[5:10], *map(_to_pico, row[10:]))) for row in rows]


def _read(
    statement: Composed, tenant_id: int, scope: Mapping[str, str], then: Sequence[Any], before: Sequence[Any]
) -> list[tuple[Any, ...]]:
    values = {name: scope.get(name) for name in ("feature", "model", "key", "user")}
    values |= {"tenant_id": tenant_id, "then": list(then), "before": list(before)}
    with reading_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def _to_pico(amount: Decimal) -> int:
    return int(amount * PICO)
