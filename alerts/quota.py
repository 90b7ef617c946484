"""Whether a call may be made, asked before it is made, and what is reserved for it until its event arrives.

Redis decides, by standings that are a second old at most, and holds; PostgreSQL does both while Redis is away.
"""

import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from threading import Lock
from time import monotonic

import django.db
import msgspec
from django.db import close_old_connections, connection

from alerts.budgets import list_budgets
from alerts.core.quota import (
    ALLOW,
    DECISIONS,
    DENY,
    NANO,
    NANO_MAX,
    THROTTLE,
    Call,
    Choice,
    Estimate,
    Gate,
    Standing,
    choose,
    count_cost,
    estimate_cost,
    find_denial_seconds,
    find_excess,
    find_gates,
    find_throttle_seconds,
    identify_reservation,
    list_unchecked,
    make_gate,
    suggest_model,
)
from alerts.counter_scripts import HOLD_SECONDS_MAX
from alerts.counters import DONE, STALE, CountersAway, Known, get_counters
from alerts.decisions import count_decision
from alerts.holds import add_hold, get_hold, lock_holds, settle_holds, sum_holds
from alerts.quota_mapping import map_call
from alerts.spending import read_spending
from billing.rates import load_rate_book
from tenants.scope import reading_scope, tenant_scope

logger = logging.getLogger(__name__)

HOLD_SECONDS = 120
RENEWED_SECONDS = 0.5  # standings that are older are read anew, beside the checks
FRESH_SECONDS = 1.0  # those that are older decide nothing: a check waits for newer ones
STALE_SECONDS_MAX = 10.0  # but for so long while PostgreSQL is away
TRIES_MAX = 8
REDIS, DATABASE = "redis", "database"  # what counted
DATABASE_MARK = "db-"  # begins the reservations that are held there

__all__ = ["HOLD_SECONDS", "HOLD_SECONDS_MAX", "QuotaAnswer", "check_quota", "settle_reservations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaAnswer:
    """What budgets say to a call. standing: of the budget that decided, or had least left; None where none counts it.

    held: USD reserved in that budget, besides this call. excess: which limit for one call it exceeds, in words.
    reservation_id: '' where nothing is held.
    """

    decision: str
    standing: Standing | None
    held: Decimal
    estimate: Estimate
    excess: str
    unchecked: list[str]
    retry_after_seconds: int | None
    suggested_model: str
    reservation_id: str
    held_until: datetime | None
    counters: str


@dataclass(frozen=True, slots=True)
class _Decided:
    """What was made of a check, by Redis or by PostgreSQL."""

    gates: Sequence[Gate]
    held: Sequence[int]
    choice: Choice
    reservation_id: str
    held_until: datetime | None
    counters: str


def check_quota(
    call: Call,
    *,
    tenant_id: int,
    now: datetime,
    reserves: bool = False,
    request_id: str = "",
    hold_seconds: int = HOLD_SECONDS,
) -> QuotaAnswer:
    """Decide by all budgets that count the call, and hold what it may cost in each of them, or in none.

    reserves: whether to hold; the same call under the same `request_id` is held once, and answered as it was. Raises
    Django's OperationalError while PostgreSQL is away and nothing fresh enough is known.
    """
    rate_book = load_rate_book(at_least_version=0)
    estimate = estimate_cost(call, rate_book=rate_book, tenant_id=tenant_id, now=now)
    charged = call if call.cost_center else map_call(call, tenant_id=tenant_id, now=now)
    question = _Question(charged, estimate, count_cost(estimate.cost), tenant_id, now, hold_seconds)
    reservation_id = _name_reservation(call, tenant_id, request_id) if reserves and question.cost else ""
    try:
        decided = _decide_in_redis(question, reservation_id)
    except CountersAway:
        decided = _decide_in_database(question, reservation_id)
    return _describe(question, decided)


@dataclass(frozen=True, slots=True)
class _Question:
    """A check. call: with the cost centre that its event will have. cost: what it takes, in nano-USD."""

    call: Call
    estimate: Estimate
    cost: int
    tenant_id: int
    now: datetime
    hold_seconds: int


def _name_reservation(call: Call, tenant_id: int, request_id: str) -> str:
    """Of the call as it was asked about, whatever the rules make of it by then."""
    if not request_id:
        return secrets.token_hex(16)
    return identify_reservation(tenant_id=tenant_id, request_id=request_id, question=msgspec.json.encode(call))


def _describe(question: _Question, decided: _Decided) -> QuotaAnswer:
    """The answer of the budget that decided."""
    severity, deciding = decided.choice
    decision = DECISIONS[severity]
    gate = decided.gates[deciding] if deciding >= 0 else None
    held = decided.held[deciding] if deciding >= 0 else 0
    excess, seconds = "", None
    if gate and decision == DENY:
        excess = find_excess(gate.standing.budget, question.call, question.estimate)
        seconds = find_denial_seconds(gate, question.cost, excess=excess, now=question.now)
    elif gate and decision == THROTTLE:
        seconds = find_throttle_seconds(gate.standing, held, now=question.now)
    return QuotaAnswer(
        decision=decision,
        standing=gate.standing if gate else None,
        held=Decimal(held) / NANO + (gate.standing.held if gate else 0),
        estimate=question.estimate,
        excess=excess,
        unchecked=list_unchecked(decided.gates, question.call, question.estimate),
        retry_after_seconds=seconds,
        suggested_model=suggest_model(decided.gates, decided.held, question.cost, model=question.call.model),
        reservation_id=decided.reservation_id if decided.held_until else "",
        held_until=decided.held_until,
        counters=decided.counters,
    )


# --- by Redis ---


def _decide_in_redis(question: _Question, reservation_id: str) -> _Decided:
    """Raises CountersAway."""
    counters, tenant_id = get_counters(), question.tenant_id
    known = counters.recall(tenant_id) or counters.fetch(tenant_id)
    age_seconds_max = FRESH_SECONDS
    for _ in range(TRIES_MAX):
        if known is None or not known.holds_at(question.now):
            known = _renew(tenant_id, known, question.now) or counters.fetch(tenant_id)
            continue
        passage = known.find_passage(question.call, question.estimate)
        taken = counters.check(
            passage,
            cost=question.cost,
            reservation_id=reservation_id,
            hold_seconds=question.hold_seconds,
            age_seconds_max=age_seconds_max,
        )
        if taken.state == DONE:
            if taken.age_seconds > RENEWED_SECONDS:
                _renew_soon(tenant_id, question.now)
            return _Decided(passage.gates, taken.held, taken.choice, reservation_id, taken.held_until, REDIS)
        if taken.state == STALE:
            known = counters.fetch(tenant_id)
            continue
        try:
            known = _renew(tenant_id, known, question.now) or counters.fetch(tenant_id)
        except django.db.OperationalError:
            if age_seconds_max == STALE_SECONDS_MAX:
                raise
            age_seconds_max = STALE_SECONDS_MAX
    raise CountersAway("standings change faster than they are read")


_renewing: defaultdict[int, Lock] = defaultdict(Lock)  # by tenant: who reads for all that wait in this process


def _renew(tenant_id: int, seen: Known | None, now: datetime) -> Known | None:
    """Standings that are newer than `seen`: read by one thread, for which the others of the process wait.

    None where another process stored later ones. Raises CountersAway, and Django's OperationalError.
    """
    counters = get_counters()
    close_old_connections()  # a check may come without a request of Django's around it
    with _renewing[tenant_id]:
        known = counters.recall(tenant_id)
        if known is not None and known is not seen and known.holds_at(now):
            return known
        refresh = counters.begin_refresh(tenant_id)
        load_rate_book()
        return counters.store(tenant_id, refresh, _read_standings_and_holds(tenant_id, now))


@cache
def _get_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="quota")


