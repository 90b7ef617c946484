"""What clients were told, held against what the ledger holds: by SQL of its own, without a line of the product.

`find_violations` is the judge of the chaos test; `test_history.py` shows that each kind of fault is seen.
"""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple

import psycopg

SHOWN_MAX = 5  # of one kind of violation


class Facts(NamedTuple):
    """What an event is billed by; all that two variants of one event may differ in."""

    input_tokens: int  # without what was read from the cache
    cache_read_tokens: int
    output_tokens: int
    billed_cost: Decimal


class Identity(NamedTuple):
    """What makes two reports one event: the provider's response id, or else the source and its own id."""

    tenant_id: int
    source: str
    event_id: str
    response_id: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One item of an answer."""

    identity: Identity
    facts: Facts
    status: str
    entry_id: str


@dataclass(slots=True)
class History:
    """All that was sent, and all that was answered with 200 or 207."""

    sent: dict[Identity, set[Facts]] = field(default_factory=lambda: defaultdict(set))
    verdicts: list[Verdict] = field(default_factory=list)
    receipts: dict[str, str] = field(default_factory=dict)  # by batch id
    answered: Counter[tuple[int, str]] = field(default_factory=Counter)  # items by tenant and status


def identify(*, tenant_id: int, source: str, event_id: str, response_id: str) -> Identity:
    return Identity(tenant_id, "", "", response_id) if response_id else Identity(tenant_id, source, event_id)


def find_violations(history: History, connection: psycopg.Connection) -> list[str]:
    """Every promise that the database does not keep; none, when all is well. Call it when the outbox is empty.

    connection: one that sees every tenant.
    """
    entries = _read_entries(connection)
    return [
        *_find_doubles(entries),
        *_find_strangers(history, entries),
        *_find_broken_verdicts(history, entries),
        *_find_broken_batches(history, connection),
        *_find_miscounted(history, connection),
        *_find_rows(connection, "event key", EVENT_KEY_DIFFERENCES_SQL),
        *_find_rows(connection, "batch that waits for its rollup", WAITING_SQL),
        *(
            violation
            for name, statement in ROLLUP_DIFFERENCES_SQL.items()
            for violation in _find_rows(connection, f"{name} differs from the ledger", statement)
        ),
    ]


# --- entries and verdicts ---

READ_ENTRIES_SQL = """
    SELECT batch_id::text || '.' || line, tenant_id, event_source, event_id, response_id,
           input_tokens, cache_read_tokens, output_tokens, billed_cost
    FROM ledger_entry WHERE kind = 'usage'"""


def _read_entries(connection: psycopg.Connection) -> list[tuple[str, Identity, Facts]]:
    return [
        (
            entry_id,
            identify(tenant_id=tenant_id, source=source, event_id=event_id, response_id=response_id),
            Facts(*facts),
        )
        for entry_id, tenant_id, source, event_id, response_id, *facts in connection.execute(READ_ENTRIES_SQL)
    ]


def _find_doubles(entries: Sequence[tuple[str, Identity, Facts]]) -> list[str]:
    places = defaultdict(list)
    for entry_id, identity, _ in entries:
        places[identity].append(entry_id)
    return _show(f"booked {len(ids)} times: {identity}" for identity, ids in places.items() if len(ids) > 1)


def _find_strangers(history: History, entries: Sequence[tuple[str, Identity, Facts]]) -> list[str]:
    return _show(
        f"booked, but never sent: {identity} {facts}"
        for _, identity, facts in entries
        if facts not in history.sent.get(identity, ())
    )


def _find_broken_verdicts(history: History, entries: Sequence[tuple[str, Identity, Facts]]) -> list[str]:
    """Accepted and duplicate say that this very event stands there, conflict that another variant of it does."""
    held = {entry_id: (identity, facts) for entry_id, identity, facts in entries}
    holds = {
        "accepted": lambda verdict: held.get(verdict.entry_id) == (verdict.identity, verdict.facts),
        "duplicate": lambda verdict: held.get(verdict.entry_id) == (verdict.identity, verdict.facts),
        "conflict": lambda verdict: (
            held.get(verdict.entry_id, (None,))[0] == verdict.identity and held[verdict.entry_id][1] != verdict.facts
        ),
        "invalid": lambda verdict: verdict.identity not in {identity for identity, _ in held.values()},
    }
    return _show(
        f"answered as {verdict.status}, but not so in the ledger: {verdict}"
        for verdict in history.verdicts
        if not holds[verdict.status](verdict)
    )


# --- batches ---

READ_BATCHES_SQL = """
    SELECT batch.batch_id::text, batch.entry_count, batch.billed_cost, batch.unpriced_count, batch.root, batch.receipt,
           coalesce(entry.count, 0), coalesce(entry.billed_cost, 0), coalesce(entry.unpriced, 0), entry.leaves
    FROM ledger_batch AS batch FULL JOIN (
        SELECT tenant_id, batch_id, count(*), sum(billed_cost) AS billed_cost,
               count(*) FILTER (WHERE billed_cost IS NULL) AS unpriced, array_agg(leaf ORDER BY line) AS leaves
        FROM ledger_entry GROUP BY tenant_id, batch_id) AS entry USING (tenant_id, batch_id)"""


def _find_broken_batches(history: History, connection: psycopg.Connection) -> list[str]:
    violations = []
    receipts = {}
    for batch_id, count, cost, unpriced, root, receipt, *found in connection.execute(READ_BATCHES_SQL):
        *sums, leaves = found
        if batch_id is None:
            violations.append(f"{sums[0]} entries without a batch")
            continue
        receipts[batch_id] = receipt
        if [count, cost, unpriced] != sums:
            violations.append(f"batch {batch_id} says {count, cost, unpriced}, its entries {sums}")
        if not leaves or hash_tree(leaves) != root:
            violations.append(f"batch {batch_id}: the root is not that of its leaves")
        signed = json.loads(_decode(receipt.split(".")[1]))
        if (signed["root"], signed["entry_count"], signed["batch_id"]) != (root.hex(), str(count), batch_id):
            violations.append(f"batch {batch_id}: the receipt speaks of another batch")
    for batch_id, receipt in history.receipts.items():
        if receipts.get(batch_id) != receipt:
            violations.append(f"batch {batch_id}: the client's receipt is not the ledger's")
    return _show(violations)


def hash_tree(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there: split at the largest power of two."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + hash_tree(leaves[:half]) + hash_tree(leaves[half:])).digest()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- counts ---

COUNT_INTAKE_SQL = """
    SELECT tenant_id, sum(received)::bigint, sum(booked)::bigint, sum(duplicates)::bigint, sum(conflicts)::bigint,
           sum(rejected)::bigint
    FROM (SELECT tenant_id, received, booked, duplicates, conflicts, rejected FROM intake_tally
          UNION ALL SELECT tenant_id, received, booked, duplicates, conflicts, rejected FROM intake_hour) AS intake
    GROUP BY tenant_id"""
COUNT_KEPT_SQL = """
    SELECT id, (SELECT count(*) FROM ledger_entry WHERE tenant_id = tenant.id AND kind = 'usage'),
           (SELECT count(*) FROM rejected_event WHERE tenant_id = tenant.id)
    FROM tenant"""


def _find_miscounted(history: History, connection: psycopg.Connection) -> list[str]:
    """received = booked + duplicates + conflicts + rejected: in the counts, in the tables, and at least as answered."""
    violations = []
    intake = {tenant_id: counts for tenant_id, *counts in connection.execute(COUNT_INTAKE_SQL)}
    kept = {tenant_id: counts for tenant_id, *counts in connection.execute(COUNT_KEPT_SQL)}
    for tenant_id, (entries, refused) in kept.items():
        received, booked, duplicates, conflicts, rejected = intake.get(tenant_id, [0] * 5)
        if received != booked + duplicates + conflicts + rejected:
            violations.append(f"tenant {tenant_id}: received {received} is not the sum of its parts")
        if (booked, rejected) != (entries, refused):
            violations.append(f"tenant {tenant_id}: counted {booked, rejected}, kept {entries, refused}")
        answered = [history.answered[tenant_id, status] for status in ("accepted", "duplicate", "conflict", "invalid")]
        if any(
            told > counted for told, counted in zip(answered, (booked, duplicates, conflicts, rejected), strict=True)
        ):
            violations.append(f"tenant {tenant_id}: answered {answered}, counted {intake.get(tenant_id)}")
    return _show(violations)


# --- keys, outbox, rollups ---

EVENT_KEY_DIFFERENCES_SQL = """
    SELECT tenant_id, batch_id, line, recorded_at, event_key.key, entry.event_id
    FROM event_key FULL JOIN (SELECT tenant_id, batch_id, line, recorded_at, event_id FROM ledger_entry) AS entry
         USING (tenant_id, batch_id, line, recorded_at)
    WHERE event_key.key IS NULL OR entry.event_id IS NULL"""

WAITING_SQL = "SELECT tenant_id, batch_id, tries, last_error FROM outbox WHERE topic = 'rollup'"

_CALLS = "(SELECT * FROM ledger_entry WHERE kind <> 'admin_act') AS entry"  # who changed what is no call
_DIMENSIONS = """billing_period, environment, feature, cost_center, provider, model, operation, service_tier,
           api_key_id"""
_SUMS = """sum(calls) AS calls, count(*) FILTER (WHERE status = 'error') AS error_calls,
           sum(input_tokens) AS input_tokens, sum(cache_read_tokens) AS cache_read_tokens,
           sum(output_tokens) AS output_tokens, coalesce(sum(billed_cost), 0) AS billed_cost,
           coalesce(sum(saved_cost), 0) AS saved_cost"""
_VALUES = ("calls", "error_calls", "input_tokens", "cache_read_tokens", "output_tokens", "billed_cost", "saved_cost")


def _differ(table: str, keys: str, ledger: str, values: Sequence[str] = _VALUES) -> str:
    """Groups in which the sums over the ledger and the rows of a rollup differ."""
    summed, stored = (", ".join(f"{side}.{value}" for value in values) for side in ("ledger", "rollup"))
    return f"""
    SELECT {keys}, ({summed}) AS ledger, ({stored}) AS rollup
    FROM ({ledger}) AS ledger FULL JOIN {table} AS rollup USING ({keys})
    WHERE ({summed}) IS DISTINCT FROM ({stored})"""


ROLLUP_DIFFERENCES_SQL = {
    "cost_hour": _differ(
        "cost_hour",
        f"tenant_id, hour, {_DIMENSIONS}",
        f"""SELECT tenant_id, date_trunc('hour', charge_period_start, 'UTC') AS hour, {_DIMENSIONS}, {_SUMS}
            FROM {_CALLS} GROUP BY tenant_id, hour, {_DIMENSIONS}""",
    ),
    "cost_day": _differ(
        "cost_day",
        f"tenant_id, day, {_DIMENSIONS}",
        f"""SELECT tenant_id, (charge_period_start AT TIME ZONE timezone)::date AS day, {_DIMENSIONS}, {_SUMS}
            FROM {_CALLS} JOIN tenant ON tenant.id = tenant_id GROUP BY tenant_id, day, {_DIMENSIONS}""",
    ),
    "cost_slice": _differ(
        "(SELECT * FROM cost_slice WHERE slice = 'total' AND span = 'week')",
        "tenant_id, day, environment",
        f"""SELECT tenant_id, date_trunc('week', charge_period_start AT TIME ZONE timezone)::date AS day, environment,
                   {_SUMS}
            FROM {_CALLS} JOIN tenant ON tenant.id = tenant_id GROUP BY tenant_id, day, environment""",
    ),
    "cost_user_hour": _differ(
        "cost_user_hour",
        "tenant_id, hour, environment, feature, model, user_ref",
        f"""SELECT tenant_id, date_trunc('hour', charge_period_start, 'UTC') AS hour, environment, feature, model,
                   user_ref, {_SUMS}
            FROM {_CALLS} GROUP BY tenant_id, hour, environment, feature, model, user_ref""",
    ),
    "calls_minute": _differ(
        "calls_minute",
        "tenant_id, minute, feature",
        f"""SELECT tenant_id, date_trunc('minute', charge_period_start, 'UTC') AS minute, feature, sum(calls) AS calls,
                  coalesce(sum(billed_cost), 0) AS billed_cost
           FROM {_CALLS} GROUP BY tenant_id, minute, feature""",
        ("calls", "billed_cost"),
    ),
    "histogram": _differ(
        """(SELECT tenant_id, day, environment, feature, model,
                   (SELECT sum(count) FROM unnest(calls) AS count) AS calls
            FROM histogram WHERE measure = 'billed_cost')""",
        "tenant_id, day, environment, feature, model",
        f"""SELECT tenant_id, (charge_period_start AT TIME ZONE timezone)::date AS day, environment, feature, model,
                  sum(calls) AS calls
           FROM {_CALLS} JOIN tenant ON tenant.id = tenant_id
           WHERE billed_cost IS NOT NULL GROUP BY tenant_id, day, environment, feature, model""",
        ("calls",),
    ),
    "histogram_slice": _differ(
        """(SELECT tenant_id, day AS week, environment, (SELECT sum(count) FROM unnest(calls) AS count) AS calls
            FROM histogram_slice WHERE slice = 'total' AND span = 'week')""",
        "tenant_id, week, environment",
        f"""SELECT tenant_id, date_trunc('week', charge_period_start AT TIME ZONE timezone)::date AS week, environment,
                  sum(calls) AS calls
           FROM {_CALLS} JOIN tenant ON tenant.id = tenant_id
           WHERE billed_cost IS NOT NULL GROUP BY tenant_id, week, environment""",
        ("calls",),
    ),
    "trace_cost": _differ(
        "trace_cost",
        "tenant_id, trace_id, environment",
        f"""SELECT tenant_id, trace_id, environment, sum(calls) AS calls, coalesce(sum(billed_cost), 0) AS billed_cost
            FROM {_CALLS} WHERE trace_id <> '' GROUP BY tenant_id, trace_id, environment""",
        ("calls", "billed_cost"),
    ),
    "trace_day": _differ(
        "(SELECT * FROM trace_day WHERE traces <> 0)",
        "tenant_id, environment, day",
        f"""SELECT tenant_id, environment, (first_at AT TIME ZONE 'UTC')::date AS day, count(*) AS traces,
                  sum(calls) AS calls, sum(billed_cost) AS billed_cost
            FROM (SELECT tenant_id, environment, min(charge_period_start) AS first_at, sum(calls) AS calls,
                         coalesce(sum(billed_cost), 0) AS billed_cost
                  FROM {_CALLS} WHERE trace_id <> '' GROUP BY tenant_id, trace_id, environment) AS trace
            GROUP BY tenant_id, environment, day""",
        ("traces", "calls", "billed_cost"),
    ),
}


def _find_rows(connection: psycopg.Connection, what: str, statement: str) -> list[str]:
    return _show(f"{what}: {row}" for row in connection.execute(statement))


def _show(violations: Iterable[str]) -> list[str]:
    """The first few, and how many more there are."""
    found = list(violations)
    more = [f"… and {len(found) - SHOWN_MAX} more like the last"] if len(found) > SHOWN_MAX else []
    return found[:SHOWN_MAX] + more
