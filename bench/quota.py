"""Quota checks over HTTP: 1,000 a second, each holding money in four budgets, beside 2,000 events a second that are
booked and let go of what was held, with worker and beat as in production.

The yardstick is a bare round trip to the same Redis in the same run, at the same rate and beside the same ingest: a
script that reads and writes as many keys, sent by the same load generator over the same kind of socket. Times are those
of the client on the loopback interface, from the first byte sent to the last one received, and again from the moment
at which the request was due: a request that waits for the generator is not left out. Alone: `python -m bench.quota`.
"""

import http.client
import json
import multiprocessing
import queue
import selectors
import socket
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil

from bench.events import FEATURES, EventMaker
from bench.setting import Setting, describe_database, describe_machine, run_setting
from tests.installation import HOST

ROUNDS = 3
ROUND_SECONDS = 10
WARM_SECONDS = 3  # not counted
LOADS = ((1_000, 2_000), (250, 500))  # checks and events a second
BATCH_SIZE = 100
CONNECTIONS = 32
MODELS = 50  # that a tenant uses
MAKE_BUDGETS = """
from datetime import UTC, datetime
from alerts.budgets import create_budget
from alerts.core.budget_terms import read_terms
from bench.events import FEATURES
from tenants.selectors import get_tenant
scopes = [{}, {"environment": "production"}, {"cost_center": "retail"}, *({"feature": name} for name in FEATURES)]
for number, scope in enumerate(scopes):
    terms = read_terms({"name": f"budget {number}", "scope": scope, "window": "month", "amount": "1000000000",
                        "actions": [{"at_percent": 80, "do": "warn"}, {"at_percent": 100, "do": "deny"}]})
    create_budget(terms, tenant_id=get_tenant("acme").id, actor="command", now=datetime.now(UTC))
"""
# As many reads and writes as a check of four budgets makes.
YARDSTICK_LUA = """
redis.call('TIME') redis.call('HMGET', KEYS[1], 'a', 'b') redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', 0, 'LIMIT', 0, 9)
for i = 1, 4 do redis.call('HGET', KEYS[3], i) end
redis.call('HSET', KEYS[4], ARGV[1], '1') redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
for i = 1, 4 do redis.call('HINCRBY', KEYS[3], i, 1) end
for i = 2, 4 do redis.call('EXPIRE', KEYS[i], 60) end
redis.call('HINCRBY', KEYS[5], 'c', 1)
return 'done 0 0 0 0 0 0 0'"""


@dataclass(slots=True)
class Load:
    """What a load generator saw: milliseconds of each request from its sending, and from when it was due."""

    from_sent: list[float] = field(default_factory=list)
    from_due: list[float] = field(default_factory=list)
    processor_share: float = 0  # of one core, what the generator took
    refused: int = 0
    by_database: int = 0  # that Redis did not answer in time


