"""Months that are closed while others book, close and die: nothing is half closed, nothing is lost, nothing twice."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from api.parsing.spans import take_span
from billing.ingestion import RejectedItem, ingest_events
from billing.periods import (
    PeriodStepRefused,
    approve_reopening,
    close_month,
    compare_closed_periods,
    reopen_month,
    review_month,
)
from billing.rates.book import read_version
from billing.replays import replay_rejected
from billing.reratings import start_rerating, work_job
from billing.rollups import apply_batches, reconcile_rollups
from billing.selectors.months import get_month, list_month_steps
from billing.spans import QUIET_SECONDS, book_spans, settle_traces
from ledger.act_lists import ActFilters, list_acts
from ledger.rejected import RejectedFilters, list_rejected
from tests.audit.months import publish, write_rate
from tests.factories import make_event, make_tenant, make_wire_event, name_maker
from tests.rows import read
from tests.spans import as_sent, make_agent

pytestmark = pytest.mark.usefixtures("committed_db", "fresh_rate_book")
NOW = datetime.now(UTC)
THIS_MONTH = NOW.date().replace(day=1)
NEXT_MONTH = (THIS_MONTH + timedelta(days=31)).replace(day=1)
LAST_MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
MEANT = datetime(LAST_MONTH.year, LAST_MONTH.month, 14, 9, 30, tzinfo=UTC)
WRITERS, REQUESTS = 6, 40
CALL = Decimal("0.003")  # 400 input and 200 output tokens at 2.50 and 10 USD a million


@pytest.fixture
def acme():
    tenant = make_tenant("acme")
    publish(write_rate("plain", {"input": "2.5", "output": "10"}, provider=name_maker(tenant)), now=NOW)
    return tenant


def make_call(tenant, **fields):
    used = {"input_tokens": 400, "output_tokens": 200}
    return make_event(provider=name_maker(tenant), model="plain", usage=used, time=MEANT, **fields)


def book(tenant, *events):
    return ingest_events(
        tenant_id=tenant.id, api_key_id="testkey", events=list(enumerate(events)), now=datetime.now(UTC)
    )


def take(step, tenant, *, actor="person 1", **said):
    return step(tenant_id=tenant.id, period=LAST_MONTH, actor=actor, now=datetime.now(UTC), **said)


def sum_months(tenant):
    """Of each month: its entries of usage, its different calls, and its cost."""
    rows = read(
        tenant,
        "SELECT billing_period, count(*), count(DISTINCT event_id), sum(billed_cost) FROM ledger_entry "
        "WHERE kind <> 'admin_act' GROUP BY 1 ORDER BY 1",
    )
    return {period: tuple(sums) for period, *sums in rows}


def test_a_close_while_events_arrive_leaves_each_in_one_month_or_the_other(acme):
    take(review_month, acme)
    half, accepted = threading.Event(), []

    def write(number):
        try:
            for _ in range(REQUESTS):
                accepted.append(book(acme, make_call(acme, cost_center=f"c{number}")).accepted)
                if len(accepted) >= WRITERS * REQUESTS // 3:
                    half.set()
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(write, number) for number in range(WRITERS)]
        assert half.wait(60)
        totals = take(close_month, acme)
        for writer in writing:
            writer.result(60)
    assert sum(accepted) == WRITERS * REQUESTS
    months = sum_months(acme)
    (closed, of_closed, cost), (late, of_late, _) = months[LAST_MONTH], months[THIS_MONTH]
    assert (closed, late) == (of_closed, of_late)  # each once
    assert closed + late == WRITERS * REQUESTS and closed > 0 and late > 0
    assert (totals.total.entries, totals.total.billed_cost) == (closed, cost) == (closed, closed * CALL)
    assert read(acme, "SELECT count(DISTINCT event_id) FROM ledger_entry WHERE kind = 'usage'") == [
        (WRITERS * REQUESTS,)
    ]
    assert compare_closed_periods(tenant_id=acme.id) == []
    apply_batches(now=datetime.now(UTC))
    assert reconcile_rollups(tenant_id=acme.id, now=datetime.now(UTC)).count == 0


def test_months_that_open_and_close_under_writers_lose_nothing(acme, settings):
    settings.RATES_FOUR_EYES = True
    done, first = threading.Event(), book(acme, make_call(acme)).accepted

    def write():
        count = 0
        try:
            while not done.is_set():
                count += book(acme, make_call(acme)).accepted
        finally:
            connection.close()
        return count

    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write) for _ in range(3)]
        try:
            for _ in range(4):
                take(review_month, acme)
                take(close_month, acme)
                take(reopen_month, acme, reason="a bill came late")
                take(approve_reopening, acme, actor="person 2")
            take(review_month, acme)
            totals = take(close_month, acme)
        finally:
            done.set()
        booked = first + sum(writer.result(60) for writer in writing)
    months = sum_months(acme)
    assert sum(entries for entries, _, _ in months.values()) == booked
    assert totals.total.entries == months[LAST_MONTH][0]
    assert compare_closed_periods(tenant_id=acme.id) == []


def test_of_two_who_close_a_month_one_does_and_the_other_is_told(acme):
    take(review_month, acme)
    book(acme, make_call(acme))
    start, answers = threading.Barrier(2), {}

    def close(actor):
        try:
            start.wait(10)
            answers[actor] = take(close_month, acme, actor=actor).total.entries
        except PeriodStepRefused as refused:
            answers[actor] = str(refused)
        finally:
            connection.close()

    threads = [threading.Thread(target=close, args=[actor]) for actor in ("person 1", "person 2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (first,) = [actor for actor, answer in answers.items() if answer == 1]
    (second,) = set(answers) - {first}
    assert f"by {first}; it cannot be closed" in answers[second]
    closed = list_acts(tenant_id=acme.id, filters=ActFilters(names=("period.closed",)), limit=10)
    assert [act.actor for act in closed] == [first]


DIE_WHILE_CLOSING = """
import os, signal, sys
from datetime import UTC, date, datetime
import django
django.setup()
from billing.periods import steps
def die(*args, **options):
    print("closing", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(steps, sys.argv[3], die)
steps.close_month(
    tenant_id=int(sys.argv[1]), period=date.fromisoformat(sys.argv[2]), actor="person 1", now=datetime.now(UTC)
)
"""


@pytest.mark.parametrize("where", ["complete_totals", "book_act"])  # both behind `raise_version`
def test_a_worker_that_is_killed_while_it_closes_leaves_the_month_as_it_was(acme, where):
    book(acme, make_call(acme))
    take(review_month, acme)
    before = read_version()
    died = subprocess.run(
        [sys.executable, "-c", DIE_WHILE_CLOSING, str(acme.id), LAST_MONTH.isoformat(), where],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "closing\n"), died.stderr
    book(acme, make_call(acme))  # waits until PostgreSQL has noticed that the client is gone
    assert read_version() == before
    assert get_month(tenant_id=acme.id, period=LAST_MONTH).state == "in_review"
    assert [step.step for step in list_month_steps(tenant_id=acme.id)] == ["reviewed"]
    assert sum_months(acme) == {LAST_MONTH: (2, 2, 2 * CALL)}
    assert take(close_month, acme).total.entries == 2


def close_this_month(tenant):
    """As if the next one had begun."""
    own = {"tenant_id": tenant.id, "period": THIS_MONTH, "actor": "person 1", "now": NOW + timedelta(days=40)}
    review_month(**own)
    close_month(**own)


def test_a_span_that_waited_while_its_month_closed_is_charged_in_the_next(acme):
    now = datetime.now(UTC)
    span, _ = take_span(as_sent(make_agent()), now=now, may_backfill=False)
    assert book_spans(tenant_id=acme.id, api_key_id="testkey", spans=[span], now=now).waiting == 1
    close_this_month(acme)
    settle_traces(now=now + timedelta(seconds=QUIET_SECONDS + 1))
    assert list(sum_months(acme)) == [NEXT_MONTH]


def test_a_rejected_event_that_is_replayed_after_the_close_is_charged_in_the_next_month(acme):
    text = json.dumps(make_wire_event(status="fine"))
    item = RejectedItem(0, "late", "wrong_type", "status", text)
    ingest_events(tenant_id=acme.id, api_key_id="testkey", events=[], rejected=[item], now=datetime.now(UTC))
    (rejected,) = list_rejected(tenant_id=acme.id, filters=RejectedFilters(), limit=2)
    close_this_month(acme)
    corrected = text.replace('"fine"', '"ok"')
    replay_rejected(tenant=acme, rejected_id=rejected.id, text=corrected, actor="person 1", now=datetime.now(UTC))
    assert list(sum_months(acme)) == [NEXT_MONTH]


def test_a_job_that_corrects_a_month_goes_on_in_the_next_when_it_is_closed_between_its_pages(acme, monkeypatch):
    monkeypatch.setattr("billing.reratings.jobs.CALLS_PER_BOOKING", 5)
    book(acme, *[make_call(acme) for _ in range(10)])
    cheaper = {"input": "1", "output": "4"}  # 0.0012 a call
    publish(write_rate("plain", cheaper, start=f"{LAST_MONTH}T00:00:00Z", provider=name_maker(acme)), now=NOW)
    ((rate_id,),) = read(
        acme,
        f"SELECT id FROM rate_version WHERE provider = '{name_maker(acme)}' AND state = 'published' "
        "ORDER BY id DESC LIMIT 1",
    )
    job_id = start_rerating(rate_id, reason="the price was wrong", requested_by="bob", now=NOW)
    assert work_job(job_id, now=datetime.now(UTC))
    take(review_month, acme)
    totals = take(close_month, acme)
    while work_job(job_id, now=datetime.now(UTC)):
        pass
    corrected = 5 * (Decimal("0.0012") - CALL)
    assert totals.total.billed_cost == 10 * CALL + corrected
    months = sum_months(acme)
    assert (months[LAST_MONTH][2], months[THIS_MONTH][2]) == (10 * CALL + corrected, corrected)
    assert compare_closed_periods(tenant_id=acme.id) == []
