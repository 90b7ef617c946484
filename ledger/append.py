"""The only INSERT into the ledger."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from uuid import UUID

from django.db import connection
from psycopg import sql
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

from ledger.core.entries import RULE_TAG, NewBatch, NewEntry
from ledger.core.headers import write_header
from ledger.core.merkle import hash_leaf, hash_root
from ledger.core.records import COLUMNS, encode_place, encode_record, encode_records
from ledger.core.rows import encode_row, format_time, pico, write_place
from ledger.receipts import sign_receipt
from tenants.prepared import prepared_cursor

# What a fingerprint covers, in the words of the ledger's columns: what a conflict may differ in.
FINGERPRINTED = (
    "kind", "provider", "model", "operation", "service_tier", "region", "status", "cache_hit", "input_tokens",
    "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "reasoning_tokens",
    "other_usage", "reported_cost", "environment", "feature", "cost_center", "charge_period_start",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry that stands in the ledger already: booked before, or earlier in the same call."""

    line: int  # of the entry that was not booked
    batch_id: UUID  # of the one that was
    first_line: int
    differing: tuple[str, ...]  # columns; empty: the same event, a duplicate


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What became of one batch. No entry booked: no batch was made, `root` and `receipt` are None."""

    booked: tuple[int, ...]  # lines
    kept: tuple[Kept, ...]
    root: bytes | None
    receipt: str | None

    @property
    def duplicates(self) -> list[Kept]:
        return [kept for kept in self.kept if not kept.differing]

    @property
    def conflicts(self) -> list[Kept]:
        return [kept for kept in self.kept if kept.differing]


def append_batches(*, tenant_id: int, batches: Sequence[NewBatch], topics: Sequence[str]) -> list[AppendResult]:
    """Book each entry whose event is new, once; an outbox row per batch and topic. One result per batch, in order.

    Call it inside the tenant's scope: the transaction is the caller's, and nothing is booked until it commits.
    An event that stands in the ledger is a duplicate, or a conflict when its billable facts differ; both change
    nothing. Of two equal events in one call the first is booked.
    """
    claims = _claim_each_key_once(batches)
    booked_keys = _claim_event_keys(tenant_id, batches, claims)
    survivors: list[list[NewEntry]] = [[] for _ in batches]
    for index, entry in claims.values():
        if entry.key in booked_keys:
            survivors[index].append(entry)
    headers, records = [], []
    for batch, entries in zip(batches, survivors, strict=True):
        leaves = _encode_batch(tenant_id, batch, entries, records)
        headers.append(_make_header(tenant_id, batch, entries, leaves))
    _keep_batches(tenant_id, [header for header in headers if header], records, topics)
    kept = _explain_kept(tenant_id, batches, claims, booked_keys)
    return [
        AppendResult(
            tuple(entry.line for entry in entries),
            tuple(kept[index]),
            header["root"] if header else None,
            header["receipt"] if header else None,
        )
        for index, (entries, header) in enumerate(zip(survivors, headers, strict=True))
    ]


def _claim_each_key_once(batches: Sequence[NewBatch]) -> dict[bytes, tuple[int, NewEntry]]:
    """The first entry of each key, with its batch's index, in the order of the keys.

    Sorted, because two writers that claim the same keys in different orders deadlock.
    """
    claims: dict[bytes, tuple[int, NewEntry]] = {}
    for index, batch in enumerate(batches):
        for entry in batch.entries:
            claims.setdefault(entry.key, (index, entry))
    return {key: claims[key] for key in sorted(claims)}


# Waits for a rival that holds the same key and is not committed, so no window is left between look and claim.
CLAIM_EVENT_KEYS_SQL = """
    INSERT INTO event_key (tenant_id, key, fingerprint, batch_id, line, recorded_at)
    SELECT %(tenant_id)s::bigint, claim.key, claim.fingerprint, batch.batch_id, claim.line, batch.recorded_at
    FROM unnest(%(keys)s::uuid[], %(fingerprints)s::uuid[], %(lines)s::int[], %(batches)s::int[])
             AS claim (key, fingerprint, line, batch)
    JOIN unnest(%(batch_ids)s::uuid[], %(recorded_ats)s::timestamptz[]) WITH ORDINALITY
             AS batch (batch_id, recorded_at, number) ON batch.number = claim.batch
    ORDER BY claim.key
    ON CONFLICT DO NOTHING
    RETURNING key"""


def _claim_event_keys(
    tenant_id: int, batches: Sequence[NewBatch], claims: Mapping[bytes, tuple[int, NewEntry]]
) -> frozenset[bytes]:
    """The keys that were new and are ours now."""
    if not claims:
        return frozenset()
    with prepared_cursor() as cursor:
        cursor.execute(
            CLAIM_EVENT_KEYS_SQL,
            {
                "tenant_id": tenant_id,
                "keys": _array(key.hex() for key in claims),
                "fingerprints": _array(entry.fingerprint.hex() for _, entry in claims.values()),
                "lines": _array(str(entry.line) for _, entry in claims.values()),
                "batches": _array(str(index + 1) for index, _ in claims.values()),
                "batch_ids": _array(str(batch.batch_id) for batch in batches),
                "recorded_ats": _array(format_time(batch.recorded_at) for batch in batches),
            },
        )
        if cursor.rowcount == len(claims):
            return frozenset(claims)
        return frozenset(key.bytes for (key,) in cursor.fetchall())


def _array(items: Iterable[str]) -> str:
    """An array literal of items that need no quotes."""
    return "{" + ",".join(items) + "}"


def _encode_batch(tenant_id: int, batch: NewBatch, entries: list[NewEntry], records: list[bytes]) -> list[bytes]:
    """Add the surviving entries of a batch to `records`, in the order of their lines; their leaves."""
    entries.sort(key=lambda entry: entry.line)
    where = {
        "tenant_id": tenant_id,
        "batch_id": batch.batch_id,
        "recorded_at": batch.recorded_at,
        "api_key_id": batch.api_key_id,
    }
    row_place, record_place = write_place(**where), encode_place(**where)
    leaves = []
    for entry in entries:
        leaf = hash_leaf(encode_row(entry, place=row_place))
        leaves.append(leaf)
        records.append(encode_record(entry, place=record_place, leaf=leaf))
    return leaves


def _make_header(
    tenant_id: int, batch: NewBatch, entries: Sequence[NewEntry], leaves: Sequence[bytes]
) -> dict[str, object] | None:
    """The header of what was booked of a batch, with its root and receipt; None when nothing was."""
    if not entries:
        return None
    header = {
        "batch_id": batch.batch_id,
        "recorded_at": batch.recorded_at,
        "api_key_id": batch.api_key_id,
        "kind": batch.kind,
        "entry_count": len(entries),
        "unpriced_count": sum(entry.billed_cost is None for entry in entries),
        "billed_cost": sum(entry.billed_cost or 0 for entry in entries),
        "root": hash_root(leaves),
    }
    periods = _count_billing_periods(entries)
    signed = write_header(tenant_id=tenant_id, billing_periods=periods, **header)
    return header | {"receipt": sign_receipt(signed)}


_read_billing_period = attrgetter("billing_period")


def _count_billing_periods(entries: Sequence[NewEntry]) -> dict[str, int]:
    """How many entries are charged in each month, in the months' order."""
    periods = list(map(_read_billing_period, entries))
    first = periods[0]
    if periods.count(first) == len(periods):  # nearly always, and a tenth of what counting by month takes
        return {first.isoformat(): len(periods)}
    counts = Counter(periods)
    return {period.isoformat(): counts[period] for period in sorted(counts)}