def find_percentile(values: Sequence[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


@dataclass(slots=True, eq=False)
class _Line:
    """A connection, and the request that is under way on it."""

    socket: socket.socket
    due: float = 0
    sent: float = 0
    received: bytearray = field(default_factory=bytearray)


def send_steadily(
    connect: Callable[[], socket.socket],
    make_request: Callable[[], bytes],
    is_whole: Callable[[bytearray], bool],
    take: Callable[[bytes], bool],
    *,
    per_second: int,
) -> Load:
    """Requests at an even rate, whatever becomes of those before. take: whether an answer is a good one."""
    load, clock = Load(), time.perf_counter
    selector, free, waiting = selectors.DefaultSelector(), deque(), deque()
    for _ in range(CONNECTIONS):
        line = _Line(connect())
        selector.register(line.socket, selectors.EVENT_READ, line)
        free.append(line)
    begun, number, answered, used = clock(), 0, 0, time.process_time()
    count = per_second * (WARM_SECONDS + ROUND_SECONDS)
    while answered < count:
        while number < count and begun + number / per_second <= clock():
            waiting.append(begun + number / per_second)
            number += 1
        while waiting and free:
            line = free.pop()
            line.due, line.sent = waiting.popleft(), clock()
            line.socket.sendall(make_request())
        pause = begun + number / per_second - clock() if number < count else 1
        for key, _ in selector.select(max(0, pause)):
            line = key.data
            line.received += line.socket.recv(65_536)
            if is_whole(line.received):
                now = clock()
                answered += 1
                if not take(bytes(line.received)):
                    load.refused += 1
                if line.due > begun + WARM_SECONDS:
                    load.from_sent.append((now - line.sent) * 1000)
                    load.from_due.append((now - line.due) * 1000)
                line.received.clear()
                free.append(line)
    load.processor_share = (time.process_time() - used) / (clock() - begun)
    return load


def has_whole_answer(received: bytearray) -> bool:
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return False
    start = received.lower().find(b"content-length: ", 0, head)
    return len(received) >= head + 4 + int(received[start + 16 : received.find(b"\r\n", start)])


# --- the three loads, each in a process of its own ---


def send_checks(port: int, key: str, models: Sequence[tuple[str, str]], reservations: Any, per_second: int) -> Load:
    number = by_database = 0

    def connect() -> socket.socket:
        line = socket.create_connection((HOST, port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    def make_request() -> bytes:
        nonlocal number
        number += 1
        provider, model = models[number % len(models)]
        body = json.dumps({
            "provider": provider, "model": model, "feature": FEATURES[number % len(FEATURES)], "cost_center": "retail",
            "user": f"u-{number % 2_000}", "estimated_input_tokens": 1_200, "max_output_tokens": 300, "reserve": True,
        }).encode()  # fmt: skip
        return (
            f"POST /v1/quota/check HTTP/1.1\r\nHost: {HOST}:{port}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def take(answer: bytes) -> bool:
        nonlocal by_database
        if not answer.startswith(b"HTTP/1.1 200"):
            print(answer[:500], file=sys.stderr)
            return False
        document = json.loads(answer[answer.index(b"\r\n\r\n") :])
        if document["reservation_id"]:
            reservations.put(document["reservation_id"])
        by_database += document["counters"] == "database"
        return True

    load = send_steadily(connect, make_request, has_whole_answer, take, per_second=per_second)
    load.by_database = by_database
    reservations.cancel_join_thread()  # nobody waits for those that were not taken
    return load


def send_round_trips(path: str, per_second: int) -> Load:
    """The yardstick."""
    number = 0

    def connect() -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.connect(path)
        return line

    def write(*words: object) -> bytes:
        texts = [str(word).encode() for word in words]
        return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)

    loader = connect()
    loader.sendall(write("SCRIPT", "LOAD", YARDSTICK_LUA))
    sha = loader.recv(1_000).split(b"\r\n")[1].decode()

    def make_request() -> bytes:
        nonlocal number
        number += 1
        filler = [f"{word}{number}" for word in range(26)]  # about as many words as four budgets take
        keys = [f"{{bench}}:{name}" for name in ("state", "expiry", "held", "holds", "decisions")]
        return write("EVALSHA", sha, 5, *keys, f"r{number}", number, *filler)

    def is_whole(received: bytearray) -> bool:
        return received.count(b"\r\n") >= 2

    return send_steadily(connect, make_request, is_whole, lambda answer: answer.startswith(b"$"), per_second=per_second)


def send_events(
    port: int, key: str, models: Sequence[tuple[str, str]], seed: int, reservations: Any, per_second: int, end: Any
) -> int:
    """Batches at an even rate until `end`; half of their events name a reservation, where there is one."""
    connection, accepted = http.client.HTTPConnection(HOST, port), 0
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    maker, due = EventMaker(models, seed=seed), time.perf_counter()
    while not end.is_set():
        events = [maker.make_event() for _ in range(BATCH_SIZE)]
        for place in range(0, BATCH_SIZE, 2):
            with suppress(queue.Empty):
                events[place] = f'{events[place][:-1]},"reservation_id":"{reservations.get_nowait()}"}}'
        time.sleep(max(0, due - time.perf_counter()))
        due += BATCH_SIZE / per_second
        connection.request("POST", "/v1/events", f"[{','.join(events)}]".encode(), headers)
        accepted += json.loads(connection.getresponse().read())["accepted"]
    return accepted


# --- rounds ---


def run() -> list[dict[str, Any]]:
    """`quota check`: its 50th and 99th percentile in milliseconds, at each of LOADS."""
    with run_setting() as setting:
        installation = setting.installation
        key, _ = installation.manage_in_turn(
            ("create_api_key", "acme", "--scopes", "ingest,quota"), ("shell", "--command", MAKE_BUDGETS)
        )
        installation.start_service("worker")
        installation.start_service("beat")
        _run_round(setting, key, 0, LOADS[-1])  # until each process has its rates, connections and plans
        rounds = {
            load: [_run_round(setting, key, place * ROUNDS + number, load) for number in range(1, ROUNDS + 1)]
            for place, load in enumerate(LOADS)
        }
        print("\n".join(describe_database(setting)), file=sys.stderr)
    return [
        _make_result(f"quota check at {load[0]:,} a second, {percent}th percentile", percent, of_load)
        for load, of_load in rounds.items()
        for percent in (50, 99)
    ]


def _run_round(setting: Setting, key: str, number: int, load: tuple[int, int]) -> tuple[Load, Load]:
    """The checks, then the bare round trips, both beside the same ingest."""
    path = setting.installation.redis.url.removeprefix("unix://").partition("?")[0]
    context = multiprocessing.get_context("fork")
    end, reservations = context.Event(), context.Queue()
    started = time.perf_counter()
    before = setting.count_entries()
    ingest = context.Process(
        target=send_events, args=(setting.port, key, setting.models[:MODELS], number, reservations, load[1], end)
    )
    ingest.start()
    try:
        used, begun = _tell_processors(setting), time.perf_counter()
        checks = _run_apart(context, send_checks, setting.port, key, setting.models[:MODELS], reservations, load[0])
        shares = _tell_shares(used, _tell_processors(setting), time.perf_counter() - begun)
        trips = _run_apart(context, send_round_trips, path, load[0])
    finally:
        end.set()
        ingest.join()
    per_second = (setting.count_entries() - before) / (time.perf_counter() - started)
    if checks.refused or trips.refused:
        raise RuntimeError(f"{checks.refused} checks and {trips.refused} round trips were not answered as they should")
    _tell("checks", number, checks)
    _tell("bare round trips", number, trips)
    busy = f"of a core: {shares}; processors {psutil.cpu_percent():.0f} % busy"
    print(f"  beside {per_second:,.0f} events/s; {checks.by_database} by the database; {busy}", file=sys.stderr)
    return checks, trips


def _tell(what: str, number: int, load: Load) -> None:
    told = [
        f"p{percent} {find_percentile(load.from_sent, percent):.2f} ms, "
        f"{find_percentile(load.from_due, percent):.2f} from when it was due"
        for percent in (50, 99)
    ]
    generator = f"the generator took {load.processor_share:.0%} of a core"
    print(f"round {number}, {what}: {'; '.join(told)}; {generator}", file=sys.stderr)


def _tell_processors(setting: Setting) -> dict[tuple[str, int], float]:
    """Seconds of processor time that each process of the installation has taken so far, by its part and id."""
    installation = setting.installation
    parts = {name: service.pid for name, service in installation.services.items()}
    parts |= {"postgresql": installation.postgresql.process.pid, "redis": installation.redis.process.pid}
    seconds = {}
    for name, pid in parts.items():
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                times = one.cpu_times()
                seconds[name, one.pid] = times.user + times.system
    return seconds


def _tell_shares(before: dict[tuple[str, int], float], after: dict[tuple[str, int], float], seconds: float) -> str:
    """Of one core, by part, of the processes that lived all the time."""
    parts: dict[str, float] = defaultdict(float)
    for (name, pid), used in after.items():
        parts[name] += used - before.get((name, pid), used)
    return ", ".join(f"{name} {used / seconds:.0%}" for name, used in parts.items())


def _run_apart(context: Any, work: Callable[..., Load], *arguments: Any) -> Load:
    taken, given = context.Pipe(duplex=False)
    process = context.Process(target=lambda: given.send(work(*arguments)))
    process.start()
    given.close()
    try:
        return taken.recv()
    finally:
        process.join()


def _make_result(name: str, percent: int, rounds: Sequence[tuple[Load, Load]]) -> dict[str, Any]:
    ours, theirs = ([find_percentile(load.from_sent, percent) for load in loads] for loads in zip(*rounds, strict=True))
    return {
        "name": name,
        "value": round(median(ours), 2),
        "unit": "ms",
        "yardstick": round(median(theirs), 2),
        "ratio": round(median(mine / bare for mine, bare in zip(ours, theirs, strict=True)), 2),
        "runs": [round(value, 2) for value in ours],
    }


if __name__ == "__main__":
    print("\n".join(describe_machine()))
    for result in run():
        print(f"{result['name']}: {result['value']} {result['unit']}, bare round trip {result['yardstick']}")
        print(f"  runs {result['runs']}, {result['ratio']} × the bare round trip")
