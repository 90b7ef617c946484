"""Entries by filter, page by page, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import sql

from ledger.matches import make_values, split_match, write_condition
from ledger.selectors.columns import COLUMN_LIST, EntryCursor, read_entry
from ledger.selectors.users import find_user_refs
from tenants.scope import reading_scope

ENTRIES_PER_PAGE_MAX = 1_000
FEW_DAYS = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class EntryFilters:
    """Which entries; an empty tuple asks for any, '' among the values for entries that say nothing.

    start, end: half-open, of `charge_period_start`. users: as the engineers send them, or references. matches: values
    that do not count, or parts of those that do, by a name of MATCHED with its operator (`ledger.matches`).
    """

    start: datetime | None = None
    end: datetime | None = None
    features: Sequence[str] = ()
    models: Sequence[str] = ()
    providers: Sequence[str] = ()
    environments: Sequence[str] = ()
    cost_centers: Sequence[str] = ()
    operations: Sequence[str] = ()
    service_tiers: Sequence[str] = ()
    users: Sequence[str] = ()
    keys: Sequence[str] = ()
    statuses: Sequence[str] = ()
    pricing_statuses: Sequence[str] = ()
    kinds: Sequence[str] = ()
    event_ids: Sequence[str] = ()
    response_ids: Sequence[str] = ()
    trace_ids: Sequence[str] = ()
    session_ids: Sequence[str] = ()
    billing_periods: Sequence[date] = ()  # by their first day
    rate_versions: Sequence[int | None] = ()  # None: of rows that name none
    context_tiers: Sequence[int] = ()
    cache_hits: Sequence[bool] = ()
    usages: Sequence[str] = ()  # that are not zero, as the ledger names them: `output_tokens`, `images`
    batch_id: UUID | None = None
    matches: Mapping[str, Sequence[str]] = field(default_factory=dict)


# What `EntryFilters.matches` may name, and its column.
MATCHED = {
    "feature": "feature", "model": "model", "provider": "provider", "environment": "environment",
    "cost_center": "cost_center", "operation": "operation", "service_tier": "service_tier", "user": "user_ref",
    "key": "api_key_id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries, newest first, and the cursor of what follows; None at the end.

    An entry is its columns by name, with `id` before them: money Decimal or None, times aware, `leaf` hexadecimal,
    `tags` and `other_usage` dicts, quantities int or Decimal.
    """

    entries: list[dict[str, Any]]
    next: str | None


# Django binds parameters on the client, so PostgreSQL plans with the values and drops every test of an absent filter.
# What was used at `start` was booked at most five minutes earlier (clocks differ; ten are allowed), which lets older
# partitions go unread.
_MATCHES = sql.SQL("""
    WHERE tenant_id = %(tenant_id)s
      AND (%(start)s::timestamptz IS NULL
           OR (charge_period_start >= %(start)s AND recorded_at >= %(start)s::timestamptz - interval '10 minutes'))
      AND (%(end)s::timestamptz IS NULL OR charge_period_start < %(end)s)
      AND (%(before_batch_id)s::uuid IS NULL OR (batch_id, line) < (%(before_batch_id)s::uuid, %(before_line)s::int))
      AND (%(batch_id)s::uuid IS NULL OR batch_id = %(batch_id)s)
      AND (%(features)s::text[] = '{{}}' OR feature = ANY(%(features)s::text[]))
      AND (%(models)s::text[] = '{{}}' OR model = ANY(%(models)s::text[]))
      AND (%(providers)s::text[] = '{{}}' OR provider = ANY(%(providers)s::text[]))
      AND (%(environments)s::text[] = '{{}}' OR environment = ANY(%(environments)s::text[]))
      AND (%(cost_centers)s::text[] = '{{}}' OR cost_center = ANY(%(cost_centers)s::text[]))
      AND (%(operations)s::text[] = '{{}}' OR operation = ANY(%(operations)s::text[]))
      AND (%(service_tiers)s::text[] = '{{}}' OR service_tier = ANY(%(service_tiers)s::text[]))
      AND (%(user_refs)s::text[] = '{{}}' OR user_ref = ANY(%(user_refs)s::text[]))
      AND (%(keys)s::text[] = '{{}}' OR api_key_id = ANY(%(keys)s::text[]))
      AND (%(statuses)s::text[] = '{{}}' OR status = ANY(%(statuses)s::text[]))
      AND (%(pricing_statuses)s::text[] = '{{}}' OR pricing_status = ANY(%(pricing_statuses)s::text[]))
      AND (%(kinds)s::text[] = '{{}}' OR kind = ANY(%(kinds)s::text[]))
      AND (%(event_ids)s::text[] = '{{}}' OR event_id = ANY(%(event_ids)s::text[]))
      AND (%(response_ids)s::text[] = '{{}}' OR response_id = ANY(%(response_ids)s::text[]))
      AND (%(trace_ids)s::text[] = '{{}}' OR trace_id = ANY(%(trace_ids)s::text[]))
      AND (%(session_ids)s::text[] = '{{}}' OR session_id = ANY(%(session_ids)s::text[]))
      AND (%(billing_periods)s::date[] = '{{}}'
           OR (billing_period = ANY(%(billing_periods)s::date[]) AND recorded_at >= %(billed_from)s))
      AND (%(rate_versions)s::bigint[] = '{{}}' OR coalesce(rate_version_id, 0) = ANY(%(rate_versions)s::bigint[]))
      AND (%(context_tiers)s::int[] = '{{}}' OR context_tier = ANY(%(context_tiers)s::int[]))
      AND (%(cache_hits)s::boolean[] = '{{}}' OR cache_hit = ANY(%(cache_hits)s::boolean[]))
      AND (%(usages)s::text[] = '{{}}' OR other_usage ?| %(usages)s::text[] OR {used})
      AND {more}""")
