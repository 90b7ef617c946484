"""Token buckets in Redis, which every web process shares. While Redis is away everything passes, and is counted.

A bucket fills at its rate and holds BURST_SECONDS' worth. What is wanted is taken from all buckets at once, or from
none. A want above what a bucket can hold waits until it is full, and leaves it in debt: the average is kept, and no
request is too large for ever.

A process takes SLICE_SECONDS' worth in advance where all buckets have it, so that most requests ask Redis nothing.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from threading import Lock
from typing import NamedTuple

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

BURST_SECONDS = 10
SLICES_A_SECOND = 20
SLICE_SECONDS_MAX = 1.0  # what was taken in advance and not used by then is forgotten
SLICES_MAX = 10_000
REDIS_TIMEOUT_SECONDS = 0.25
PAUSE_SECONDS = 5.0  # until a Redis that was away is asked again
TALLY_KEY = "limits:tally"
UNCHECKED = "unchecked"


class Bucket(NamedTuple):
    """whose: a tenant's id, or a key's public one; label: how /metrics names it."""

    whose: str
    resource: str
    per_second: int
    label: str

    @property
    def burst(self) -> int:
        return self.per_second * BURST_SECONDS

    @property
    def name(self) -> str:
        return f"limits:{self.whose}:{self.resource}"


class Want(NamedTuple):
    """So many tokens of one bucket."""

    bucket: Bucket
    amount: int


class Shortage(NamedTuple):
    """The bucket that has too little for longest, and after how many seconds it has enough."""

    bucket: Bucket
    seconds: float


# KEYS: the buckets, then the tally. ARGV: the time in microseconds, or 0 for this server's clock, which all processes
# share; then for each bucket its rate, burst, what is wanted, what is taken in advance, and its label.
# Answers: the place of the bucket that has too little, or 0; the seconds until it has enough; 1 where the advance was
# taken as well.
TAKE_TOKENS_LUA = """
local now = tonumber(ARGV[1])
if now == 0 then
  local clock = redis.call('TIME')
  now = clock[1] * 1000000 + clock[2]
end
local buckets, worst, wait, spare = {}, 0, 0, 1
for i = 1, #KEYS - 1 do
  local rate, burst = tonumber(ARGV[5 * i - 3]), tonumber(ARGV[5 * i - 2])
  local wanted, advance = tonumber(ARGV[5 * i - 1]), tonumber(ARGV[5 * i])
  local kept = redis.call('HMGET', KEYS[i], 'level', 'at')
  local level, at = burst, now
  if kept[1] then
    at = math.max(now, tonumber(kept[2]))
    level = math.min(burst, kept[1] + (at - kept[2]) * rate / 1000000)
  end
  local missing = (math.min(wanted, burst) - level) / rate
  if missing > wait then worst, wait = i, missing end
  if level < wanted + advance then spare = 0 end
  buckets[i] = {rate, burst, level, at, wanted, advance}
end
if worst > 0 then
  redis.call('HINCRBY', KEYS[#KEYS], ARGV[5 * worst + 1], 1)
  return {worst, string.format('%.6f', wait), 0}
end
for i = 1, #KEYS - 1 do
  local rate, burst, level, at, wanted, advance = unpack(buckets[i])
  level = level - wanted - advance * spare
  redis.call('HSET', KEYS[i], 'level', string.format('%.17g', level), 'at', string.format('%.0f', at))
  redis.call('PEXPIRE', KEYS[i], math.ceil((burst - level) / rate * 1000) + 1000)
end
return {0, '0', spare}
"""


@dataclass(slots=True)
class _Slice:
    """Tokens that this process has taken in advance, and until when by the monotonic clock they are good."""

    amount: int
    until: float


class Buckets:
    """What one process knows of the buckets."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = self._redis.register_script(TAKE_TOKENS_LUA)
        self._slices: OrderedDict[str, _Slice] = OrderedDict()
        self._lock = Lock()
        self._unchecked = 0
        self._away_until = float("-inf")

    def take(self, wants: Sequence[Want], *, now: datetime | None = None) -> Shortage | None:
        """Take what is wanted from all the buckets, or say which one has too little and take nothing.

        now: in place of the clock of Redis. While Redis is away the answer is None.
        """
        with self._lock:
            moment = time.monotonic()
            missing = [
                (want, want.amount - held)
                for want in wants
                if (held := self._count_held(want.bucket, moment)) < want.amount
            ]
            if missing:
                shortage = self._fetch(missing, moment, now)
                if shortage:
                    return shortage
            for want in wants:
                self._spend(want)
        return None

    def _count_held(self, bucket: Bucket, moment: float) -> int:
        held = self._slices.get(bucket.name)
        return held.amount if held and moment < held.until else 0

    def _spend(self, want: Want) -> None:
        held = self._slices.get(want.bucket.name)
        if held:
            held.amount = max(0, held.amount - want.amount)

    def _fetch(self, missing: Sequence[tuple[Want, int]], moment: float, now: datetime | None) -> Shortage | None:
        """Ask Redis for what is missing, and for slices beyond; they are then held."""
        if moment < self._away_until:
            self._unchecked += 1
            return None
        advances = [want.bucket.per_second // SLICES_A_SECOND for want, _ in missing]
        try:
            worst, seconds, has_advance = self._take(
                keys=[*(want.bucket.name for want, _ in missing), TALLY_KEY],
                args=[_write_moment(now), *_write_wants(missing, advances)],
            )
            self._report_unchecked()
        except (redis.RedisError, OSError) as error:
            self._note_absence(error, moment)
            return None
        if worst:
            return Shortage(missing[worst - 1][0].bucket, float(seconds))
        for (want, _), advance in zip(missing, advances, strict=True):
            self._hold(want, advance * has_advance, moment)
        return None

    def _hold(self, want: Want, advance: int, moment: float) -> None:
        name = want.bucket.name
        self._slices[name] = _Slice(want.amount + advance, moment + SLICE_SECONDS_MAX)
        self._slices.move_to_end(name)
        if len(self._slices) > SLICES_MAX:
            self._slices.popitem(last=False)

    def _note_absence(self, error: Exception, moment: float) -> None:
        if not self._unchecked:
            logger.warning("Redis is away (%s): limits are not checked until it is back", type(error).__name__)
        self._unchecked += 1
        self._away_until = moment + PAUSE_SECONDS

    def _report_unchecked(self) -> None:
        """Count what passed meanwhile, now that Redis is back."""
        if self._unchecked:
            self._redis.hincrby(TALLY_KEY, UNCHECKED, self._unchecked)
            logger.warning("Redis is back: limits are checked again, %d times they were not", self._unchecked)
            self._unchecked = 0

    def read_tally(self) -> Mapping[str, int]:
        """How often each bucket had too little, by its label, and under UNCHECKED how often nobody looked.

        Raises redis.RedisError or OSError while Redis is away.
        """
        return {label.decode(): int(count) for label, count in self._redis.hgetall(TALLY_KEY).items()}


def _write_moment(now: datetime | None) -> int:
    return round(now.timestamp() * 1_000_000) if now else 0


def _write_wants(missing: Iterable[tuple[Want, int]], advances: Iterable[int]) -> Iterable[int | str]:
    for (want, amount), advance in zip(missing, advances, strict=True):
        yield from (want.bucket.per_second, want.bucket.burst, amount, advance, want.bucket.label)


@cache
def get_buckets() -> Buckets:
    """This process's."""
    return Buckets(settings.REDIS_URL)
