"""Quotas, against a real Redis and PostgreSQL: what is let through and held, and that no call is ever forgotten."""

import contextlib
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django.db
import pytest
import redis
from django.db import connections

from alerts import quota
from alerts.budgets import change_budget, create_budget, retire_budget
from alerts.core.budget_terms import read_terms
from alerts.core.quota import Call, Gate, Step, choose
from alerts.counters import DONE, get_counters, name_keys
from alerts.decisions import fold_decisions, read_decisions
from alerts.quota import check_quota, read_standings, settle_reservations
from billing.ingestion import ingest_events
from tests.factories import make_event, make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")

DENY = [{"at_percent": 100, "do": "deny"}]
CENT = Decimal("0.01")


@pytest.fixture
def acme():
    return make_tenant("acme")


@pytest.fixture
def globex():
    return make_tenant("globex")


@pytest.fixture(autouse=True)
def rates(committed_db):
    publish_test_rates()


@pytest.fixture(autouse=True)
def fresh_process():
    """A process that knows nothing, and whose Redis was not away a moment ago."""
    quota._reads.clear()
    get_counters.cache_clear()
    yield
    get_counters.cache_clear()


@pytest.fixture
def server(redis_server):
    """A connection to Redis that is the test's own."""
    return redis.Redis.from_url(redis_server)


@pytest.fixture
def redis_away(settings):
    """No Redis listens where the settings say."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
        yield


def add_budget(tenant, amount="1.00", *, name="all", window="day", actions=DENY, **fields):
    document = {"name": name, "window": window, "amount": amount, "actions": actions} | fields
    budget, _ = create_budget(read_terms(document), tenant_id=tenant.id, actor="key test", now=datetime.now(UTC))
    return budget


def check(tenant, cost="0.10", *, now=None, reserves=True, request_id="", hold_seconds=120, **fields):
    call = Call(**{"provider": "openai", "model": "gpt-4o-2024-08-06", "cost": cost and Decimal(cost)} | fields)
    return check_quota(
        call, tenant_id=tenant.id, now=now or datetime.now(UTC), reserves=reserves, request_id=request_id,
        hold_seconds=hold_seconds,
    )  # fmt: skip


def book(tenant, cost, **fields):
    """An event of this cost: so many output tokens of 10 USD a million."""
    fields = {"time": datetime.now(UTC)} | fields
    event = make_event(usage={"input_tokens": 0, "output_tokens": int(Decimal(cost) * 100_000)}, **fields)
    ingest_events(tenant_id=tenant.id, api_key_id="testkey", events=[(0, event)], now=datetime.now(UTC))


def run_in_threads(work, count, *, threads=16):
    """What `work(number)` gives for each number; each thread's connection is closed."""

    def run(number):
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(count)))


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


# --- what fits ---


def test_a_call_is_let_through_and_held_to_the_last_nano_dollar(acme):
    add_budget(acme, "1.00")
    first = check(acme, "0.40")
    assert (first.decision, first.standing.limit, first.standing.spent, first.held) == ("allow", 1, 0, 0)
    assert (len(first.reservation_id), first.counters) == (32, "redis")
    assert check(acme, "0.600000001").decision == "deny"
    exact = check(acme, "0.6")
    assert (exact.decision, exact.held) == ("allow", Decimal("0.4"))
    last = check(acme, "0.000000001")
    assert (last.decision, last.held, last.reservation_id) == ("deny", 1, "")


def test_what_is_finer_than_a_nano_dollar_counts_against_the_spender(acme):
    add_budget(acme, "0.000002")
    assert check(acme, "0.000001000001").decision == "allow"  # takes 1,001 nano-USD
    assert check(acme, "0.000001").decision == "deny"
    assert check(acme, "0.000000999").decision == "allow"


def test_a_hundred_calls_at_once_against_the_last_dollar_let_through_no_more_than_fit(acme):
    add_budget(acme, "1.00")
    decisions = [answer.decision for answer in run_in_threads(lambda _: check(acme, "0.03"), 100)]
    assert (decisions.count("allow"), decisions.count("deny")) == (33, 67)


