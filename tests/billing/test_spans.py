"""Spans and the database: exactly one entry for a call, whatever happens at once."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from api.parsing.spans import take_span
from billing.rollups import apply_batches, reconcile_rollups
from billing.spans import QUIET_SECONDS, book_spans, settle_traces
from tests.factories import make_tenant, publish_test_rates
from tests.rows import read
from tests.spans import CALL, as_sent, make_agent, make_span, make_step

pytestmark = pytest.mark.usefixtures("committed_db")
THREADS = 4


@pytest.fixture
def acme():
    publish_test_rates()
    settle()  # what other tests left waiting
    return make_tenant("acme")


def book(tenant, *spans, key_id="testkey"):
    now = datetime.now(UTC)
    taken = []
    for index, span in enumerate(spans):
        sent = as_sent(span)
        sent = type(sent)(index, *[getattr(sent, name) for name in sent.__struct_fields__[1:]])
        taken.append(take_span(sent, now=now, may_backfill=False)[0])
    return book_spans(tenant_id=tenant.id, api_key_id=key_id, spans=taken, now=now)


def run_at_once(*calls):
    """Run the calls in threads with connections of their own; what each returned."""

    def run(call):
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, calls))


def settle():
    return settle_traces(now=datetime.now(UTC) + timedelta(seconds=QUIET_SECONDS + 1))


def test_however_many_workers_settle_each_summary_is_booked_once_by_the_key_that_sent_it(acme):
    for number in range(30):
        book(acme, make_agent(), key_id=f"key{number % 3}")
    assert sum(run_at_once(*[settle] * THREADS * 2)) == 30
    assert settle() == 0
    counts = "SELECT api_key_id, count(*) FROM ledger_entry GROUP BY api_key_id ORDER BY api_key_id"
    assert read(acme, counts) == [("key0", 10), ("key1", 10), ("key2", 10)]
    assert read(acme, "SELECT count(*) FROM span WHERE state <> 'booked' OR entry_id = '' OR event <> ''") == [(0,)]


def test_spans_of_one_trace_in_requests_at_the_same_time_are_one_entry(acme):
    calls = []
    for _ in range(20):
        agent = make_agent()
        step = make_step(agent)
        calls += [lambda span=span: book(acme, span) for span in (make_span(step), step, agent)]
    random.Random(7).shuffle(calls)
    run_at_once(*calls)
    # What is settled before its trace is whole is decided too early: so beside the workers only agents without calls.
    others = [lambda: book(acme, make_agent(name="other"))] * 20
    run_at_once(*others[:10], settle, *others[10:], settle, settle)
    settle()
    by_operation = "SELECT operation, count(*) FROM ledger_entry GROUP BY operation"
    assert dict(read(acme, by_operation)) == {"chat": 20, "invoke_agent": 20}
    assert read(acme, "SELECT count(*) FROM span WHERE state = 'waiting'") == [(0,)]


def test_requests_that_share_traces_in_another_order_do_not_wait_for_each_other_for_ever(acme):
    traces = [make_agent() for _ in range(8)]

    def send(seed):
        some = traces.copy()
        random.Random(seed).shuffle(some)
        return book(acme, *[make_span(agent, attributes=CALL) for agent in some]).booked

    assert sum(run_at_once(*[lambda seed=seed: send(seed) for seed in range(12)])) == 96
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(96,)]


def test_what_waited_is_rolled_up_like_everything_else(acme):
    book(acme, make_agent())
    settle()
    while apply_batches(now=datetime.now(UTC)):
        pass
    assert read(acme, "SELECT sum(calls) FROM cost_hour") == [(1,)]
    assert reconcile_rollups(tenant_id=acme.id, now=datetime.now(UTC)).differences == ()


def test_of_stacked_reports_in_one_request_the_lowest_is_booked_with_what_all_of_them_know(acme):
    knows_id = make_span(attributes=CALL | {"gen_ai.response.id": "chatcmpl-1"}, name="around")
    knows_caches = make_span(knows_id, attributes=CALL | {"gen_ai.usage.cache_read.input_tokens": 1000}, name="within")
    receipt = book(acme, knows_caches, knows_id)
    assert (receipt.booked, receipt.refused) == (1, ())
    assert read(acme, "SELECT response_id, input_tokens, cache_read_tokens FROM ledger_entry") == [
        ("chatcmpl-1", 200, 1000)
    ]


def test_of_siblings_that_name_one_response_the_shortest_is_booked(acme):
    said = CALL | {"gen_ai.response.id": "msg_1"}
    around = make_span(attributes=said | {"gen_ai.usage.output_tokens": 301}, duration_ms=900)
    sdk = make_span(trace_id=around.trace_id, attributes=said, duration_ms=850)
    receipt = book(acme, around, sdk)
    assert (receipt.booked, receipt.refused) == (1, ())
    assert read(acme, "SELECT span_id, output_tokens FROM ledger_entry") == [(sdk.span_id, 300)]
    assert read(acme, "SELECT state FROM span ORDER BY duration_us") == [("booked",), ("inside",)]
