"""Where other apps read what was booked: entries page by page, one entry, its batch and its corrections."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import sql

from ledger.core.merkle import is_included, make_inclusion_path
from ledger.matches import make_values, split_match, write_condition
from tenants.scope import reading_scope

ENTRIES_PER_PAGE_MAX = 1_000
LINE_MAX = 2**31 - 1
FEW_DAYS = timedelta(days=8)
ENTRY_ID_PATTERN = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.(0|[1-9][0-9]{0,9})")

ENTRY_COLUMNS = (
    "tenant_id", "batch_id", "line", "kind", "corrects", "event_source", "event_id", "response_id", "api_key_id",
    "charge_period_start", "recorded_at", "billing_period",
    "environment", "feature", "user_ref", "cost_center", "customer_tier", "session_id", "trace_id", "span_id",
    "parent_span_id", "tags",
    "operation", "provider", "model", "requested_model", "service_tier", "region", "status", "finish_reason",
    "latency_ms", "cache_hit", "prompt_hash", "content_digest",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "other_usage", "calls",
    "pricing_status", "pricing_reason", "currency", "input_cost", "cache_read_cost", "cache_write_cost",
    "output_cost", "other_cost", "billed_cost", "list_cost", "saved_cost", "reported_cost", "rate_version_id",
    "context_tier", "leaf",
)  # fmt: skip
_COLUMNS_SQL = sql.SQL(", ").join(map(sql.Identifier, ENTRY_COLUMNS))


class EntryIdInvalid(ValueError):
    """Not of the form `<batch_id>.<line>`."""


@dataclass(frozen=True, slots=True)
class EntryCursor:
    """A place in the ledger's order, newest first: what comes after it is older."""

    batch_id: UUID
    line: int

    @classmethod
    def read(cls, text: str) -> "EntryCursor":
        """The place of an entry's public id. Raises EntryIdInvalid."""
        match = ENTRY_ID_PATTERN.fullmatch(text)
        if not match or int(match[2]) > LINE_MAX:
            raise EntryIdInvalid("an entry's id is written <batch_id>.<line>")
        return cls(UUID(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.batch_id}.{self.line}"


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
        columns=_COLUMNS_SQL, matches=_MATCHES.format(more=sql.SQL(" AND ").join(conditions), used=_USED_TOKENS)
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
                "tenant_id": tenant_id,
                "start": filters.start,
                "end": filters.end,
                "before_batch_id": before.batch_id if before else None,
                "before_line": before.line if before else None,
                "batch_id": filters.batch_id,
                "features": list(filters.features),
                "models": list(filters.models),
                "providers": list(filters.providers),
                "environments": list(filters.environments),
                "cost_centers": list(filters.cost_centers),
                "operations": list(filters.operations),
                "service_tiers": list(filters.service_tiers),
                "user_refs": user_refs,
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
                "limit": limit + 1,  # one more tells whether there is a next page
                **_name_matches(filters.matches, tenant_id=tenant_id, using=using),
            },
        )
        rows = [_read_entry(row) for row in cursor.fetchall()]
    return EntryPage(rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)


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


def _read_entry(row: Sequence[Any]) -> dict[str, Any]:
    entry = dict(zip(ENTRY_COLUMNS, row, strict=True))
    entry["leaf"] = bytes(entry["leaf"]).hex()
    entry["tags"] = json.loads(entry["tags"])
    entry["other_usage"] = json.loads(entry["other_usage"], parse_float=Decimal)
    return {"id": f"{entry['batch_id']}.{entry['line']}", **entry}


GET_ENTRY_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s AND line = %(line)s""").format(columns=_COLUMNS_SQL)


def get_entry(*, tenant_id: int, entry_id: str, using: str = "default") -> dict[str, Any] | None:
    """The tenant's entry of this public id, as in `EntryPage`; None for every other id, another tenant's included."""
    try:
        place = EntryCursor.read(entry_id)
    except EntryIdInvalid:
        return None
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_ENTRY_SQL, {"tenant_id": tenant_id, "batch_id": place.batch_id, "line": place.line})
        row = cursor.fetchone()
    return _read_entry(row) if row else None


GET_ENTRIES_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s
      AND (batch_id, line) IN (SELECT * FROM unnest(%(batch_ids)s::uuid[], %(lines)s::int[]))""").format(
    columns=_COLUMNS_SQL
)


def get_entries(*, tenant_id: int, entry_ids: Iterable[str], using: str = "default") -> dict[str, dict[str, Any]]:
    """The tenant's entries of these public ids, as in `EntryPage`, by id; what is none of its own is left out."""
    places = [EntryCursor.read(entry_id) for entry_id in set(entry_ids)]
    if not places:
        return {}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            GET_ENTRIES_SQL,
            {
                "tenant_id": tenant_id,
                "batch_ids": [place.batch_id for place in places],
                "lines": [place.line for place in places],
            },
        )
        return {entry["id"]: entry for entry in map(_read_entry, cursor.fetchall())}


