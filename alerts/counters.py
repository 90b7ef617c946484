"""What is reserved of budgets, in Redis, which every web process shares; and how the budgets stood a moment ago.

What was spent is never counted up here: a refresh reads it from PostgreSQL and stores it together with the release of
the holds whose events are in it. So a call is counted as held, or as spent, or for a moment as both, and never as
neither. A refresh takes the list of what was settled before it reads, and one that was overtaken stores nothing.

A check decides by the standings that its process knows, and only if they are those that are stored.

Of a tenant there are: `state` (version, when it was read, standings as JSON), `holds` (reservation → nano-USD,
severity, budgets), `expiry` (reservation → when), `held` (budget → sum), `settled` (reservations whose event is
booked), `decisions` (hour:budget:severity → checks) and `refreshing` (that somebody is at it).
"""

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import msgspec
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from alerts.core.budgets import RequestLimits
from alerts.core.quota import DECISIONS, Call, Choice, Estimate, Gate, Standing, find_gates, make_gate
from alerts.counter_scripts import (
    BEGIN_LUA,
    CHECK_LUA,
    CHECK_SHA,
    COUNTER_FIELD,
    GATES_AND_OWN_WORDS,
    RELEASE_LUA,
    SETTLE_LUA,
    STORE_LUA,
)

logger = logging.getLogger(__name__)

REDIS_TIMEOUT_SECONDS = 0.05
PAUSE_SECONDS = 1.0  # until a Redis that was away is asked again
SETTLED_PER_REFRESH_MAX = 2_000  # the others stay held until the next
RELEASED_AT_ONCE_MAX = 200  # Redis does nothing else meanwhile
REFRESH_MS_MAX = 400  # for which one process keeps the others from reading the same
TENANTS_MAX = 10_000  # whose standings a process remembers
PASSAGES_MAX = 1_000  # of a tenant, for the half second for which its standings stay
MICRO = 1_000_000
TENANTS_KEY = "quota:tenants"  # of which decisions were counted
DONE, STALE, OLD = "done", "stale", "old"


class CountersAway(RuntimeError):
    """Redis does not answer, or did not a moment ago."""


class Passage(NamedTuple):
    """The gates of a call, and CHECK_LUA's command with all its words but what the call has of its own."""

    gates: Sequence[Gate]
    command: bytes


class Known:
    """A tenant's standings as they are stored, and the passages through them that calls have taken.

    ends_at: when the first of their windows ends, None without budgets. command: the words of CHECK_LUA's command that
    stand before the gates.
    """

    def __init__(self, version: str, standings: Sequence[Standing], command: bytes) -> None:
        self.version = version
        self.gates = tuple(map(make_gate, standings))
        self.ends_at = min((standing.window_end for standing in standings), default=None)
        self._command = command
        budgets = [standing.budget for standing in standings]
        self._limits_calls = any(budget.per_request != RequestLimits() for budget in budgets)
        self._tell_apart = attrgetter("key", *{dimension for budget in budgets for dimension in budget.scope})
        self._passages: dict[tuple[str, ...], Passage] = {}

    def holds_at(self, now: datetime) -> bool:
        return self.ends_at is None or now < self.ends_at

    def find_passage(self, call: Call, estimate: Estimate) -> Passage:
        """Looked up once for calls that the budgets do not tell apart."""
        use = self._tell_apart(call)
        passage = self._passages.get(use)
        if passage is None:
            passage = self.make_passage(find_gates(self.gates, call, estimate))
            if not self._limits_calls and len(self._passages) < PASSAGES_MAX:
                self._passages[use] = passage
        return passage

    def make_passage(self, gates: Sequence[Gate]) -> Passage:
        return Passage(gates, self._command + _pack(" ".join(map(str, _write_gates(gates))).encode()))


class Taken(NamedTuple):
    """What Redis made of a check; all but `state` only where it is DONE. held: in each budget, besides this call."""

    state: str
    age_seconds: float = 0
    choice: Choice = Choice(0, -1)
    held_until: datetime | None = None
    held: tuple[int, ...] = ()


class Refresh(NamedTuple):
    """A refresh that has begun: by Redis's clock, and the reservations that were settled before."""

    read_at: int
    settled: list[bytes]


