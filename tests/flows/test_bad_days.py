"""Servers that go away and clients that misbehave, against the web server as in production.

A client is told the truth and may try again; nobody else notices; and no process of ours is restarted.
"""

import gzip
import http.client
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import NamedTuple

import pytest

from finops.embedded import stop_server
from tests.factories import make_wire_event
from tests.installation import PUBLISH_TEST_RATES, run_installation

RECOVERY_SECONDS_MAX = 10
SLOW_CLIENTS = 16  # fewer than one process's threads: a slow body holds a thread, so a proxy belongs in front

pytestmark = [pytest.mark.alone, pytest.mark.timeout(180)]


class Answer(NamedTuple):
    """What came back over a raw connection; status 0 where nothing did."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


@pytest.fixture(scope="module")
def place():
    """An installation that runs, and a key of acme's."""
    with run_installation() as installation:
        *_, key = installation.manage_in_turn(
            PUBLISH_TEST_RATES, ("create_tenant", "acme"), ("create_api_key", "acme", "--scopes", "ingest")
        )
        for name in ("web", "worker", "beat"):
            installation.start_service(name)
        installation.wait_for_web()
        yield installation, key


@pytest.fixture(scope="module")
def installation(place):
    return place[0]


@pytest.fixture(scope="module")
def key(place):
    return place[1]


@pytest.fixture(autouse=True)
def nobody_falls(installation):
    """Whatever a test does: the processes of ours that ran before it still run."""
    before = list_processes(installation)
    assert len(before) > 4
    yield
    assert list_processes(installation) == before
    assert not [line for line in installation.read_log("web").splitlines() if "Traceback" in line]


def list_processes(installation):
    """Without the worker's children: Celery ends one whose task it can no longer acknowledge, and starts another."""
    return {(name, service.pid) for name, service in installation.services.items()} | {
        (name, child.pid) for name in ("web", "beat") for child in installation.list_children(name)
    }


def connect(installation):
    return socket.create_connection(("127.0.0.1", installation.port), timeout=30)