# COPY refuses a table with row security; an array of rows is as quick, and needs no table on the way.
KEEP_BATCHES_SQL = (
    sql.SQL(
        """
    WITH entry AS (
        INSERT INTO ledger_entry ({columns}) SELECT {columns} FROM unnest(%(entries)s::ledger_entry[])),
    header AS (
        SELECT * FROM jsonb_to_recordset(%(headers)s::jsonb) AS header (
            batch_id uuid, recorded_at timestamptz, api_key_id text, kind text, entry_count int, unpriced_count int,
            billed_cost numeric, root text, receipt text)),
    work AS (
        INSERT INTO outbox (topic, tenant_id, batch_id, recorded_at, entry_count)
        SELECT topic, %(tenant_id)s::bigint, batch_id, recorded_at, entry_count
        FROM header CROSS JOIN unnest(%(topics)s::text[]) AS topic)
    INSERT INTO ledger_batch (tenant_id, batch_id, recorded_at, api_key_id, kind, entry_count, unpriced_count,
                              billed_cost, root, receipt)
    SELECT %(tenant_id)s::bigint, batch_id, recorded_at, api_key_id, kind, entry_count, unpriced_count,
           billed_cost * 0.000000000001, decode(root, 'hex'), receipt
    FROM header"""
    )
    .format(columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))
    .as_string()
)