TOKEN_USAGES = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip
_USED_TOKENS = sql.SQL(" OR ").join(
    sql.SQL("({} <> 0 AND {} = ANY(%(usages)s::text[]))").format(sql.Identifier(name), name) for name in TOKEN_USAGES
)

_NEWEST_ENTRIES = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry{matches}
    ORDER BY batch_id DESC, line DESC
    LIMIT %(limit)s""")

# A few days that are long past: walking down the primary key would read everything booked since, and the planner does
# not know it. OFFSET 0 makes it collect the days by their own index and sort what it found.
_ENTRIES_OF_DAYS = sql.SQL("""
    SELECT {columns}
    FROM (SELECT {columns} FROM ledger_entry{matches} OFFSET 0) AS found
    ORDER BY batch_id DESC, line DESC
    LIMIT %(limit)s""")


def _write_list(template: sql.SQL, matches: Mapping[str, Sequence[str]]) -> sql.Composed:
    """The statement with a condition for each of `matches` beside the filters that every list has."""
    conditions = [sql.SQL("true")]
    for name in matches:
        subject, operator = split_match(name)
        conditions.append(write_condition(MATCHED[subject], operator, f"match_{name}"))
    return template.format(
        columns=COLUMN_LIST, matches=_MATCHES.format(more=sql.SQL(" AND ").join(conditions), used=_USED_TOKENS)
    )


LIST_ENTRIES_SQL = _write_list(_NEWEST_ENTRIES, {})
LIST_ENTRIES_OF_DAYS_SQL = _write_list(_ENTRIES_OF_DAYS, {})


def list_entries(
    *,
    tenant_id: int,
    filters: EntryFilters,
    before: EntryCursor | None = None,
    limit: int = 100,
    using: str = "default",
) -> EntryPage:
    """One page of the tenant's entries, newest first; `before` is the cursor that the page before it gave.

    Pages never overlap and never miss an entry that stood when the first was read; 1 <= limit <= ENTRIES_PER_PAGE_MAX.
    """
    user_refs = find_user_refs(tenant_id=tenant_id, users=filters.users, using=using)
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        if _are_days_past(cursor, tenant_id, filters):
            statement, template = LIST_ENTRIES_OF_DAYS_SQL, _ENTRIES_OF_DAYS
        else:
            statement, template = LIST_ENTRIES_SQL, _NEWEST_ENTRIES
        cursor.execute(
            _write_list(template, filters.matches) if filters.matches else statement,
            {
                **_name_filters(filters),
                "tenant_id": tenant_id,
                "before_batch_id": before.batch_id if before else None,
                "before_line": before.line if before else None,
                "user_refs": user_refs,
                "limit": limit + 1,  # one more tells whether there is a next page
                **_name_matches(filters.matches, tenant_id=tenant_id, using=using),
            },
        )
        rows = [read_entry(row) for row in cursor.fetchall()]
    return EntryPage(rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)


def _name_filters(filters: EntryFilters) -> dict[str, Any]:
    """What they ask for, as both statements take it."""
    return {
        "start": filters.start,
        "end": filters.end,
        "batch_id": filters.batch_id,
        "features": list(filters.features),
        "models": list(filters.models),
        "providers": list(filters.providers),
        "environments": list(filters.environments),
        "cost_centers": list(filters.cost_centers),
        "operations": list(filters.operations),
        "service_tiers": list(filters.service_tiers),
        "keys": list(filters.keys),
        "statuses": list(filters.statuses),
        "pricing_statuses": list(filters.pricing_statuses),
        "kinds": list(filters.kinds),
        "event_ids": list(filters.event_ids),
        "response_ids": list(filters.response_ids),
        "trace_ids": list(filters.trace_ids),
        "session_ids": list(filters.session_ids),
        "billing_periods": list(filters.billing_periods),
        "billed_from": _find_first_booking(filters.billing_periods),
        "rate_versions": [version or 0 for version in filters.rate_versions],
        "context_tiers": list(filters.context_tiers),
        "cache_hits": list(filters.cache_hits),
        "usages": list(filters.usages),
    }


def _find_first_booking(billing_periods: Sequence[date]) -> datetime | None:
    """When the first entry of the periods may have been booked: ten minutes early, by a clock that is behind."""
    if not billing_periods:
        return None
    return datetime.combine(min(billing_periods), time(), UTC) - timedelta(minutes=10)


def _name_matches(matches: Mapping[str, Sequence[str]], *, tenant_id: int, using: str) -> dict[str, list[str]]:
    values = {}
    for name, texts in matches.items():
        subject, operator = split_match(name)
        wanted = find_user_refs(tenant_id=tenant_id, users=texts, using=using) if subject == "user" else texts
        values[f"match_{name}"] = make_values(operator, wanted)
    return values


GET_NEWEST_SQL = """
    SELECT recorded_at FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s
    ORDER BY batch_id DESC, line DESC LIMIT 1"""


def _are_days_past(cursor: Any, tenant_id: int, filters: EntryFilters) -> bool:
    """Whether reading all of the period takes less than reading the ledger from its newest end down to it."""
    if filters.start is None or filters.end is None or filters.end - filters.start > FEW_DAYS:
        return False
    cursor.execute(GET_NEWEST_SQL, {"tenant_id": tenant_id})
    newest = cursor.fetchone()
    return newest is not None and newest[0] - filters.end > filters.end - filters.start
