"""What many scopes cost at once: one statement for all of a period that name the same dimensions, whose ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from psycopg.sql import SQL, Identifier, Literal

from billing.rollups.tables import list_names
from billing.selectors.queries import DIMENSIONS
from billing.selectors.sources import ONE_TENANT, Sight, name_filters, name_period, sum_costs
from tenants.prepared import prepared_cursor
from tenants.scope import reading_scope

# Of tenants whose zone it is, so that their own days and weeks answer. Who changes it meanwhile is read next time.
THESE_TENANTS = Sight(
    all=SQL("tenant_id = ANY(%(tenant_ids)s)"), in_zone=SQL("tenant_id = ANY(%(tenant_ids)s)"), elsewhere=SQL("false")
)
LIST_SCOPE_COSTS = SQL("SELECT {groups}, billed_cost FROM ({sums}) AS summed")


@dataclass(frozen=True, slots=True)
class ScopesQuery:
    """The billed cost in [start, end) of whatever has one of `values` in each of `dimensions`.

    timezone: whose days start and end begin, of every tenant that is asked for; '' where they are hours of UTC.
    dimensions: any number of DIMENSIONS, with `user` only environment, feature and model.
    """

    start: datetime
    end: datetime
    timezone: str
    dimensions: tuple[str, ...] = ()
    values: Mapping[str, Sequence[str]] | None = None


class ScopeCost(NamedTuple):
    """values: in the order of the query's dimensions."""

    tenant_id: int
    values: tuple[str, ...]
    billed_cost: Decimal


def list_scope_costs(query: ScopesQuery, *, tenant_id: int, using: str = "default") -> list[ScopeCost]:
    """One tenant's: the rollups and what still waits, in one snapshot."""
    with reading_scope(tenant_id, using=using):
        return _read_costs(query, {"tenant_id": tenant_id}, is_everybodys=False, using=using)


def list_scope_costs_of_tenants(
    query: ScopesQuery, *, tenant_ids: Sequence[int], using: str = "reader"
) -> list[ScopeCost]:
    """Those of many tenants, as one who sees every tenant; the rollups alone."""
    return _read_costs(query, {"tenant_ids": list(tenant_ids)}, is_everybodys=True, using=using)


def _read_costs(query: ScopesQuery, whose: Mapping[str, object], *, is_everybodys: bool, using: str) -> list[ScopeCost]:
    statement = _write_statement(query.dimensions, by_days=bool(query.timezone), is_everybodys=is_everybodys)
    filters = {name: tuple((query.values or {})[name]) for name in query.dimensions}
    period = name_period(query.start, query.end, timezone=query.timezone or "UTC")
    with prepared_cursor(using=using) as cursor:
        cursor.execute(statement, {**whose, **period, **name_filters(filters)})
        return [ScopeCost(owner, tuple(values), cost) for owner, *values, cost in cursor.fetchall()]


@lru_cache(maxsize=200)
def _write_statement(dimensions: tuple[str, ...], *, by_days: bool, is_everybodys: bool) -> str:
    groups = ("tenant_id", *(DIMENSIONS[name] for name in dimensions))
    by_users = "user" in dimensions
    sums = sum_costs(
        THESE_TENANTS if is_everybodys else ONE_TENANT,
        granularity="total",
        by_days=by_days and not by_users,
        by_users=by_users,
        groups=groups,
        filters=dimensions,
        quantities=("billed_cost",),
        with_pending=not is_everybodys,
    )
    return LIST_SCOPE_COSTS.format(groups=list_names(groups), sums=sums).as_string()


LIST_TOP_VALUES = SQL(
    "SELECT {column}, billed_cost FROM ({sums}) AS summed ORDER BY billed_cost DESC, {column} LIMIT {most}"
)


def list_top_values(
    dimension: str, query: ScopesQuery, *, tenant_id: int, most: int, using: str = "default"
) -> list[tuple[str, Decimal]]:
    """The dearest values of a dimension within one tenant's query, '' for none, the dearest first."""
    statement = _write_ranking(dimension, query.dimensions, by_days=bool(query.timezone), most=most)
    filters = {name: tuple((query.values or {})[name]) for name in query.dimensions}
    period = name_period(query.start, query.end, timezone=query.timezone or "UTC")
    with reading_scope(tenant_id, using=using), prepared_cursor(using=using) as cursor:
        cursor.execute(statement, {"tenant_id": tenant_id, **period, **name_filters(filters)})
        return cursor.fetchall()


@lru_cache(maxsize=200)
def _write_ranking(dimension: str, dimensions: tuple[str, ...], *, by_days: bool, most: int) -> str:
    by_users = "user" in (dimension, *dimensions)
    sums = sum_costs(
        ONE_TENANT,
        granularity="total",
        by_days=by_days and not by_users,
        by_users=by_users,
        groups=(DIMENSIONS[dimension],),
        filters=dimensions,
        quantities=("billed_cost",),
    )
    return LIST_TOP_VALUES.format(column=Identifier(DIMENSIONS[dimension]), sums=sums, most=Literal(most)).as_string()