_asked_for: set[int] = set()  # tenants whose standings are about to be read anew


def _renew_soon(tenant_id: int, now: datetime) -> None:
    """Read the standings anew, without keeping the check that found them old waiting."""
    if tenant_id not in _asked_for:
        _asked_for.add(tenant_id)
        _get_pool().submit(_renew_aside, tenant_id, now)


def _renew_aside(tenant_id: int, now: datetime) -> None:
    counters = get_counters()
    try:
        if counters.claim_refresh(tenant_id):
            _renew(tenant_id, counters.recall(tenant_id), now)
    except (CountersAway, django.db.Error) as error:  # whoever finds them too old meets it again, and answers it
        logger.warning("the standings of tenant %d were not read: %s", tenant_id, error)
    finally:
        _asked_for.discard(tenant_id)


def read_standings(*, tenant_id: int, now: datetime) -> list[Standing]:
    """How each budget of the tenant stands, without what is held."""
    budgets = list_budgets(tenant_id=tenant_id)
    spending = read_spending(tenant_id=tenant_id, budgets=budgets, now=now)
    standings = [
        Standing(budget, found.window_start, found.window_end, found.limit, found.spent)
        for budget in budgets
        if (found := spending[budget.id])
    ]
    if not any(action.on == "forecast" for budget in budgets for action in budget.actions):
        return standings
    forecasts = _read_forecasts(tenant_id, now)
    return [replace(one, forecast=forecasts.get((one.budget.id, one.window_start))) for one in standings]


READ_FORECASTS_SQL = """
    SELECT budget_id, window_start, forecast FROM budget_window
    WHERE tenant_id = %(tenant_id)s AND window_start <= %(now)s AND window_end > %(now)s"""


