"""A web process forgets what it has booked; `python -m bench.memory` measures the same over a million events."""

import pytest

from bench.memory import measure_growth
from bench.setting import run_setting

GROWTH_MB_MAX = 15  # a process that kept a kilobyte of each event would have grown by 30; noise is up to 10

pytestmark = [pytest.mark.alone, pytest.mark.timeout(180)]


def test_a_web_process_does_not_grow_with_what_it_books():
    with run_setting(web=("--workers=1",)) as setting:
        [growth] = measure_growth(setting, first=15_000, last=45_000, samples=5)
    assert growth < GROWTH_MB_MAX
