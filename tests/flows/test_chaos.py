"""kill -9 of web, worker, sealer and PostgreSQL while eight writers send: what was acknowledged is booked, and once.

TOKENLEDGER_CHAOS_SECONDS says for how long (60); kills come at the same pace. TOKENLEDGER_CHAOS_SEED repeats the
order of the victims and what the writers choose, though not the moment of each kill.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.flows.history import find_violations
from tests.flows.traffic import World, Writer
from tests.installation import PUBLISH_TEST_RATES, Installation, run_installation

SECONDS = float(os.environ.get("TOKENLEDGER_CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("TOKENLEDGER_CHAOS_SEED") or random.randrange(10**6))
WRITERS = 8
SECONDS_PER_KILL = 60 / 36
DRAIN_SECONDS_MAX = 90
IN_FLIGHT_SECONDS_MAX = 20
TENANTS = ("acme", "globex", "initech")
# What is killed, over and over, in an order that chance makes: in 36 kills six are of the postmaster.
VICTIMS = ("postgresql", "web process", "web", "worker process", "worker", "sealer")
RATE_BOOK_LOCK = 7_264_001

pytestmark = [pytest.mark.alone, pytest.mark.timeout(SECONDS * 2 + 240)]


def test_what_is_acknowledged_survives_kill_9_and_is_booked_once():
    with run_installation() as installation:
        world = _people(installation)
        writers = [Writer(number, world, seed=SEED) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        try:
            kills, in_flight = _kill_for(SECONDS, installation, world)
        finally:
            _restart_fallen(installation)
            world.stop.set()
            for writer in writers:
                writer.join()
        _drain(installation)
        with installation.connect() as connection:
            violations = find_violations(world.history, connection)
            (entries,) = connection.execute("SELECT count(*) FROM ledger_entry").fetchone()
            alarms = connection.execute("SELECT * FROM seal_alarm").fetchall()
        seals = installation.manage("seal", "--check")
        told = Counter(verdict.status for verdict in world.history.verdicts)
        print(
            f"\nseed {SEED}: kills {dict(kills)}, requests in flight at each {in_flight}; {dict(world.counts)};"
            f" items answered {dict(told)}, entries {entries}, violations {violations}, faults {world.faults[:5]}"
        )
        if world.faults:
            print(installation.read_log("web"))
        assert violations == []
        assert world.faults == []
        assert (alarms, seals) == ([], "0 faults")
        assert min(in_flight) >= 1
        assert kills.total() >= SECONDS / 2
        assert kills["postgresql"] >= int(SECONDS / 12)
        assert min(told["accepted"], told["duplicate"], told["conflict"], told["invalid"]) > 0
        assert world.counts["status 503"] > 0


def _people(installation: Installation) -> World:
    """Tenants, keys and one price, made by the product's own commands; and its processes started."""
    said = installation.manage_in_turn(
        PUBLISH_TEST_RATES,
        *(("create_tenant", slug) for slug in TENANTS),
        *(("create_api_key", slug, "--scopes", "ingest") for slug in (*TENANTS, "operator")),
    )
    *keys, operator_key = said[-len(TENANTS) - 1 :]
    with installation.connect() as connection:
        statement = "SELECT id FROM tenant WHERE slug = %s"
        ids = [connection.execute(statement, [slug]).fetchone()[0] for slug in TENANTS]
    for name in ("web", "worker", "sealer", "beat"):
        installation.start_service(name)
    installation.wait_for_web()
    return World(
        installation.port,
        keys=dict(zip(ids, keys, strict=True)),
        operator_key=operator_key,
        slugs=dict(zip(ids, TENANTS, strict=True)),
    )


def _kill_for(seconds: float, installation: Installation, world: World) -> tuple[Counter[str], list[int]]:
    """Kill and restart at an even pace; how often each victim was killed, and how many requests waited then."""
    chance = random.Random(SEED)
    kills: Counter[str] = Counter()
    in_flight: list[int] = []
    start = last = time.monotonic()
    for victim in _choose_victims(chance):
        next_at = last + SECONDS_PER_KILL + chance.uniform(-0.5, 0.5)
        _restart_fallen(installation)
        while time.monotonic() < next_at:
            time.sleep(0.05)
            _restart_fallen(installation)
        if time.monotonic() > start + seconds and kills.total() >= seconds / 2:
            return kills, in_flight
        _move_rate_book(installation)
        processes = _find_processes(installation, victim)
        deadline = time.monotonic() + IN_FLIGHT_SECONDS_MAX
        while not (waiting := len(world.waiting)) and time.monotonic() < deadline:
            time.sleep(0.001)
        last = time.monotonic()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=5)
        kills[victim] += 1
        in_flight.append(waiting)
    raise AssertionError("the victims never end")


def _choose_victims(chance: random.Random) -> Iterator[str]:
    while True:
        yield from chance.sample(VICTIMS, len(VICTIMS))


def _find_processes(installation: Installation, victim: str) -> list[psutil.Process]:
    """A child of web or worker that chance would have met as well, or a whole service."""
    if victim == "postgresql":
        return [psutil.Process(installation.postgresql.process.pid)]
    name, _, part = victim.partition(" ")
    children = installation.list_children(name)
    if part:
        return children[:1]
    # The parent last: it would start its children again.
    return [psutil.Process(installation.services[name].pid), *children]


def _restart_fallen(installation: Installation) -> None:
    """What the supervisor does, without its pauses."""
    if installation.postgresql.process.poll() is not None:
        installation.start_postgresql_again()
    for name in ("web", "worker", "sealer", "beat"):
        if installation.services[name].poll() is not None:
            installation.kill_service(name)
            installation.start_service(name)


def _move_rate_book(installation: Installation) -> None:
    """As a publication of rates does; bookings that were priced by the book before it must price again."""
    with installation.connect() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [RATE_BOOK_LOCK])
        connection.execute("UPDATE rate_book SET version = version + 1")


def _drain(installation: Installation) -> None:
    """Wait until the worker has rolled up all that was booked, and the sealer has sealed it."""
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    with installation.connect() as connection:
        while connection.execute("SELECT count(*) FROM outbox").fetchone()[0] and time.monotonic() < deadline:
            time.sleep(0.2)
