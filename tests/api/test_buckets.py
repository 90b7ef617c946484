"""Token buckets: exact by a clock that is given, shared by processes, and open while Redis is away."""

import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import pytest
import redis

from api.buckets import UNCHECKED, Bucket, Buckets, Shortage, Want

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def buckets(redis_server):
    return Buckets(redis_server)


def make_bucket(per_second, *, resource="events", label=None):
    return Bucket(f"test-{token_hex(6)}", resource, per_second, label or f"acme-{token_hex(4)} tenant {resource}")


def test_a_full_bucket_holds_ten_seconds_worth_and_fills_at_its_rate(buckets):
    bucket = make_bucket(10)
    assert buckets.take([Want(bucket, 99)], now=at(0)) is None
    assert buckets.take([Want(bucket, 1)], now=at(0)) is None
    assert buckets.take([Want(bucket, 1)], now=at(0)) == Shortage(bucket, 0.1)
    assert buckets.take([Want(bucket, 1)], now=at(0.099)) == Shortage(bucket, 0.001)
    assert buckets.take([Want(bucket, 1)], now=at(0.1)) is None
    assert buckets.take([Want(bucket, 10)], now=at(1)) == Shortage(bucket, 0.1)
    assert buckets.take([Want(bucket, 100)], now=at(10)) == Shortage(bucket, 0.1)  # 0.9 s have filled 9
    assert buckets.take([Want(bucket, 100)], now=at(1_000)) is None
    assert buckets.take([Want(bucket, 1)], now=at(1_000)) == Shortage(bucket, 0.1)


def test_all_buckets_give_or_none_does(buckets):
    events, size = make_bucket(10), make_bucket(1, resource="bytes")
    assert buckets.take([Want(events, 50), Want(size, 8)], now=at(0)) is None
    assert buckets.take([Want(events, 50), Want(size, 4)], now=at(0)) == Shortage(size, 2)
    assert buckets.take([Want(events, 50), Want(size, 2)], now=at(0)) is None


def test_the_bucket_that_takes_longest_is_named(buckets):
    fast, slow = make_bucket(10), make_bucket(1)
    assert buckets.take([Want(fast, 100), Want(slow, 10)], now=at(0)) is None
    assert buckets.take([Want(fast, 30), Want(slow, 2)], now=at(0)) == Shortage(fast, 3)
    assert buckets.take([Want(fast, 10), Want(slow, 2)], now=at(0)) == Shortage(slow, 2)


def test_a_want_above_what_a_bucket_holds_is_met_when_it_is_full_and_paid_off_afterwards(buckets):
    bucket = make_bucket(10)
    assert buckets.take([Want(bucket, 1)], now=at(0)) is None
    assert buckets.take([Want(bucket, 250)], now=at(0)) == Shortage(bucket, 0.1)
    assert buckets.take([Want(bucket, 250)], now=at(0.1)) is None
    assert buckets.take([Want(bucket, 1)], now=at(0.1)) == Shortage(bucket, 15.1)
    assert buckets.take([Want(bucket, 1)], now=at(15.2)) is None


def test_a_clock_that_goes_back_gives_nothing_twice(buckets):
    bucket = make_bucket(10)
    assert buckets.take([Want(bucket, 100)], now=at(5)) is None
    assert buckets.take([Want(bucket, 1)], now=at(0)) == Shortage(bucket, 0.1)
    assert buckets.take([Want(bucket, 10)], now=at(6)) is None
    assert buckets.take([Want(bucket, 1)], now=at(6)) == Shortage(bucket, 0.1)


def test_a_lower_limit_holds_at_once(buckets):
    bucket = make_bucket(10)
    assert buckets.take([Want(bucket, 1)], now=at(0)) is None
    assert buckets.take([Want(bucket._replace(per_second=1), 10)], now=at(0)) is None
    assert buckets.take([Want(bucket._replace(per_second=1), 1)], now=at(0)) == Shortage(
        bucket._replace(per_second=1), 1
    )