def _read_forecasts(tenant_id: int, now: datetime) -> dict[tuple[int, datetime], Decimal | None]:
    """What the last evaluation expected of each window that is running, by budget and the window's start."""
    with reading_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(READ_FORECASTS_SQL, {"tenant_id": tenant_id, "now": now})
        return {(budget_id, start): forecast for budget_id, start, forecast in cursor.fetchall()}


def _read_standings_and_holds(tenant_id: int, now: datetime) -> list[Standing]:
    """The same with what PostgreSQL holds: reserved while Redis was away."""
    with tenant_scope(tenant_id):
        read_at = _tell_time()
        standings = read_standings(tenant_id=tenant_id, now=now)
        holds = sum_holds(tenant_id=tenant_id, read_at=read_at)
    return [replace(one, held=holds[one.budget.id]) if one.budget.id in holds else one for one in standings]


TELL_TIME_SQL = "SELECT now()"


def _tell_time() -> datetime:
    """When this transaction began, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(TELL_TIME_SQL)
        return cursor.fetchone()[0]


# --- by PostgreSQL ---


@dataclass(frozen=True, slots=True)
class _Read:
    """Standings that this process has read: begun at `read_at` by the database's clock, at `moment` by its own."""

    moment: float
    read_at: datetime
    gates: tuple[Gate, ...]
    ends_at: datetime | None


_reads: dict[int, _Read] = {}  # by tenant


def _decide_in_database(question: _Question, reservation_id: str) -> _Decided:
    """Raises Django's OperationalError."""
    tenant_id = question.tenant_id
    close_old_connections()
    reservation_id = DATABASE_MARK + reservation_id if reservation_id else ""
    with tenant_scope(tenant_id):
        read = _recall_read(tenant_id, question.now, locked_at=lock_holds(tenant_id=tenant_id))
        gates = find_gates(read.gates, question.call, question.estimate)
        holds = sum_holds(tenant_id=tenant_id, read_at=read.read_at)
        before = get_hold(tenant_id=tenant_id, reservation_id=reservation_id) if reservation_id else None
        own = before[2] if before else {}
        held = [
            count_cost(holds.get(gate.standing.budget.id, Decimal(0)) - own.get(gate.standing.budget.id, Decimal(0)))
            for gate in gates
        ]
        choice, held_until = choose(gates, held, question.cost), None
        if before:
            choice, held_until = Choice(DECISIONS.index(before[0]), choice.deciding), before[1]
        elif choice.deciding >= 0:
            held_until = _keep_decision(question, gates, choice, reservation_id)
    return _Decided(gates, held, choice, reservation_id, held_until, DATABASE)


def _recall_read(tenant_id: int, now: datetime, *, locked_at: datetime) -> _Read:
    """What was read at most FRESH_SECONDS ago, or is now."""
    read, moment = _reads.get(tenant_id), monotonic()
    if read is None or moment - read.moment > FRESH_SECONDS or (read.ends_at is not None and now >= read.ends_at):
        load_rate_book()
        standings = read_standings(tenant_id=tenant_id, now=now)
        ends_at = min((standing.window_end for standing in standings), default=None)
        read = _reads[tenant_id] = _Read(moment, locked_at, tuple(map(make_gate, standings)), ends_at)
    return read


def _keep_decision(question: _Question, gates: Sequence[Gate], choice: Choice, reservation_id: str) -> datetime | None:
    """Count the decision, and hold the call where that is asked for and it is not denied; until when."""
    decision = DECISIONS[choice.severity]
    deciding = gates[choice.deciding].standing.budget.id
    held_until = None
    if reservation_id and decision != DENY and question.cost <= NANO_MAX:
        held_until = add_hold(
            tenant_id=question.tenant_id,
            reservation_id=reservation_id,
            budget_ids=[gate.standing.budget.id for gate in gates],
            amount=Decimal(question.cost) / NANO,
            decision=decision,
            seconds=question.hold_seconds,
        )
    if decision != ALLOW:
        count_decision(tenant_id=question.tenant_id, budget_id=deciding, decision=decision)
    return held_until


# --- afterwards ---


def settle_reservations(*, tenant_id: int, reservation_ids: Iterable[str]) -> None:
    """Let go of what was held for calls whose events are booked by now. Call it after their commit.

    What cannot be let go of now is held until it expires. Doing it twice changes nothing.
    """
    ids = list(dict.fromkeys(reservation_ids))
    in_database = [one for one in ids if one.startswith(DATABASE_MARK)]
    in_redis = [one for one in ids if not one.startswith(DATABASE_MARK)]
    try:
        if in_redis:
            get_counters().settle(tenant_id, in_redis)
    except CountersAway:
        logger.warning("%d reservations of tenant %d are held until they expire", len(in_redis), tenant_id)
    try:
        if in_database:
            with tenant_scope(tenant_id):
                settle_holds(tenant_id=tenant_id, reservation_ids=in_database)
    except django.db.Error as error:
        logger.warning("%d reservations of tenant %d are held until they expire: %s", len(ids), tenant_id, error)