def test_a_call_fits_all_budgets_or_is_held_in_none(acme):
    child = {"name": "chat", "scope": {"feature": "chat"}}
    whole = add_budget(acme, "1.00")
    add_budget(acme, "0.80", parent=whole.id, **child)
    assert check(acme, "0.50", feature="search").decision == "allow"
    denied = check(acme, "0.60", feature="chat")
    assert (denied.decision, denied.standing.budget.id, denied.held) == ("deny", whole.id, Decimal("0.5"))
    allowed = check(acme, "0.50", feature="chat")  # nothing of the denied call is held in the child
    assert (allowed.decision, allowed.standing.budget.id) == ("allow", whole.id)
    assert check(acme, "0.40", feature="chat", reserves=False).standing.budget.id == whole.id


def test_another_tenants_budgets_are_neither_asked_nor_touched(acme, globex):
    add_budget(acme, "0.10")
    add_budget(globex, "0.10")
    assert check(acme, "0.10").decision == "allow"
    assert check(acme, "0.10").decision == "deny"
    untouched = check(globex, "0.10", reserves=False)
    assert (untouched.decision, untouched.held) == ("allow", 0)


def test_only_budgets_whose_scope_is_that_of_the_call_are_asked(acme):
    add_budget(acme, "0.10", name="ada", scope={"user": "ada"})
    add_budget(acme, "0.10", name="key", scope={"key": "k1", "environment": "staging"})
    assert check(acme, "5", user="bob").standing is None
    assert check(acme, "5", user="ada").decision == "deny"
    assert check(acme, "5", key="k1", environment="staging").decision == "deny"
    assert check(acme, "5", key="k1").decision == "allow"


def test_without_a_budget_all_is_allowed_and_nothing_held(acme):
    answer = check(acme)
    assert (answer.decision, answer.standing, answer.reservation_id) == ("allow", None, "")


def test_what_each_threshold_does_and_which_model_is_suggested(acme):
    actions = [
        {"at_percent": 50, "do": "warn"},
        {"at_percent": 60, "do": "suggest", "model": "gpt-4o-mini"},
        {"at_percent": 80, "do": "throttle"},
        {"at_percent": 100, "do": "deny"},
    ]
    add_budget(acme, "1.00", window="hour", actions=actions)
    answers = [check(acme, "0.25") for _ in range(5)]
    assert [answer.decision for answer in answers] == ["allow", "allow", "warn", "throttle", "deny"]
    assert [answer.suggested_model for answer in answers] == ["", "", "gpt-4o-mini", "gpt-4o-mini", "gpt-4o-mini"]
    assert [bool(answer.retry_after_seconds) for answer in answers] == [False, False, False, True, True]


def test_limits_for_one_call_hold_where_its_price_is_unknown(acme):
    add_budget(acme, per_request={"input_tokens": 1000, "cost": "0.50"})
    unpriced = {"cost": None, "model": "gpt-unknown", "input_tokens": 1001, "output_tokens": 1}
    denied = check(acme, **unpriced)
    assert (denied.decision, denied.retry_after_seconds) == ("deny", None)
    assert denied.excess == "1,001 input tokens, where one call may have 1,000"
    allowed = check(acme, **unpriced | {"input_tokens": 1000})
    assert (allowed.decision, allowed.estimate.cost, allowed.reservation_id) == ("allow", None, "")
    assert (allowed.estimate.reason, allowed.unchecked) == ("no_rate_for_model", ["cost"])


def test_the_estimate_is_priced_by_the_published_rates(acme):
    add_budget(acme, "1.00")
    answer = check(acme, None, input_tokens=1000, output_tokens=500)
    assert answer.estimate.cost == Decimal("0.0075")  # 1,000 × 2.50 + 500 × 10 a million
    assert check(acme, None, input_tokens=0, output_tokens=0).held == Decimal("0.0075")


# --- holds ---


def test_a_hold_expires(acme):
    add_budget(acme, "0.10")
    assert check(acme, "0.10", hold_seconds=1).decision == "allow"
    assert check(acme, "0.10").decision == "deny"
    time.sleep(1.1)
    assert check(acme, "0.10").decision == "allow"


def test_the_same_question_under_the_same_id_is_held_once(acme):
    add_budget(acme, "0.30")
    first, again = check(acme, request_id="r-1"), check(acme, request_id="r-1")
    assert first.reservation_id == again.reservation_id and first.held_until == again.held_until
    assert (again.decision, again.held) == ("allow", 0)
    assert check(acme, "0.20").decision == "allow"
    assert check(acme, request_id="r-1").decision == "allow"  # as it was, though nothing is left
    assert check(acme, "0.11", request_id="r-1").decision == "deny"  # another question
    assert check(acme, request_id="r-2").decision == "deny"