def test_a_hundred_threads_of_two_processes_get_what_one_bucket_holds(redis_server):
    pair, bucket, given = [Buckets(redis_server), Buckets(redis_server)], make_bucket(10), []
    start = threading.Barrier(200)

    def take(number):
        start.wait()
        given.append(pair[number % 2].take([Want(bucket, 1)], now=at(0)) is None)

    threads = [threading.Thread(target=take, args=[number]) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (given.count(True), given.count(False)) == (100, 100)


def test_a_process_takes_a_twentieth_of_a_second_in_advance_and_asks_redis_no_more(buckets, monkeypatch):
    bucket = make_bucket(1_000)
    assert buckets.take([Want(bucket, 1)], now=at(0)) is None
    asked = []
    monkeypatch.setattr(buckets, "_take", lambda **_: asked.append(1) or (0, b"0", 1))
    for _ in range(50):
        assert buckets.take([Want(bucket, 1)], now=at(0)) is None
    assert asked == []
    assert buckets.take([Want(bucket, 1)], now=at(0)) is None
    assert asked == [1]


def test_no_more_is_given_than_was_there_though_it_is_taken_in_advance(redis_server):
    """1,000 a second, 10,000 at once: two processes hold at most 50 each that the other might have had."""
    pair, bucket = [Buckets(redis_server), Buckets(redis_server)], make_bucket(1_000)
    given = sum(pair[number % 2].take([Want(bucket, 7)], now=at(0)) is None for number in range(4_000)) * 7
    assert 10_000 - 100 < given <= 10_000


def test_what_was_taken_in_advance_is_forgotten_after_a_second(buckets, monkeypatch):
    bucket = make_bucket(1_000)
    assert buckets.take([Want(bucket, 1)], now=at(0)) is None
    later = time.monotonic() + 1.01
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert buckets.take([Want(bucket, 10_000)], now=at(0)) == Shortage(bucket, 0.051)


def test_a_bucket_that_is_full_again_is_no_longer_kept(buckets, redis_server):
    bucket = make_bucket(100)
    buckets.take([Want(bucket, 500)])
    left = redis.Redis.from_url(redis_server).pttl(bucket.name)
    assert 5_000 < left <= 6_100


def test_shortages_are_counted_by_bucket(buckets):
    bucket = make_bucket(1)
    buckets.take([Want(bucket, 10)], now=at(0))
    for _ in range(3):
        buckets.take([Want(bucket, 1)], now=at(0))
    assert buckets.read_tally()[bucket.label] == 3


def test_without_redis_everything_passes_at_once_and_is_said_once(caplog):
    buckets, bucket = Buckets("unix:///nonexistent/redis.sock"), make_bucket(1)
    start = time.perf_counter()
    with caplog.at_level(logging.WARNING, "api.buckets"):
        assert [buckets.take([Want(bucket, 100)]) for _ in range(1_000)] == [None] * 1_000
    assert time.perf_counter() - start < 1
    assert [record.getMessage() for record in caplog.records] == [
        "Redis is away (ConnectionError): limits are not checked until it is back"
    ]


def test_a_redis_that_hangs_delays_one_request_in_five_seconds_by_a_quarter_of_one(caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        buckets, bucket = Buckets(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"), make_bucket(1)
        start = time.perf_counter()
        assert [buckets.take([Want(bucket, 100)]) for _ in range(1_000)] == [None] * 1_000
        assert 0.2 < time.perf_counter() - start < 1


def test_what_nobody_checked_is_counted_when_redis_is_back(redis_server, monkeypatch, caplog):
    buckets, bucket = Buckets(redis_server), make_bucket(1)
    before = buckets.read_tally().get(UNCHECKED, 0)

    def refuse(**_):
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(buckets, "_take", refuse)
        for _ in range(3):
            assert buckets.take([Want(bucket, 10)]) is None
    later = time.monotonic() + 5.01
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert buckets.take([Want(bucket, 10)], now=at(0)) is None
    assert buckets.take([Want(bucket, 1)], now=at(0)) == Shortage(bucket, 1)
    assert buckets.read_tally()[UNCHECKED] == before + 3
    assert [record.getMessage() for record in caplog.records][-1:] == [
        "Redis is back: limits are checked again, 3 times they were not"
    ]
