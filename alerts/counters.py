"""What is reserved of budgets, in Redis, which every web process shares; and how the budgets stood a moment ago.

What was spent is never counted up here: a refresh reads it from PostgreSQL and stores it together with the release of
the holds whose events are in it. So a call is counted as held, or as spent, or for a moment as both, and never as
neither. A refresh takes the list of what was settled before it reads, and one that was overtaken stores nothing.

A check decides by the standings that its process knows, and only if they are those that are stored.

Of a tenant there are: `state` (version, when it was read, standings as JSON), `holds` (reservation → nano-USD,
severity, budgets), `expiry` (reservation → when), `held` (budget → sum), `settled` (reservations whose event is
booked), `decisions` (hour:budget:severity → checks) and `refreshing` (that somebody is at it).
"""

import hashlib
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

logger = logging.getLogger(__name__)

REDIS_TIMEOUT_SECONDS = 0.05
PAUSE_SECONDS = 1.0  # until a Redis that was away is asked again
HOLD_SECONDS_MAX = 3600
KEPT_SECONDS = 2 * HOLD_SECONDS_MAX  # longer than any hold
DECISIONS_KEPT_SECONDS = 3 * 86_400
SETTLED_PER_REFRESH_MAX = 2_000  # the others stay held until the next
RELEASED_AT_ONCE_MAX = 200  # Redis does nothing else meanwhile
REFRESH_MS_MAX = 400  # for which one process keeps the others from reading the same
TENANTS_MAX = 10_000  # whose standings a process remembers
PASSAGES_MAX = 1_000  # of a tenant, for the half second for which its standings stay
MICRO = 1_000_000
TENANTS_KEY = "quota:tenants"  # of which decisions were counted
COUNTER_FIELD = "counter"  # of `decisions`: which set of counts this is; a Redis that was emptied begins another
DONE, STALE, OLD = "done", "stale", "old"