def test_when_the_event_arrives_the_hold_is_let_go_of_and_the_cost_counts(acme):
    add_budget(acme, "1.00")
    held = check(acme, "0.60")
    book(acme, "0.25")
    settle_reservations(tenant_id=acme.id, reservation_ids=[held.reservation_id, held.reservation_id, "unknown"])

    def is_let_go_of():
        answer = check(acme, "0.01", reserves=False)
        assert answer.standing.spent + answer.held >= Decimal("0.25")
        return (answer.standing.spent, answer.held) == (Decimal("0.25"), 0)

    wait_until(is_let_go_of, seconds=3)


def test_an_event_without_a_reservation_counts_within_the_second(acme):
    add_budget(acme, "1.00")
    assert check(acme, "0.01", reserves=False).standing.spent == 0
    book(acme, "0.25")
    time.sleep(1)
    assert check(acme, "0.01", reserves=False).standing.spent == Decimal("0.25")


def test_at_no_moment_is_a_call_counted_as_neither_held_nor_spent(acme):
    add_budget(acme, "100.00")
    reserved, is_over, lows = [], threading.Event(), []

    def call(number):
        answer = check(acme, "0.01")
        assert answer.decision == "allow"
        reserved.append(answer.reservation_id)
        if number % 7:  # the others never report
            book(acme, "0.01")
            settle_reservations(tenant_id=acme.id, reservation_ids=[answer.reservation_id])

    def watch():
        while not is_over.is_set():
            at_least = len(reserved)
            seen = check(acme, "0.01", reserves=False)
            counted = seen.standing.spent + seen.held
            if counted < at_least * CENT:
                lows.append((at_least, seen.standing.spent, seen.held))
        connections.close_all()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run_in_threads(call, 200, threads=8)
    wait_until(lambda: check(acme, "0.01", reserves=False).held == 29 * CENT)
    is_over.set()
    watcher.join()
    assert lows == []
    assert check(acme, "0.01", reserves=False).standing.spent == 171 * CENT


def test_standings_that_were_overtaken_are_not_stored_and_release_nothing(acme):
    add_budget(acme, "1.00")
    held = check(acme, "0.60")
    counters = get_counters()
    settle_reservations(tenant_id=acme.id, reservation_ids=[held.reservation_id])
    early = counters.begin_refresh(acme.id)
    standings = read_standings(tenant_id=acme.id, now=datetime.now(UTC))
    late = counters.begin_refresh(acme.id)
    assert counters.store(acme.id, late._replace(settled=[]), standings)
    assert counters.store(acme.id, early, standings) is None
    assert check(acme, "0.01", reserves=False).held == Decimal("0.6")


def test_standings_from_before_a_clock_was_set_back_do_not_stay(acme):
    add_budget(acme, "1.00")
    counters = get_counters()
    standings = read_standings(tenant_id=acme.id, now=datetime.now(UTC))
    future = counters.begin_refresh(acme.id)
    assert counters.store(acme.id, future._replace(read_at=future.read_at + 3_600_000_000), standings)
    assert check(acme, "0.01").decision == "allow"
    assert counters.fetch(acme.id).version < str(future.read_at + 3_600_000_000)


def test_the_script_decides_as_the_pure_function_does(acme):
    counters, chance = get_counters(), random.Random(7)
    budget = add_budget(acme, "1.00")
    [standing] = read_standings(tenant_id=acme.id, now=datetime.now(UTC))
    known = counters.store(acme.id, counters.begin_refresh(acme.id), [standing])
    held = {}
    for number in range(300):
        gates = []
        for place in range(chance.randrange(4)):
            steps = tuple(Step(chance.randrange(1, 4), chance.randrange(-20, 400)) for _ in range(chance.randrange(4)))
            budget_id = budget.id * 10 + place
            told = replace(standing, budget=replace(budget, id=budget_id))
            gates.append(Gate(told, chance.randrange(-20, 400), steps))
        cost = chance.randrange(30)
        taken = counters.check(
            known.make_passage(gates), cost=cost, reservation_id=f"r{number}", hold_seconds=600, age_seconds_max=3600,
        )  # fmt: skip
        ids = [gate.standing.budget.id for gate in gates]
        assert taken.state == DONE
        assert taken.held == tuple(held.get(one, 0) for one in ids)
        assert taken.choice == choose(gates, taken.held, cost)
        if taken.choice.severity < 3 and cost and gates:
            held |= {one: held.get(one, 0) + cost for one in ids}


