from datetime import UTC, datetime, timedelta

import django.db
import pytest
from django.db import connection

from api import health
from billing.job_runs import record_success
from billing.models import JobRun
from finops.schedule import TIMETABLE
from ledger.models import Outbox
from tests.api.conftest import Machine

ALL_OK = {
    "database": {"state": "ok", "detail": "answers"},
    "redis": {"state": "ok", "detail": "answers"},
    "migrations": {"state": "ok", "detail": "all applied"},
    "lag": {"state": "ok", "detail": "the oldest work waits for 0 s"},
    "jobs": {"state": "ok", "detail": f"each of {len(TIMETABLE)} came to its end in time"},
}


@pytest.fixture
def empty_outbox(db):
    """And each job has just come to its end."""
    Outbox.objects.all().delete()  # rolled back with the test
    for entry in TIMETABLE.values():
        record_success(task=entry["task"], now=datetime.now(UTC))


@pytest.fixture
def no_redis(monkeypatch, settings):
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    health.connect_redis.cache_clear()
    yield
    health.connect_redis.cache_clear()


def test_a_process_that_lives_says_so_without_asking_the_database(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = Machine().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_a_process_that_can_work_is_ready(empty_outbox):
    response = Machine().get("/readyz", **{"Host": "127.0.0.1"})
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": ALL_OK})


def test_without_redis_it_is_ready_and_says_degraded(empty_outbox, no_redis):
    response = Machine().get("/readyz", Host="127.0.0.1")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["redis"] == {
        "state": "degraded",
        "detail": "away (ConnectionError): booking goes on, jobs wait",
    }


def test_without_its_database_it_is_not_ready(db, monkeypatch):
    def fail(*args):
        raise django.db.OperationalError("connection refused by db-7.internal")

    monkeypatch.setattr(health, "check_database", fail)
    response = Machine().get("/readyz", Host="127.0.0.1")
    assert (response.status_code, response.json()["status"]) == (503, "failed")
    assert "db-7" not in response.content.decode()


def test_a_missing_migration_is_named(empty_outbox, monkeypatch):
    known = health.list_known_migrations() | {("ledger", "0099_later")}
    monkeypatch.setattr(health, "list_known_migrations", lambda: known)
    response = Machine().get("/readyz", Host="127.0.0.1")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"]["detail"] == "not applied: ledger.0099_later"


def test_work_that_waits_for_more_than_five_minutes_is_degraded(empty_outbox):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox (topic, tenant_id, batch_id, recorded_at, entry_count) VALUES ('rollup', 1, %s, %s, 1)",
            ["019a8f00-0000-7000-8000-000000000001", datetime.now(UTC) - timedelta(minutes=6)],
        )
    response = Machine().get("/readyz", Host="127.0.0.1")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["lag"]["detail"].startswith("the oldest work waits for 36")


def test_a_job_that_is_late_is_named_and_takes_no_traffic_away(empty_outbox):
    late = datetime.now(UTC) - timedelta(minutes=12, seconds=30)
    JobRun.objects.filter(job="task alerts.deliver").update(finished_at=late)
    response = Machine().get("/readyz", Host="127.0.0.1")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["jobs"] == {"state": "degraded", "detail": "late: tell alerts (12 min ago)"}


@pytest.mark.parametrize(
    "request_facts",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},  # a proxy on this machine
        {"HTTP_FORWARDED": "for=192.0.2.7"},
        {"HTTP_HOST": "ledger.example"},
        {"REMOTE_ADDR": ""},
    ],
)
def test_the_checks_are_not_told_to_strangers(empty_outbox, settings, request_facts):
    settings.ALLOWED_HOSTS = ["127.0.0.1", "ledger.example"]
    client = Machine().client
    response = client.get("/readyz", **({"HTTP_HOST": "127.0.0.1"} | request_facts))
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_the_checks_are_told_to_an_operators_key(empty_outbox, operator, machine):
    from_elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert "checks" in operator.client.get("/readyz", headers=operator.headers, **from_elsewhere).json()
    assert "checks" not in machine.client.get("/readyz", headers=machine.headers, **from_elsewhere).json()