FUNCTIONS_LUA = (
    f"""
local KEPT_SECONDS, DECISIONS_KEPT_SECONDS = {KEPT_SECONDS}, {DECISIONS_KEPT_SECONDS}
local NANO_END, DENY, COUNTER = 9007199254740992, 3, '{COUNTER_FIELD}'
"""
    + """
local function tell_time()
  local clock = redis.call('TIME')
  return clock[1] * 1000000 + clock[2]
end
local function cut(text)
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  return words
end
local function release(holds, expiry, held, ids)
  if #ids == 0 then return end
  local sums = {}
  for _, hold in ipairs(redis.call('HMGET', holds, unpack(ids))) do
    local words = hold and cut(hold) or {}
    for i = 3, #words do sums[words[i]] = (sums[words[i]] or 0) + tonumber(words[1]) end
  end
  for budget, sum in pairs(sums) do
    if redis.call('HINCRBY', held, budget, string.format('-%.0f', sum)) <= 0 then redis.call('HDEL', held, budget) end
  end
  redis.call('HDEL', holds, unpack(ids))
  redis.call('ZREM', expiry, unpack(ids))
end
"""
)
# KEYS: state, holds, expiry, held, decisions, the tenants. ARGV: the tenant, a name for a new set of counts, the
# version that the caller knows; in one text, because each argument costs the client, for each budget its id, what
# remains of it, and the number of its steps with each one's severity and room; and then what each call has of its own:
# how old the standings may be in microseconds, the reservation to make ('' for none), the call's nano-USD, and how long
# to hold it in microseconds.
# Answers words: 'stale' where other standings are stored than the caller knows; 'old'; or 'done', their age, the
# severity, the place of the budget that decides, until when something is held or 0, and what was held in each budget
# besides. Steps are compared as `alerts.core.quota.choose` does it.
CHECK_LUA = (
    FUNCTIONS_LUA
    + """
local now = tell_time()
local state = redis.call('HMGET', KEYS[1], 'version', 'read_at')
if state[1] ~= ARGV[3] then return 'stale' end
local age = now - state[2]
if age > tonumber(ARGV[5]) or age < -1000000 then return 'old' end
release(KEYS[2], KEYS[3], KEYS[4], redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100))
local id, amount = ARGV[6], tonumber(ARGV[7])
local own, before = {}, id ~= '' and redis.call('HGET', KEYS[2], id)
if before then
  before = cut(before)
  for i = 3, #before do own[before[i]] = tonumber(before[1]) end
end
local severity, deciding, least, held_until, can_hold = 0, -1, 0, 0, id ~= '' and amount > 0
local budgets, helds, gates, at = {}, {}, cut(ARGV[4]), 1
while at <= #gates do
  local budget, remaining, steps = gates[at], tonumber(gates[at + 1]), tonumber(gates[at + 2])
  local used, reached = tonumber(redis.call('HGET', KEYS[4], budget) or '0') - (own[budget] or 0), 0
  for step = at + 3, at + 1 + 2 * steps, 2 do
    local room = tonumber(gates[step + 1])
    if used >= room or amount > room - used then reached = math.max(reached, tonumber(gates[step])) end
  end
  if deciding < 0 or reached > severity or (reached == severity and remaining - used < least) then
    severity, deciding, least = reached, #budgets, remaining - used
  end
  can_hold = can_hold and amount < NANO_END - used
  budgets[#budgets + 1] = budget
  helds[#helds + 1] = string.format('%.0f', used)
  at = at + 3 + 2 * steps
end
if before then
  severity, held_until = tonumber(before[2]), tonumber(redis.call('ZSCORE', KEYS[3], id) or '0')
elseif deciding >= 0 then
  if can_hold and severity < DENY then
    held_until = now + tonumber(ARGV[8])
    redis.call('HSET', KEYS[2], id, ARGV[7] .. ' ' .. severity .. ' ' .. table.concat(budgets, ' '))
    redis.call('ZADD', KEYS[3], string.format('%.0f', held_until), id)
    for _, budget in ipairs(budgets) do redis.call('HINCRBY', KEYS[4], budget, ARGV[7]) end
    for i = 2, 4 do redis.call('EXPIRE', KEYS[i], KEPT_SECONDS) end
  end
  local field = string.format('%.0f:%s:%d', math.floor(now / 3600000000) * 3600, budgets[deciding + 1], severity)
  if redis.call('HINCRBY', KEYS[5], field, 1) == 1 then
    redis.call('HSETNX', KEYS[5], COUNTER, ARGV[2])
    redis.call('EXPIRE', KEYS[5], DECISIONS_KEPT_SECONDS)
    redis.call('SADD', KEYS[6], ARGV[1])
  end
end
return string.format('done %.0f %d %d %.0f ', age, severity, deciding, held_until) .. table.concat(helds, ' ')
"""
)
CHECK_SHA = hashlib.sha1(CHECK_LUA.encode(), usedforsecurity=False).hexdigest()
GATES_AND_OWN_WORDS = 5
# KEYS: settled. ARGV: how many at most. Answers the time, and the reservations: read by whoever reads standings next.
BEGIN_LUA = (
    FUNCTIONS_LUA
    + """
return {string.format('%.0f', tell_time()), redis.call('SRANDMEMBER', KEYS[1], ARGV[1])}
"""
)
# KEYS: state. ARGV: the time that BEGIN_LUA told, the version, the standings. A clock that was set back must not keep
# what was read before that.
STORE_LUA = (
    FUNCTIONS_LUA
    + """
local stored = tonumber(redis.call('HGET', KEYS[1], 'read_at') or '0')
if stored > tonumber(ARGV[1]) and stored <= tell_time() then return 0 end
redis.call('HSET', KEYS[1], 'read_at', ARGV[1], 'version', ARGV[2], 'standings', ARGV[3])
redis.call('EXPIRE', KEYS[1], KEPT_SECONDS)
return 1
"""
)
# KEYS: holds, expiry, held, settled. ARGV: reservations that BEGIN_LUA told.
RELEASE_LUA = (
    FUNCTIONS_LUA
    + """
release(KEYS[1], KEYS[2], KEYS[3], ARGV)
redis.call('SREM', KEYS[4], unpack(ARGV))
"""
)
# KEYS: holds, settled. ARGV: reservations whose events are booked; those that hold nothing are passed over.
SETTLE_LUA = (
    FUNCTIONS_LUA
    + """
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], id) == 1 then redis.call('SADD', KEYS[2], id) end
end
redis.call('EXPIRE', KEYS[2], KEPT_SECONDS)
"""
)


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