def _keep_batches(
    tenant_id: int, headers: Sequence[Mapping[str, object]], records: Sequence[bytes], topics: Sequence[str]
) -> None:
    """Insert headers, entries and work, in one message to the server."""
    if not headers:
        return
    row_type = _find_row_type()
    with prepared_cursor() as cursor:
        cursor.execute(
            KEEP_BATCHES_SQL,
            {
                "tenant_id": tenant_id,
                "entries": Records(encode_records(records, row_type=row_type)),
                "headers": json.dumps([_write_header(header) for header in headers]),
                "topics": _array(topics),
            },
        )


def _write_header(header: Mapping[str, object]) -> dict[str, object]:
    """A header as JSON holds it."""
    as_text = {name: str(header[name]) for name in ("batch_id", "billed_cost")}
    return {**header, **as_text, "recorded_at": format_time(header["recorded_at"]), "root": header["root"].hex()}


class Records(bytes):
    """Rows of the ledger in PostgreSQL's own binary form."""


class _RecordsDumper(Dumper):
    """Sends rows as they are; the statement says their type."""

    format = Format.BINARY

    def dump(self, obj: Records) -> Buffer:
        return obj


FIND_ROW_TYPE_SQL = "SELECT 'ledger_entry'::regtype::oid"


def _find_row_type() -> int:
    """The number of the ledger's row type, which differs from one database to the next; asked once a connection.

    The connection learns to send records at the same time: Django's connections do not hear of what is registered with
    psycopg after the first of them was opened.
    """
    with prepared_cursor() as cursor:
        server = cursor.connection
        if not hasattr(server, "entry_row_type"):
            server.entry_row_type = cursor.execute(FIND_ROW_TYPE_SQL).fetchone()[0]
            server.adapters.register_dumper(Records, _RecordsDumper)
        return server.entry_row_type


FIND_EVENT_KEYS_SQL = """
    SELECT key, fingerprint, batch_id, line, recorded_at FROM event_key
    WHERE tenant_id = %(tenant_id)s AND key = ANY(%(keys)s::uuid[])"""


def _explain_kept(
    tenant_id: int,
    batches: Sequence[NewBatch],
    claims: Mapping[bytes, tuple[int, NewEntry]],
    booked_keys: frozenset[bytes],
) -> list[list[Kept]]:
    """For each batch its entries that were not booked, and where the entry is that was."""
    kept: list[list[Kept]] = [[] for _ in batches]
    if len(booked_keys) == sum(len(batch.entries) for batch in batches):
        return kept
    elsewhere = _find_event_keys(tenant_id, [key for key in claims if key not in booked_keys])
    stored = _find_conflicting_entries(tenant_id, batches, elsewhere)
    for index, batch in enumerate(batches):
        for entry in batch.entries:
            first_index, first = claims[entry.key]
            if entry.key not in booked_keys:
                fingerprint, batch_id, line, _ = elsewhere[entry.key]
                same = fingerprint == entry.fingerprint
                differing = () if same else _differing(entry, stored[batch_id, line])
            elif entry is not first:
                batch_id, line = batches[first_index].batch_id, first.line
                same = first.fingerprint == entry.fingerprint
                differing = () if same else _differing(entry, _facts(first))
            else:
                continue
            kept[index].append(Kept(entry.line, batch_id, line, differing))
    return kept


