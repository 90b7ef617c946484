from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api import health, metrics
from api.metrics import forget_metrics, get_metrics, measure_seals, measure_work
from billing.rollups import apply_batches
from ledger.selectors import WaitingWork
from tenants.tenants import create_tenant
from tests.api.conftest import Machine
from tests.factories import make_event, make_key, publish_test_rates

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FROM_ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture(autouse=True)
def fresh(committed_db):
    forget_metrics()
    yield
    forget_metrics()


@pytest.fixture
def acme():
    """The reader is another connection, so this world is committed."""
    import secrets

    return create_tenant(slug=f"acme-{secrets.token_hex(4)}", name="Acme")


def read_samples(text):
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def of_tenant(samples, tenant):
    return {
        (name, *(value for label, value in labels if label != "tenant")): value
        for (name, *labels), value in samples.items()
        if ("tenant", tenant.slug) in labels
    }


def test_cost_savings_and_intake_are_counted_by_tenant(acme):
    from billing.ingestion import ingest_events

    publish_test_rates()
    events = [
        make_event(feature="search", time=datetime.now(UTC)),
        make_event(feature='a "quoted"\\name', time=datetime.now(UTC)),
        make_event(feature="search", model="unheard-of", time=datetime.now(UTC)),
    ]
    for attempt in range(2):  # the second time they are duplicates
        ingest_events(tenant_id=acme.id, api_key_id="k", events=list(enumerate(events)), now=datetime.now(UTC))
        if attempt == 0:
            apply_batches(now=datetime.now(UTC))
    samples = of_tenant(read_samples(Machine().get("/metrics", Host="127.0.0.1").content.decode()), acme)
    gpt = "gpt-4o-2024-08-06"
    assert samples == {
        ("gen_ai_cost_usd_total", "production", "search", gpt): 0.00475,
        ("gen_ai_cost_usd_total", "production", 'a "quoted"\\name', gpt): 0.00475,
        ("gen_ai_cost_usd_total", "production", "search", "unheard-of"): 0.0,
        ("gen_ai_cost_saved_usd_total", "production", "search", gpt): 0.00125,
        ("gen_ai_cost_saved_usd_total", "production", 'a "quoted"\\name', gpt): 0.00125,
        ("gen_ai_cost_saved_usd_total", "production", "search", "unheard-of"): 0.0,
        ("tokenledger_unpriced_events", "production", "search", "unheard-of"): 1.0,
        ("tokenledger_events_total", "booked"): 3.0,
        ("tokenledger_events_total", "duplicate"): 3.0,
        ("tokenledger_events_total", "conflict"): 0.0,
        ("tokenledger_events_total", "rejected"): 0.0,
    }


def test_the_oldest_work_is_measured_and_no_work_is_zero():
    work = [WaitingWork("rollup", 2, 1500, NOW - timedelta(seconds=90)), WaitingWork("seal", 1, 1, NOW)]
    found = {
        (sample.name, sample.labels["topic"]): sample.value
        for family in measure_work(work, now=NOW)
        for sample in family.samples
    }
    assert found[("tokenledger_outbox_oldest_age_seconds", "rollup")] == 90
    assert found[("tokenledger_outbox_entries", "rollup")] == 1500
    assert found[("tokenledger_outbox_batches", "seal")] == 1
    (_, _, age) = measure_work([], now=NOW)
    assert [(sample.labels, sample.value) for sample in age.samples] == [({"topic": "rollup"}, 0)]


def test_the_sealers_lag_is_that_of_the_batch_that_waits_longest(committed_db):
    work = [
        WaitingWork("rollup", 2, 1500, NOW - timedelta(seconds=90)),
        WaitingWork("seal", 3, 9, NOW - timedelta(seconds=4)),
    ]
    values = {sample.name: sample.value for family in measure_seals(work, now=NOW) for sample in family.samples}
    assert values["tokenledger_seal_lag_seconds"] == 4
    assert set(values) == {
        "tokenledger_seal_lag_seconds", "tokenledger_sealed_batches_total", "tokenledger_seal_refusals",
    }  # fmt: skip
    (lag, *_) = measure_seals([], now=NOW)
    assert [sample.value for sample in lag.samples] == [0]


def test_a_scrape_is_kept_for_fifteen_seconds(monkeypatch):
    clock = iter([100.0, 100.0, 114.0, 116.0, 116.0])
    monkeypatch.setattr(metrics.time, "monotonic", lambda: next(clock))
    made = []
    monkeypatch.setattr(metrics, "generate_latest", lambda snapshot: made.append(snapshot) or b"text")
    metrics._kept.made_at = float("-inf")
    for _ in range(3):
        assert get_metrics(now=NOW) == b"text"
    assert len(made) == 2


def test_without_redis_the_queue_is_unknown_and_the_rest_is_told(monkeypatch, settings):
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    health.connect_redis.cache_clear()
    try:
        samples = read_samples(get_metrics(now=datetime.now(UTC)).decode())
    finally:
        health.connect_redis.cache_clear()
    assert samples[("tokenledger_redis_up",)] == 0
    assert ("tokenledger_queue_length",) not in samples


def test_from_elsewhere_only_an_operators_key_may_read(acme):
    from tenants.selectors import get_tenant

    operator, tenant = make_key(get_tenant("operator"), "read"), make_key(acme, "read")
    narrow = make_key(get_tenant("operator"), "ingest")
    refusals = ((None, 401, "key_missing"), (tenant, 403, "tenant_forbidden"), (narrow, 403, "scope_missing"))
    for token, status, code in refusals:
        response = Machine(token).client.get(
            "/metrics", headers={"Authorization": f"Bearer {token}"} if token else {}, **FROM_ELSEWHERE
        )
        assert (response.status_code, response.json()["code"]) == (status, code)
    response = Machine().client.get("/metrics", headers={"Authorization": f"Bearer {operator}"}, **FROM_ELSEWHERE)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
