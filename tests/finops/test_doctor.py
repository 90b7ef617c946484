"""The doctor: a line a check, and the cure of what is wrong."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from billing.job_runs import record_success
from billing.models import JobRun
from billing.rates import forget_rate_book
from finops import doctor
from finops.doctor import CHECKS, examine
from finops.environment import environment_file, write_environment
from finops.roles import derive_urls, ensure_roles
from finops.schedule import TIMETABLE
from ledger.models import Outbox
from tests.conftest import ROOT, URLS
from tests.factories import publish_test_rates


def examine_one(name, *, now=None):
    (finding,) = examine(now=now or timezone.now(), only=name)
    return finding


@pytest.fixture(scope="module")
def first_visit(administrator_url, django_db_setup, tmp_path_factory):
    """What the doctor says of a database that was set up and never used, and its exit code."""
    urls = derive_urls(administrator_url=administrator_url, known=URLS, database=f"first_visit_{os.getpid()}")
    home = str(tmp_path_factory.mktemp("home"))
    ensure_roles(administrator_url=administrator_url, urls=urls)
    try:
        for command in ("setup_database", "doctor"):
            done = subprocess.run(
                [sys.executable, str(ROOT / "manage.py"), command],
                env={**os.environ, **urls, "TOKENLEDGER_HOME": home},
                capture_output=True,
                text=True,
                timeout=60,
            )
        yield done
    finally:
        with psycopg.connect(administrator_url, autocommit=True) as administrator:
            administrator.execute(f'DROP DATABASE IF EXISTS "first_visit_{os.getpid()}" WITH (FORCE)')


def test_an_installation_without_worker_and_rates_lacks_those_alone(first_visit):
    lines = first_visit.stdout.splitlines()
    assert first_visit.returncode == 1, first_visit.stderr
    assert len(lines) == len(CHECKS)
    assert {line[7:21].rstrip() for line in lines if line.startswith("WRONG")} == {
        "worker", "beat", "jobs", "rates",
    }  # fmt: skip


def test_each_line_says_what_was_seen_and_the_cure(first_visit):
    lines = first_visit.stdout.splitlines()
    assert "ok     partitions    this month and the next two are there" in lines
    assert "WRONG  rates         0 in force  ->  run `manage.py import_rates genai-prices --approve`" in lines


def test_one_check_may_be_asked_alone(committed_db, capsys):
    call_command("doctor", only="append-only")
    assert capsys.readouterr().out == "ok     append-only   every trigger refuses, in replica mode too\n"


def test_a_heart_that_beat_a_minute_ago_beats_and_one_before_does_not(db):
    beat_at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    insert = "INSERT INTO job_run VALUES ('heartbeat', %(beat_at)s, %(beat_at)s, %(beat_at)s, '')"
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM job_run")  # rolled back with the test
        cursor.execute(insert, {"beat_at": beat_at})
    assert examine_one("beat", now=beat_at + timedelta(seconds=60)).is_well
    late = examine_one("beat", now=beat_at + timedelta(seconds=61))
    assert (late.detail, late.is_well) == ("its heart beat 61 s ago", False)


def test_a_job_that_stopped_is_named_with_the_cure(db):
    for entry in TIMETABLE.values():
        record_success(task=entry["task"], now=timezone.now())
    assert examine_one("jobs").detail == f"each of {len(TIMETABLE)} came to its end in time"
    JobRun.objects.filter(job="task alerts.evaluate_budgets").delete()
    never = examine_one("jobs", now=timezone.now() + timedelta(seconds=481))  # 3 times 60 s, and 300 s
    assert "look at every budget (never)" in never.detail
    assert never.cure == "see that worker and beat run, and the worker's log for the job that fails"


def test_a_sealer_that_stands_still_is_told_apart_from_a_worker_that_does(db, monkeypatch):
    monkeypatch.setattr(doctor, "list_alarms", list)
    now = timezone.now()
    Outbox.objects.all().delete()  # rolled back with the test
    for topic, minutes in (("rollup", 1), ("seal", 10)):
        booked_at = now - timedelta(minutes=minutes)
        Outbox.objects.create(
            topic=topic, tenant_id=1, batch_id=uuid4(), recorded_at=booked_at, not_before=booked_at, entry_count=1
        )
    outbox, seals = examine_one("outbox", now=now), examine_one("seals", now=now)
    assert (outbox.detail, outbox.cure) == ("the oldest work waits for 60 s", "")
    assert seals.detail == "the oldest batch waits for its seal for 600 s"
    assert seals.cure == "start the sealer: `make up`, or the service sealer"


def test_months_without_partition_are_named_with_the_cure(committed_db):
    finding = examine_one("partitions", now=datetime(2031, 1, 1, tzinfo=UTC))
    assert finding.detail == "none for 2031-01, 2031-02, 2031-03"
    assert finding.cure == "run `manage.py setup_database`"


def test_passwords_that_others_can_read_are_found(committed_db):
    write_environment({"SECRET_KEY": "one"})
    path = environment_file()
    assert examine_one("secrets").is_well
    path.chmod(0o644)
    finding = examine_one("secrets")
    path.unlink()
    assert finding.cure == f"chmod 600 {path}"


def test_a_redis_that_is_away_is_named_and_the_worker_cannot_be_asked(committed_db, monkeypatch):
    from api.health import DEGRADED, Check

    monkeypatch.setattr(doctor, "check_redis", lambda: Check(DEGRADED, "away"))
    assert examine_one("redis").cure.startswith("start the Redis of REDIS_URL (unix://")


def test_a_database_that_is_away_is_named_with_the_cure(committed_db, monkeypatch):
    from django.db.utils import OperationalError

    def refuse(*_, **__):
        raise OperationalError("connection refused\nmore")

    monkeypatch.setattr(doctor, "_query", refuse)
    finding = examine_one("row security")
    assert finding.detail == "the database is not reached (connection refused)"
    assert finding.cure == "start it with `make up`, or see DATABASE_URL"


def test_a_model_that_lacks_a_rate_is_told_apart_from_one_whose_rate_does_not_price_every_call(db, monkeypatch):
    publish_test_rates()
    monkeypatch.setattr(doctor, "_query", lambda *_, **__: [("openai", "gpt-4o-2024-08-06"), ("openai", "our-llama")])
    finding = examine_one("models")
    forget_rate_book()  # the rates are rolled back with the test; the process's copy is not
    assert finding.detail == (
        "without a rate: openai/our-llama; with a rate, and calls of today without a price: openai/gpt-4o-2024-08-06"
    )
    assert finding.cure == (
        "publish their rates (docs/rates.md); the ledger says why: a meter without a price needs a further version of "
        "the rate; what was booked before a rate came is priced by its re-rating"
    )