def _find_event_keys(tenant_id: int, keys: Sequence[bytes]) -> dict[bytes, tuple[bytes, UUID, int, object]]:
    with connection.cursor() as cursor:
        cursor.execute(FIND_EVENT_KEYS_SQL, {"tenant_id": tenant_id, "keys": _array(key.hex() for key in keys)})
        return {
            key.bytes: (fingerprint.bytes, batch_id, line, recorded_at)
            for key, fingerprint, batch_id, line, recorded_at in cursor.fetchall()
        }


FIND_ENTRIES_SQL = sql.SQL(
    """
    SELECT batch_id, line, tags ? {rule_tag}, {columns} FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s
      AND (batch_id, line, recorded_at) IN (
          SELECT * FROM unnest(%(batch_ids)s::uuid[], %(lines)s::int[], %(recorded_ats)s::timestamptz[]))"""
).format(rule_tag=RULE_TAG, columns=sql.SQL(", ").join(map(sql.Identifier, FINGERPRINTED)))


def _find_conflicting_entries(
    tenant_id: int, batches: Sequence[NewBatch], elsewhere: Mapping[bytes, tuple[bytes, UUID, int, object]]
) -> dict[tuple[UUID, int], dict[str, object]]:
    """The billable facts of each stored entry whose event came again with another fingerprint."""
    places = {
        elsewhere[entry.key][1:]
        for batch in batches
        for entry in batch.entries
        if entry.key in elsewhere and elsewhere[entry.key][0] != entry.fingerprint
    }
    if not places:
        return {}
    batch_ids, lines, recorded_ats = zip(*places, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            FIND_ENTRIES_SQL,
            {
                "tenant_id": tenant_id,
                "batch_ids": list(batch_ids),
                "lines": list(lines),
                "recorded_ats": list(recorded_ats),
            },
        )
        return {
            (batch_id, line): _read_facts(dict(zip(FINGERPRINTED, facts, strict=True)), is_mapped=is_mapped)
            for batch_id, line, is_mapped, *facts in cursor.fetchall()
        }


def _read_facts(stored: dict[str, object], *, is_mapped: bool) -> dict[str, object]:
    """Stored columns as an entry has them: money in pico-units, a jsonb's fractions exact."""
    other_usage = json.loads(stored["other_usage"], parse_float=Decimal)
    facts = stored | {"other_usage": other_usage, "reported_cost": pico(stored["reported_cost"])}
    return _take_as_sent(facts, is_mapped=is_mapped)


def _facts(entry: NewEntry) -> dict[str, object]:
    facts = {name: getattr(entry, name) for name in FINGERPRINTED}
    return _take_as_sent(facts, is_mapped=RULE_TAG in entry.tags)


def _take_as_sent(facts: dict[str, object], *, is_mapped: bool) -> dict[str, object]:
    """Without the cost centre that a rule gave: the event named none."""
    return facts | {"cost_center": ""} if is_mapped else facts


def _differing(entry: NewEntry, stored: Mapping[str, object]) -> tuple[str, ...]:
    """The columns in which an entry differs from the stored one; two reports of one response may read two clocks."""
    ours = _facts(entry)
    if entry.response_id:
        ours["charge_period_start"] = stored["charge_period_start"]
    return tuple(name for name in FINGERPRINTED if ours[name] != stored[name])