def test_two_thousand_holds_are_let_go_of_at_once_and_more_with_the_next_refresh(acme):
    add_budget(acme, "100.00")
    held = [check(acme, "0.01").reservation_id for _ in range(2_100)]
    settle_reservations(tenant_id=acme.id, reservation_ids=held)
    wait_until(lambda: check(acme, "0.01", reserves=False).held == 0, seconds=5)


# --- windows ---


@pytest.mark.parametrize(("last", "first"), [
    ("2026-11-22T22:59:59.999999+00:00", "2026-11-22T23:00:00+00:00"),
    ("2026-10-25T22:59:59.999999+00:00", "2026-10-25T23:00:00+00:00"),  # the day of 25 hours is over an hour later
    ("2026-03-29T21:59:59.999999+00:00", "2026-03-29T22:00:00+00:00"),  # that of 23 hours
])  # fmt: skip
def test_a_day_ends_at_midnight_of_the_tenants_zone(last, first):
    berlin = make_tenant("acme", timezone="Europe/Berlin")
    add_budget(berlin, "1.00")
    last, first = datetime.fromisoformat(last), datetime.fromisoformat(first)
    book(berlin, "1.00", time=last - timedelta(hours=3))
    denied = check(berlin, now=last)
    assert (denied.decision, denied.retry_after_seconds, denied.standing.window_end) == ("deny", 1, first)
    allowed = check(berlin, now=first)
    assert (allowed.decision, allowed.standing.spent, allowed.standing.window_start) == ("allow", 0, first)


def test_a_budget_that_is_made_changed_or_retired_counts_so_within_a_second(acme):
    assert check(acme, "5").decision == "allow"
    budget = add_budget(acme, "1.00")
    time.sleep(1)
    assert check(acme, "5").decision == "deny"
    terms = read_terms({"name": "all", "window": "day", "amount": "10.00", "actions": DENY})
    change_budget(terms, tenant_id=acme.id, budget_id=budget.id, actor="key test", now=datetime.now(UTC))
    time.sleep(1)
    assert check(acme, "5", reserves=False).decision == "allow"
    retire_budget(tenant_id=acme.id, budget_id=budget.id, actor="key test", now=datetime.now(UTC))
    time.sleep(1)
    assert check(acme, "50").standing is None


# --- what is away ---


def test_without_redis_postgresql_decides_and_holds_as_exactly(acme, redis_away):
    add_budget(acme, "1.00")
    answers = run_in_threads(lambda _: check(acme, "0.03"), 60, threads=8)
    decisions = [answer.decision for answer in answers]
    assert (decisions.count("allow"), decisions.count("deny")) == (33, 27)
    assert {answer.counters for answer in answers} == {"database"}
    held = next(answer for answer in answers if answer.reservation_id)
    book(acme, "0.01")
    settle_reservations(tenant_id=acme.id, reservation_ids=[held.reservation_id])
    wait_until(lambda: check(acme, "0.02", reserves=False).standing.spent == CENT, seconds=2)
    seen = check(acme, "0.03", reserves=False)
    assert (seen.decision, seen.held, seen.standing.spent) == ("allow", 32 * 3 * CENT, CENT)


def test_without_redis_the_same_question_is_held_once_and_a_hold_expires(acme, redis_away):
    add_budget(acme, "0.10")
    first, again = (check(acme, request_id="r", hold_seconds=1) for _ in range(2))
    assert (first.decision, again.decision, again.held) == ("allow", "allow", 0)
    assert first.reservation_id == again.reservation_id and first.reservation_id.startswith("db-")
    assert check(acme).decision == "deny"
    time.sleep(1.1)
    assert check(acme).decision == "allow"


