"""Summaries that waited: booked, or found to repeat a call, once their trace has been quiet for a while."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from billing.core.spans import BOOKED, settle_spans
from billing.core.usage import UsageEvent
from billing.ingestion import ingest_events
from billing.spans import kept
from ledger.partitions import ensure_partition
from tenants.scope import tenant_scope

QUIET_SECONDS = 120
TRACES_PER_RUN_MAX = 2_000
TRACES_PER_COMMIT = 200

_decode_event = msgspec.json.Decoder(UsageEvent).decode


def settle_traces(*, now: datetime) -> int:
    """Decide on what waits in traces that were quiet for QUIET_SECONDS; how many events were booked.

    Any number of workers may run it at once: a trace is settled under its lock, and is none's twice.
    """
    quiet_since = now - timedelta(seconds=QUIET_SECONDS)
    ensure_partition(now)  # has a transaction of its own, which the booking's may not hold
    due = kept.list_quiet_traces(quiet_since=quiet_since, traces_max=TRACES_PER_RUN_MAX)
    booked = 0
    for tenant_id, trace_ids in sorted(due.items()):
        for start in range(0, len(trace_ids), TRACES_PER_COMMIT):
            some = trace_ids[start : start + TRACES_PER_COMMIT]
            booked += _settle_some(tenant_id, some, quiet_since=quiet_since, now=now)
    return booked


def _settle_some(tenant_id: int, trace_ids: Sequence[str], *, quiet_since: datetime, now: datetime) -> int:
    with tenant_scope(tenant_id):
        claimed = kept.claim_quiet_traces(tenant_id=tenant_id, trace_ids=trace_ids, quiet_since=quiet_since)
        if not claimed:
            return 0
        nodes = kept.load_nodes(tenant_id=tenant_id, trace_ids=claimed)
        states = {
            (trace_id, span_id): state
            for trace_id in claimed
            for span_id, state in settle_spans(nodes.get(trace_id, {})).items()
        }
        entry_ids, booked = _book(tenant_id, claimed, states, now)
        kept.settle_spans(
            tenant_id=tenant_id,
            settled=[(*key, state, entry_ids.get(key, "")) for key, state in states.items()],
        )
        kept.note_waiting(tenant_id=tenant_id, trace_ids=claimed)
    return booked


def _book(
    tenant_id: int, trace_ids: Sequence[str], states: dict[tuple[str, str], str], now: datetime
) -> tuple[dict[tuple[str, str], str], int]:
    """Book the events of the spans that are to be booked, each in the name of the key that sent it."""
    by_key_id = defaultdict(list)
    for place, (key_id, event) in kept.load_waiting_events(tenant_id=tenant_id, trace_ids=trace_ids).items():
        if states.get(place) == BOOKED:
            by_key_id[key_id].append((place, _decode_event(event)))
    entry_ids: dict[tuple[str, str], str] = {}
    booked = 0
    for key_id, waiting in by_key_id.items():
        receipt = ingest_events(
            tenant_id=tenant_id,
            api_key_id=key_id,
            events=[(index, event) for index, (_, event) in enumerate(waiting)],
            now=now,
        )
        booked += receipt.accepted
        entry_ids |= {waiting[item.index][0]: item.entry_id for item in receipt.results}
    return entry_ids, booked