TRACE_ENTRIES_MAX = 10_000
# `trace_id <> ''` is what its index asks for.
LIST_TRACE_ENTRIES_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND trace_id = %(trace_id)s AND trace_id <> ''
    ORDER BY charge_period_start, batch_id, line
    LIMIT %(entries_max)s""").format(columns=_COLUMNS_SQL)


def list_trace_entries(*, tenant_id: int, trace_id: str, using: str = "default") -> list[dict[str, Any]]:
    """The entries that name this trace, in the order of their use; at most TRACE_ENTRIES_MAX."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            LIST_TRACE_ENTRIES_SQL,
            {"tenant_id": tenant_id, "trace_id": trace_id, "entries_max": TRACE_ENTRIES_MAX},
        )
        return [_read_entry(row) for row in cursor.fetchall()]


LIST_CORRECTIONS_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND corrects = %(entry_id)s AND recorded_at >= %(recorded_at)s
    ORDER BY batch_id, line""").format(columns=_COLUMNS_SQL)


def list_corrections(*, tenant_id: int, entry: Mapping[str, Any], using: str = "default") -> list[dict[str, Any]]:
    """The entries that rate, reverse or restate this one, oldest first."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            LIST_CORRECTIONS_SQL,
            {"tenant_id": tenant_id, "entry_id": entry["id"], "recorded_at": entry["recorded_at"]},
        )
        return [_read_entry(row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Batch:
    """The header of one accepted request. billed_cost: of its priced entries."""

    batch_id: UUID
    recorded_at: datetime
    api_key_id: str
    kind: str
    entry_count: int
    unpriced_count: int
    billed_cost: Decimal
    root: str  # hexadecimal
    receipt: str


GET_BATCH_SQL = """
    SELECT batch_id, recorded_at, api_key_id, kind, entry_count, unpriced_count, billed_cost, root, receipt
    FROM ledger_batch
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s"""


def get_batch(*, tenant_id: int, batch_id: UUID, using: str = "default") -> Batch | None:
    """The tenant's batch of this id; None for every other id."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_BATCH_SQL, {"tenant_id": tenant_id, "batch_id": batch_id})
        row = cursor.fetchone()
    return _read_batch(row) if row else None


def _read_batch(row: Sequence[Any]) -> Batch:
    *header, root, receipt = row
    return Batch(*header, bytes(root).hex(), receipt)


@dataclass(frozen=True, slots=True)
class EntryProof:
    """That an entry is in the batch whose receipt was signed. Hashes are hexadecimal.

    path: the siblings from the leaf to the root, lowest first (RFC 9162, 2.1.3). is_included: whether the stored
    leaves give the stored root.
    """

    leaf: str
    leaf_index: int
    tree_size: int
    path: tuple[str, ...]
    root: str
    receipt: str
    is_included: bool


LIST_BATCH_LEAVES_SQL = """
    SELECT line, leaf
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s AND recorded_at = %(recorded_at)s
    ORDER BY line"""


def prove_entry(*, tenant_id: int, entry: Mapping[str, Any], using: str = "default") -> EntryProof:
    """The inclusion path of a stored entry, made from its batch's leaves as they are stored now."""
    place = {"tenant_id": tenant_id, "batch_id": entry["batch_id"], "recorded_at": entry["recorded_at"]}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_BATCH_SQL, place)
        batch = _read_batch(cursor.fetchone())
        cursor.execute(LIST_BATCH_LEAVES_SQL, place)
        leaf_of_line = {line: bytes(leaf) for line, leaf in cursor.fetchall()}
    leaves = list(leaf_of_line.values())
    index = list(leaf_of_line).index(entry["line"])
    path = make_inclusion_path(leaves, index)
    return EntryProof(
        leaf=entry["leaf"],
        leaf_index=index,
        tree_size=len(leaves),
        path=tuple(sibling.hex() for sibling in path),
        root=batch.root,
        receipt=batch.receipt,
        is_included=is_included(
            leaf=bytes.fromhex(entry["leaf"]),
            index=index,
            size=batch.entry_count,
            path=path,
            root=bytes.fromhex(batch.root),
        ),
    )


@dataclass(frozen=True, slots=True)
class WaitingWork:
    """What waits in the outbox under one topic."""

    topic: str
    batches: int
    entries: int
    oldest_at: datetime  # when the longest-waiting batch was booked


MEASURE_OUTBOX_SQL = """
    SELECT topic, count(*), sum(entry_count), min(recorded_at)
    FROM outbox
    GROUP BY topic
    ORDER BY topic"""


def measure_outbox(*, using: str = "default") -> list[WaitingWork]:
    """The work that waits, by topic, of all tenants: ids and counts, nothing that a tenant owns."""
    with connections[using].cursor() as cursor:
        cursor.execute(MEASURE_OUTBOX_SQL)
        return [WaitingWork(*row) for row in cursor.fetchall()]
