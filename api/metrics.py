"""What Prometheus scrapes: read from the database, so that every web process says the same and no restart loses any."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import redis
from django.conf import settings
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from api.buckets import UNCHECKED, get_buckets
from api.health import connect_redis
from billing.selectors import TenantCosts, TenantIntake, sum_costs_by_tenant, sum_intake_by_tenant
from ledger.sealing.alarms import list_alarms
from ledger.sealing.proofs import count_sealed_batches
from ledger.selectors import WaitingWork, measure_outbox
from ledger.topics import SEAL

KEPT_SECONDS = 15
COST_LABELS = ("feature", "model", "environment")
QUEUE = "celery"
OUTCOMES = {"booked": "booked", "duplicate": "duplicates", "conflict": "conflicts", "rejected": "rejected"}


@dataclass(slots=True)
class _Kept:
    """The text of the last scrape, and when by the monotonic clock it was made."""

    text: bytes = b""
    made_at: float = float("-inf")


_kept = _Kept()
_lock = Lock()


def get_metrics(*, now: datetime) -> bytes:
    """The metrics in Prometheus's text format, at most KEPT_SECONDS old."""
    with _lock:
        if time.monotonic() - _kept.made_at > KEPT_SECONDS:
            _kept.text = generate_latest(_Snapshot(now))
            _kept.made_at = time.monotonic()
        return _kept.text


def forget_metrics() -> None:
    """Make the next scrape read the database."""
    _kept.made_at = float("-inf")


class _Snapshot:
    """What prometheus_client asks of a registry."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("tokenledger", "This installation.", {"version": settings.VERSION})
        yield from count_intake(sum_intake_by_tenant())
        work = measure_outbox()
        yield from measure_work(work, now=self.now)
        yield from measure_seals(work, now=self.now)
        yield from measure_queue()
        yield from count_limits()
        yield from sum_costs(sum_costs_by_tenant(group_by=COST_LABELS))


def count_intake(intake: Sequence[TenantIntake]) -> Iterator[Metric]:
    """Events that arrived, by what became of them."""
    events = CounterMetricFamily(
        "tokenledger_events", "Events received, by tenant and outcome.", labels=["tenant", "outcome"]
    )
    for row in intake:
        for outcome, field in OUTCOMES.items():
            events.add_metric([row.slug, outcome], getattr(row, field))
    yield events


def measure_work(work: Sequence[WaitingWork], *, now: datetime) -> Iterator[Metric]:
    """What waits in the outbox; a topic without work is not listed, but that of the rollups always is."""
    topics = {row.topic: row for row in work}
    batches = GaugeMetricFamily("tokenledger_outbox_batches", "Batches that wait, by topic.", labels=["topic"])
    entries = GaugeMetricFamily("tokenledger_outbox_entries", "Entries that wait, by topic.", labels=["topic"])
    age = GaugeMetricFamily(
        "tokenledger_outbox_oldest_age_seconds", "For how long the oldest batch waits, by topic.", labels=["topic"]
    )
    for topic in sorted({"rollup", *topics}):
        row = topics.get(topic)
        batches.add_metric([topic], row.batches if row else 0)
        entries.add_metric([topic], row.entries if row else 0)
        age.add_metric([topic], max(0.0, (now - row.oldest_at).total_seconds()) if row else 0)
    yield from (batches, entries, age)


def measure_seals(work: Sequence[WaitingWork], *, now: datetime) -> Iterator[Metric]:
    """How far the sealer is behind what was booked, what it has sealed, and what it refuses."""
    oldest = next((row.oldest_at for row in work if row.topic == SEAL), now)
    lag = GaugeMetricFamily("tokenledger_seal_lag_seconds", "For how long the oldest batch waits for its seal.")
    sealed = CounterMetricFamily("tokenledger_sealed_batches", "Batches under a signed checkpoint, of all tenants.")
    refusals = GaugeMetricFamily("tokenledger_seal_refusals", "What the sealer refuses and nobody has put right yet.")
    lag.add_metric([], max(0.0, (now - oldest).total_seconds()))
    sealed.add_metric([], count_sealed_batches())
    refusals.add_metric([], len(list_alarms()))
    yield from (lag, sealed, refusals)


def measure_queue() -> Iterator[Metric]:
    """Doorbells that no worker has heard yet; left out while Redis is away, because then nobody knows."""
    reachable = GaugeMetricFamily("tokenledger_redis_up", "Whether Redis answers.")
    length = GaugeMetricFamily("tokenledger_queue_length", "Messages that wait in Celery's queue.")
    try:
        length.add_metric([], connect_redis().llen(QUEUE))
        reachable.add_metric([], 1)
    except (redis.RedisError, OSError):
        reachable.add_metric([], 0)
    yield from (reachable, length)


def count_limits() -> Iterator[Metric]:
    """What limits refused, and what nobody checked; left out while Redis is away, where it is counted."""
    refused = CounterMetricFamily(
        "tokenledger_limits_refused", "Requests answered 429, by whose limit.", labels=["tenant", "of", "resource"]
    )
    unchecked = CounterMetricFamily(
        "tokenledger_limits_unchecked", "Times that Redis was away and limits did not hold."
    )
    try:
        tally = dict(get_buckets().read_tally())
    except (redis.RedisError, OSError):
        return
    unchecked.add_metric([], tally.pop(UNCHECKED, 0))
    for label, count in sorted(tally.items()):
        refused.add_metric(label.split(" "), count)
    yield from (refused, unchecked)


def sum_costs(costs: Sequence[TenantCosts]) -> Iterator[Metric]:
    """Cost and savings since the beginning. A correction can lower them: to Prometheus a counter that began again."""
    labels = ["tenant", *COST_LABELS]
    billed = CounterMetricFamily("gen_ai_cost_usd", "Billed cost in USD of priced events.", labels=labels)
    saved = CounterMetricFamily("gen_ai_cost_saved_usd", "USD that caches saved, at the full rate.", labels=labels)
    unpriced = GaugeMetricFamily("tokenledger_unpriced_events", "Events whose cost is not known.", labels=labels)
    for row in costs:
        values = [row.slug, *row.group]
        billed.add_metric(values, float(row.quantities.billed_cost))
        saved.add_metric(values, float(row.quantities.saved_cost))
        if row.quantities.unpriced_calls:
            unpriced.add_metric(values, row.quantities.unpriced_calls)
    yield from (billed, saved, unpriced)