def write_head(key, *, length=None, **headers):
    """The head of a POST of events."""
    lines = {"Host": "127.0.0.1", "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    if length is not None:
        lines["Content-Length"] = str(length)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/events HTTP/1.1\r\n{head}\r\n".encode()


def read_answer(connection):
    """The one answer on a connection."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    except (ConnectionError, http.client.BadStatusLine):
        return Answer(0, {}, b"")


def post(installation, key, events, **headers):
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    with connect(installation) as connection:
        with suppress(ConnectionError):  # a server that has heard enough answers before the end, and hangs up
            connection.sendall(write_head(key, length=len(body), Connection="close", **headers) + body)
        return read_answer(connection)


def count_entries(installation, events):
    with installation.connect() as connection:
        statement = "SELECT count(*) FROM ledger_entry WHERE event_id = ANY(%s)"
        return connection.execute(statement, [[event["id"] for event in events]]).fetchone()[0]


# --- servers ---


def test_postgresql_restarted_in_mid_batch_is_a_503_that_may_be_sent_again(installation, key):
    batches = [[make_wire_event() for _ in range(2000)] for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, installation, key, batch) for batch in batches]
        time.sleep(0.3)
        stop_server(installation.postgresql)
        late = post(installation, key, batches[0])
        first = [answer.result() for answer in answers]
    refused = [answer for answer in [*first, late] if answer.status != 200]
    assert refused
    for answer in refused:
        assert (answer.status, answer.json()["code"], answer.json()["retry_safe"]) == (503, "database_away", True)
        assert int(answer.headers["retry-after"]) >= 1
    installation.start_postgresql_again()
    deadline = time.monotonic() + RECOVERY_SECONDS_MAX
    for batch, told in zip(batches, first, strict=True):
        while (again := post(installation, key, batch)).status == 503:
            assert time.monotonic() < deadline
        assert again.json()["accepted"] + again.json()["duplicates"] == 2000
        if told.status == 200:
            assert again.json()["duplicates"] == 2000
        assert count_entries(installation, batch) == 2000


def test_every_connection_cut_again_and_again_costs_nobody_an_event(installation, key):
    batches = [[make_wire_event() for _ in range(size)] for size in (1, 3, 50, 1) * 30]

    def send(batch):
        while (answer := post(installation, key, batch)).status == 503:
            assert answer.json()["retry_safe"] is True
        return answer

    with ThreadPoolExecutor(4) as pool, installation.connect() as connection:
        answers = [pool.submit(send, batch) for batch in batches]
        while not all(answer.done() for answer in answers):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tokenledger_app'"
            )
            time.sleep(0.25)
    assert {answer.result().status for answer in answers} == {200}
    assert [count_entries(installation, batch) for batch in batches] == [1, 3, 50, 1] * 30


def test_redis_away_stops_no_booking_and_the_rollups_catch_up_when_it_is_back(installation, key):
    installation.redis.process.kill()
    installation.redis.process.wait()
    feature = f"without-redis-{os.getpid()}"
    events = [make_wire_event(feature=feature) for _ in range(30)]
    for event in events:
        start = time.monotonic()
        assert post(installation, key, event).status == 200
        assert time.monotonic() - start < 2
    installation.start_redis_again()
    deadline = time.monotonic() + 60
    statement = "SELECT coalesce(sum(calls), 0) FROM cost_hour WHERE feature = %s"
    with installation.connect() as connection:
        while connection.execute(statement, [feature]).fetchone()[0] != 30:
            assert time.monotonic() < deadline, installation.read_log("worker")[-2000:]
            time.sleep(0.2)


# --- clients ---


def test_half_a_body_is_refused_or_dropped_and_nothing_of_it_is_booked(installation, key):
    event = make_wire_event()
    body = json.dumps([event]).encode()
    with connect(installation) as connection:
        connection.sendall(write_head(key, length=len(body) + 100) + body)
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
        assert (answer.status, answer.status and answer.json()["code"]) in [(0, 0), (400, "body_incomplete")]
    with connect(installation) as connection:
        connection.sendall(write_head(key, length=len(body)) + body[:-10])
    with connect(installation) as connection:
        connection.sendall(write_head(key, length=len(body))[:40])
    assert post(installation, key, make_wire_event()).status == 200
    assert count_entries(installation, [event]) == 0


def test_slow_clients_wait_for_themselves_alone(installation, key):
    event = make_wire_event()
    body = json.dumps(event).encode()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(installation)) for _ in range(SLOW_CLIENTS)]
        for connection in slow:
            connection.sendall(write_head(key, length=len(body)) + body[:20])
        start = time.monotonic()
        for _ in range(10):
            assert post(installation, key, make_wire_event()).status == 200
        assert time.monotonic() - start < 5
        for connection in slow:
            connection.sendall(body[20:])
        answers = [read_answer(connection) for connection in slow]
    assert {answer.status for answer in answers} == {200}
    assert sum(answer.json()["accepted"] for answer in answers) == 1


def test_a_body_in_chunks_is_read_like_any_other(installation, key):
    body = json.dumps(make_wire_event()).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50], body[50:])) + b"0\r\n\r\n"
    with connect(installation) as connection:
        connection.sendall(write_head(key, Transfer_Encoding="chunked") + chunks)
        answer = read_answer(connection)
    assert (answer.status, answer.json()["accepted"]) == (200, 1)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b" " * 10_000_000, {}),
        (b"[" + b" " * 8_500_000 + b"]", {}),
        (gzip.compress(b"[" + b" " * 200_000_000), {"Content_Encoding": "gzip"}),
        (gzip.compress(gzip.compress(b" " * 200_000_000)), {"Content_Encoding": "gzip"}),
    ],
    ids=["10 MB", "8.5 MB", "gzip bomb", "gzip bomb in gzip"],
)
def test_what_is_too_large_is_refused_and_swells_no_process(installation, key, body, headers):
    before = measure_memory(installation)
    for _ in range(4):
        answer = post(installation, key, body, **headers)
        assert answer.status in (400, 413)
        assert answer.json()["code"] in ("body_too_large", "body_malformed")
    assert measure_memory(installation) - before < 80_000_000


def test_endless_chunks_are_cut_off(installation, key):
    with connect(installation) as connection:
        connection.sendall(write_head(key, Transfer_Encoding="chunked"))
        chunk = b"%x\r\n%s\r\n" % (2**20, b" " * 2**20)
        sent = 0
        try:
            while sent < 64:
                connection.sendall(chunk)
                sent += 1
            connection.sendall(b"0\r\n\r\n")
            answer = read_answer(connection)
        except ConnectionError:
            answer = Answer(0, {}, b"")
    assert answer.status in (0, 413)
    assert post(installation, key, make_wire_event()).status == 200


def measure_memory(installation):
    """The resident bytes of the largest web process."""
    return max(child.memory_info().rss for child in installation.list_children("web"))
