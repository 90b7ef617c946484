"""Seals beside ingest: how long a batch waits for its checkpoint, and what sealing costs those who book.

Lag: from `recorded_at` until the checkpoint over the batch is visible, at 5,000 events a second in requests of 100,
beside the same with one request at a time and nothing else to do. Cost: batch ingest with the sealer at work, beside
the same minute's with the sealer stopped (SIGSTOP); header, receipt and outbox row are in both. Alone:
`python -m bench.sealing`.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from bench.events import EventMaker
from bench.setting import Setting, describe_machine, make_result, post_batches, run_setting

EVENTS_PER_SECOND = 5_000
REQUEST_EVENTS = 100
CONNECTIONS = 8
LAG_SECONDS = 30
LAG_ROUNDS = 3
IDLE_REQUESTS = 12
COST_ROUNDS = 7
COST_BATCHES, COST_BATCH_SIZE, COST_CONNECTIONS = 40, 1_000, 4
WATCH_SECONDS = 0.05
START_SECONDS_MAX = 60

READ_HEAD_SQL = "SELECT coalesce(max(size), 0) FROM checkpoint WHERE tenant_id = %s"
LIST_BOOKED_SQL = """
    SELECT leaf_index, recorded_at FROM seal_leaf JOIN ledger_batch USING (tenant_id, batch_id)
    WHERE tenant_id = %s AND leaf_index >= %s ORDER BY leaf_index"""
COUNT_WAITING_SQL = "SELECT count(*) FROM outbox WHERE topic = 'seal'"


def run() -> list[dict[str, Any]]:
    """`seal lag p99` and `ingest beside the sealer`."""
    with run_setting() as setting:
        for name in ("sealer", "beat"):
            setting.installation.start_service(name)
        maker = EventMaker(setting.models, seed=7)
        post_batches(setting, [maker.make_batch(COST_BATCH_SIZE) for _ in range(8)], connections=COST_CONNECTIONS)
        _wait_until_sealed(setting)
        return [measure_lag(setting, maker), measure_cost(setting, maker)]


def measure_lag(setting: Setting, maker: EventMaker, *, rounds: int = LAG_ROUNDS) -> dict[str, Any]:
    """Seconds."""
    busy, idle = [], []
    for _ in range(rounds):
        bodies = [maker.make_batch(REQUEST_EVENTS) for _ in range(LAG_SECONDS * EVENTS_PER_SECOND // REQUEST_EVENTS)]
        busy.append(_find_p99(_watch_lag(setting, lambda bodies=bodies: _post_paced(setting, bodies))))
        alone = [maker.make_batch(REQUEST_EVENTS) for _ in range(IDLE_REQUESTS)]
        idle.append(_find_p99(_watch_lag(setting, lambda bodies=alone: _post_slowly(setting, bodies))))
    return make_result("seal lag p99 beside 5,000 events/s", values=busy, unit="s", yardsticks=idle)


def _post_paced(setting: Setting, bodies: list[bytes]) -> None:
    """At the rate, however long an answer takes; says so when that was not held."""
    start = time.monotonic()

    def wait_for_turns() -> Iterator[bytes]:
        for number, body in enumerate(bodies):
            time.sleep(max(0.0, start + number * REQUEST_EVENTS / EVENTS_PER_SECOND - time.monotonic()))
            yield body

    turns, lock = wait_for_turns(), threading.Lock()

    class Shared:
        def __iter__(self) -> "Shared":
            return self

        def __next__(self) -> bytes:
            with lock:
                return next(turns)

    post_batches(setting, Shared(), connections=CONNECTIONS)
    took = time.monotonic() - start
    print(f"{len(bodies) * REQUEST_EVENTS / took:,.0f} events/s", file=sys.stderr)


def _post_slowly(setting: Setting, bodies: list[bytes]) -> None:
    for body in bodies:
        post_batches(setting, [body], connections=1)
        time.sleep(0.7)


def _watch_lag(setting: Setting, work: Any) -> list[float]:
    """The lag of each batch that was sealed while `work` went on, and of the last of it."""
    heads: list[tuple[int, datetime]] = []
    stop = threading.Event()

    def watch() -> None:
        with setting.installation.connect() as connection:
            while not stop.is_set():
                (size,) = connection.execute(READ_HEAD_SQL, [setting.tenant_id]).fetchone()
                if not heads or heads[-1][0] != size:
                    heads.append((size, datetime.now(UTC)))
                time.sleep(WATCH_SECONDS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    _wait_until_sealed(setting)
    time.sleep(2 * WATCH_SECONDS)
    stop.set()
    watcher.join()
    with setting.installation.connect() as connection:
        booked = connection.execute(LIST_BOOKED_SQL, [setting.tenant_id, heads[0][0]]).fetchall()
    return [
        (next(seen for size, seen in heads if size > leaf_index) - recorded_at).total_seconds()
        for leaf_index, recorded_at in booked
    ]


def _find_p99(lags: list[float]) -> float:
    return quantiles(lags, n=100, method="inclusive")[98]


def _wait_until_sealed(setting: Setting) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    with setting.installation.connect() as connection:
        while connection.execute(COUNT_WAITING_SQL).fetchone() != (0,):
            if time.monotonic() > deadline:
                raise RuntimeError(setting.installation.read_log("sealer")[-3000:])
            time.sleep(WATCH_SECONDS)


def measure_cost(setting: Setting, maker: EventMaker, *, rounds: int = COST_ROUNDS) -> dict[str, Any]:
    ours, theirs = [], []
    for number in range(rounds):
        # In turns, so that neither is always the first.
        for is_sealing in (True, False) if number % 2 else (False, True):
            bodies = [maker.make_batch(COST_BATCH_SIZE) for _ in range(COST_BATCHES)]
            with _sealer(setting, is_stopped=not is_sealing):
                start = time.perf_counter()
                accepted = post_batches(setting, bodies, connections=COST_CONNECTIONS)
                (ours if is_sealing else theirs).append(accepted / (time.perf_counter() - start))
            _wait_until_sealed(setting)
    return make_result("batch ingest beside the sealer", values=ours, unit="events/s", yardsticks=theirs)


@contextmanager
def _sealer(setting: Setting, *, is_stopped: bool) -> Iterator[None]:
    process = setting.installation.services["sealer"]
    if is_stopped:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def main() -> None:
    print("\n".join(describe_machine()))
    for result in run():
        print(result)


if __name__ == "__main__":
    main()