class Tally(NamedTuple):
    """How often a budget decided so within an hour, since the counting began that `counter` names."""

    counter: str
    hour: datetime
    budget_id: int
    decision: str
    checks: int


Answer = TypeVar("Answer")
_decode_standings = msgspec.json.Decoder(tuple[Standing, ...]).decode
_encode = msgspec.json.Encoder().encode


class Counters:
    """What one process knows of them, and its connection."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._begin, self._store, self._release, self._settle = map(
            self._redis.register_script, (BEGIN_LUA, STORE_LUA, RELEASE_LUA, SETTLE_LUA)
        )
        self._own = threading.local()
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._away_until = float("-inf")
        self._new_counter = secrets.token_hex(8)

    def check(
        self,
        passage: Passage,
        *,
        cost: int,
        reservation_id: str,
        hold_seconds: int,
        age_seconds_max: float,
    ) -> Taken:
        """Decide by the stored standings, hold `cost` unless it is denied, and count the decision, all at once.

        reservation_id: '' to hold nothing; one that is held already is
        answered as it was. Raises CountersAway.
        """
        own = _pack(
            b"%d" % round(age_seconds_max * MICRO),
            reservation_id.encode(),
            b"%d" % cost,
            b"%d" % (hold_seconds * MICRO),
        )
        state, *words = self._ask(lambda: self._run(passage.command + own)).split()
        if state != b"done":
            return Taken(state.decode())
        age, severity, deciding, held_until, *held = map(int, words)
        until = datetime.fromtimestamp(held_until / MICRO, UTC) if held_until else None
        return Taken(DONE, age / MICRO, Choice(severity, deciding), until, tuple(held))

    def _run(self, command: bytes) -> Any:
        """By a connection of this thread's own, past the client: with its pool and its packing it takes longer than
        Redis does with the answer.
        """
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._redis.connection_pool.make_connection()
        connection.send_packed_command([command], check_health=False)
        try:
            return connection.read_response()
        except redis.exceptions.NoScriptError:
            self._redis.script_load(CHECK_LUA)
            connection.send_packed_command([command], check_health=False)
            return connection.read_response()

    def recall(self, tenant_id: int) -> Known | None:
        """The standings that this process knows."""
        return self._known.get(tenant_id)

    def fetch(self, tenant_id: int) -> Known | None:
        """Those that are stored; None where there are none. Raises CountersAway."""
        [key] = name_keys(tenant_id, "state")
        version, standings = self._ask(lambda: self._redis.hmget(key, "version", "standings"))
        if version is None:
            return None
        known = self._known.get(tenant_id)
        if known is None or known.version != version.decode():
            known = self._keep(tenant_id, version.decode(), _decode_standings(standings))
        return known

    def claim_refresh(self, tenant_id: int) -> bool:
        """Whether this process may read what several would otherwise read at once. Raises CountersAway."""
        [key] = name_keys(tenant_id, "refreshing")
        return bool(self._ask(lambda: self._redis.set(key, 1, nx=True, px=REFRESH_MS_MAX)))

    def begin_refresh(self, tenant_id: int) -> Refresh:
        """To be called before the standings are read. Raises CountersAway."""
        keys = name_keys(tenant_id, "settled")
        read_at, settled = self._ask(lambda: self._begin(keys=keys, args=[SETTLED_PER_REFRESH_MAX]))
        return Refresh(int(read_at), settled)

    def store(self, tenant_id: int, refresh: Refresh, standings: Sequence[Standing]) -> Known | None:
        """Store standings that were read after `refresh` began, and then release what was settled before; None, and
        nothing is done, where later ones are stored. Raises CountersAway.
        """
        version = f"{refresh.read_at}-{secrets.token_hex(8)}"
        values = [refresh.read_at, version, _encode(standings)]
        if not self._ask(lambda: self._store(keys=name_keys(tenant_id, "state"), args=values)):
            return None
        known = self._keep(tenant_id, version, standings)
        keys = name_keys(tenant_id, "holds", "expiry", "held", "settled")
        for start in range(0, len(refresh.settled), RELEASED_AT_ONCE_MAX):
            ids = refresh.settled[start : start + RELEASED_AT_ONCE_MAX]
            self._ask(lambda ids=ids: self._release(keys=keys, args=ids))
        return known

    def settle(self, tenant_id: int, reservation_ids: Iterable[str]) -> None:
        """Have the next refresh release these: their events are booked. Raises CountersAway."""
        self._ask(lambda: self._settle(keys=name_keys(tenant_id, "holds", "settled"), args=list(reservation_ids)))

    def list_tenants(self) -> list[int]:
        """Whose decisions were counted lately. Raises CountersAway."""
        return sorted(int(tenant_id) for tenant_id in self._ask(lambda: self._redis.smembers(TENANTS_KEY)))

    def read_tallies(self, tenant_id: int) -> list[Tally]:
        """The counts of each hour that is kept. Raises CountersAway."""
        [key] = name_keys(tenant_id, "decisions")
        counts = {field.decode(): value for field, value in self._ask(lambda: self._redis.hgetall(key)).items()}
        counter = counts.pop(COUNTER_FIELD, b"").decode()
        return [_read_tally(counter, field, int(checks)) for field, checks in counts.items()]

    def drop_tallies(self, tenant_id: int, tallies: Sequence[Tally], *, is_last: bool) -> None:
        """Forget counts of hours that are over; and the tenant, where nothing of it is left. Raises CountersAway."""
        [key] = name_keys(tenant_id, "decisions")
        fields = [_write_field(tally) for tally in tallies]
        if fields:
            self._ask(lambda: self._redis.hdel(key, *fields))
        if is_last:
            self._ask(lambda: self._redis.srem(TENANTS_KEY, tenant_id))

    def _keep(self, tenant_id: int, version: str, standings: Sequence[Standing]) -> Known:
        known = self._known[tenant_id] = Known(version, standings, self._write_command(tenant_id, version))
        while len(self._known) > TENANTS_MAX:
            self._known.popitem(last=False)
        return known

    def _write_command(self, tenant_id: int, version: str) -> bytes:
        """What is the same for all calls, of CHECK_LUA's command."""
        keys = [*name_keys(tenant_id, "state", "holds", "expiry", "held", "decisions"), TENANTS_KEY]
        words = ["EVALSHA", CHECK_SHA, str(len(keys)), *keys, str(tenant_id), self._new_counter, version]
        return b"*%d\r\n" % (len(words) + GATES_AND_OWN_WORDS) + _pack(*(word.encode() for word in words))

    def _ask(self, question: Callable[[], Any]) -> Any:
        moment = time.monotonic()
        if moment < self._away_until:
            raise CountersAway("Redis was away a moment ago")
        try:
            try:
                return question()
            except (redis.TimeoutError, redis.ConnectionError):
                # Once more: a machine that is busy keeps Redis waiting too, a Redis that was started anew has closed
                # the connections to the one before, and no script does twice what it did.
                return question()
        except (redis.RedisError, OSError) as error:
            self._away_until = moment + PAUSE_SECONDS
            logger.warning("Redis is away (%s): quotas are checked in the database", type(error).__name__)
            raise CountersAway(str(error)) from error


def name_keys(tenant_id: int, *names: str) -> list[str]:
    """A tenant's keys, all in one slot of a cluster."""
    return [f"quota:{{{tenant_id}}}:{name}" for name in names]


def _pack(*words: bytes) -> bytes:
    """As Redis reads them."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def _write_gates(gates: Iterable[Gate]) -> Iterator[int]:
    for gate in gates:
        yield from (gate.standing.budget.id, gate.remaining, len(gate.steps))
        for step in gate.steps:
            yield from step


def _read_tally(counter: str, field: str, checks: int) -> Tally:
    hour, budget_id, severity = map(int, field.split(":"))
    return Tally(counter, datetime.fromtimestamp(hour, UTC), budget_id, DECISIONS[severity], checks)


def _write_field(tally: Tally) -> str:
    return f"{tally.hour.timestamp():.0f}:{tally.budget_id}:{DECISIONS.index(tally.decision)}"


@cache
def get_counters() -> Counters:
    """This process's."""
    return Counters(settings.REDIS_URL)
