import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from billing.group_commit import GroupCommit


class Away(Exception):
    """Strikes every request alike."""


def make_group(handle, size=64):
    return GroupCommit(handle=handle, is_common=lambda error: isinstance(error, Away), group_size_max=size)


def test_a_lone_request_is_handled_at_once():
    assert make_group(lambda requests: [request * 2 for request in requests]).submit(21) == 42


def test_requests_that_wait_are_handled_together_and_each_gets_its_own_answer():
    groups = []
    first_is_in, go_on = threading.Event(), threading.Event()

    def handle(requests):
        groups.append(list(requests))
        first_is_in.set()
        go_on.wait(10)
        return [-request for request in requests]

    group = make_group(handle)
    with ThreadPoolExecutor(9) as pool:
        leader = pool.submit(group.submit, 100)
        first_is_in.wait(10)
        others = [pool.submit(group.submit, number) for number in range(8)]
        while len(group._queue) < 8:
            pass
        go_on.set()
        assert leader.result(10) == -100
        assert [other.result(10) for other in others] == [-number for number in range(8)]
    assert groups[0] == [100]
    assert sorted(groups[1]) == list(range(8))


def test_a_group_is_no_larger_than_its_bound_and_nobody_is_left_waiting():
    sizes = []

    def handle(requests):
        sizes.append(len(requests))
        return list(requests)

    group = make_group(handle, size=3)
    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(group.submit, range(2000))) == list(range(2000))
    assert max(sizes) <= 3
    assert not group._is_led


def test_an_error_strikes_its_own_request_alone():
    def handle(requests):
        if 13 in requests:
            raise ValueError("13")
        return list(requests)

    group = make_group(handle)

    def submit(number):
        try:
            return group.submit(number)
        except ValueError:
            return "refused"

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(submit, range(200)))
    assert answers == ["refused" if number == 13 else number for number in range(200)]


def test_a_common_error_is_not_tried_one_by_one():
    calls = []

    def handle(requests):
        calls.append(len(requests))
        raise Away

    group = make_group(handle)
    with pytest.raises(Away):
        group.submit(1)
    with pytest.raises(Away):
        group.submit(2)
    assert calls == [1, 1]