def test_what_was_held_while_redis_was_away_still_counts_when_it_is_back(acme, settings, redis_server):
    add_budget(acme, "1.00")
    check(acme, "0.10")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    get_counters.cache_clear()
    assert check(acme, "0.70").counters == "database"
    settings.REDIS_URL = redis_server
    get_counters.cache_clear()
    time.sleep(1)
    back = check(acme, "0.20", reserves=False)
    assert (back.counters, back.decision, back.held) == ("redis", "allow", Decimal("0.8"))
    assert check(acme, "0.21").decision == "deny"


def test_a_redis_that_forgot_the_scripts_is_told_them_again(acme, server):
    add_budget(acme, "1.00")
    check(acme, "0.10")
    server.script_flush()
    after = check(acme, "0.10")
    assert (after.counters, after.held) == ("redis", Decimal("0.1"))


def test_after_redis_lost_all_no_more_is_overspent_than_was_held(acme, server):
    add_budget(acme, "1.00")
    book(acme, "0.40")
    held = [check(acme, "0.10") for _ in range(3)]
    assert [answer.decision for answer in held] == ["allow"] * 3
    server.delete(*name_keys(acme.id, "state", "holds", "expiry", "held", "settled", "decisions"))
    after = [check(acme, "0.10") for _ in range(8)]
    assert [answer.decision for answer in after] == ["allow"] * 6 + ["deny"] * 2
    settle_reservations(tenant_id=acme.id, reservation_ids=[answer.reservation_id for answer in held])
    overspent = Decimal("0.40") + 9 * Decimal("0.10") - 1
    assert overspent == 3 * Decimal("0.10")


def test_a_redis_that_hangs_is_waited_for_a_moment_and_not_asked_again_by_the_next(acme, settings):
    add_budget(acme, "1.00")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        deaf.settimeout(0)
        settings.REDIS_URL = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        start = time.monotonic()
        assert check(acme, reserves=False).counters == "database"
        assert 0.05 <= time.monotonic() - start < 5
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.accept()[0].close()
        assert check(acme, reserves=False).counters == "database"
        with pytest.raises(BlockingIOError):  # it was not asked again
            deaf.accept()


def test_while_postgresql_is_away_redis_decides_by_what_it_knows_for_ten_seconds(acme, monkeypatch):
    add_budget(acme, "1.00")
    check(acme, "0.40")

    def fail(**_):
        raise django.db.OperationalError("away")

    monkeypatch.setattr(quota, "read_spending", fail)
    time.sleep(1.1)
    assert check(acme, "0.60").decision == "allow"
    assert check(acme, "0.01").decision == "deny"
    monkeypatch.setattr(quota, "STALE_SECONDS_MAX", 1.0)
    with pytest.raises(django.db.OperationalError):
        check(acme, "0.01")


# --- what was decided ---


def test_each_decision_is_counted_once_however_often_it_is_folded_and_whatever_redis_forgets(acme, globex, server):
    budget, other = add_budget(acme, "0.30"), add_budget(globex, "0.30")
    now = datetime.now(UTC)

    def read(tenant, budget):
        found = read_decisions(
            tenant_id=tenant.id, budget_ids=[budget.id], start=now - timedelta(hours=2), end=now + timedelta(hours=2)
        )
        return {one.decision: one.checks for one in found}

    for _ in range(5):
        check(acme, "0.10")
    check(acme, request_id="r", reserves=False)
    fold_decisions(now=now)
    fold_decisions(now=now)
    assert read(acme, budget) == {"allow": 3, "deny": 3}
    server.delete(*name_keys(acme.id, "decisions"))
    get_counters.cache_clear()
    check(acme, "0.10")
    fold_decisions(now=now)
    assert read(acme, budget) == {"allow": 3, "deny": 4}
    assert read(globex, other) == {} and read(globex, budget) == {}
    fold_decisions(now=now + timedelta(hours=4))
    assert server.hlen(name_keys(acme.id, "decisions")[0]) == 1  # the hour is over; what names the counts stays
    assert read(acme, budget) == {"allow": 3, "deny": 4}


def test_without_redis_what_was_not_allowed_is_counted(acme, redis_away):
    budget = add_budget(acme, "0.10")
    for _ in range(3):
        check(acme, "0.10")
    hours = read_decisions(
        tenant_id=acme.id, budget_ids=[budget.id], start=datetime(2020, 1, 1, tzinfo=UTC),
        end=datetime(2100, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert [(one.decision, one.checks) for one in hours] == [("deny", 2)]
