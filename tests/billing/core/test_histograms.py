"""Buckets and percentiles."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.histograms import GAMMA, ZERO_BUCKET, estimate_value, find_bucket, find_percentiles

values = st.one_of(st.integers(1, 10**12), st.decimals("0.000000000001", "999999999999", places=12, allow_nan=False))


@given(values)
def test_what_stands_in_a_bucket_is_within_one_percent_of_its_estimate(value):
    estimate = estimate_value(find_bucket(value))
    # 1 % and the rounding of the estimate to six digits
    assert abs(estimate - value) <= Decimal("0.010001") * value


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        (0, ZERO_BUCKET),
        (Decimal("0.000000000000"), -32768),
        (1, 0),  # ln 1 = 0
        (2, 35),  # ln 2 / ln (1.01 / 0.99) = 34.66
        (1000, 346),  # 345.38
        (Decimal("0.0048"), -266),  # -266.95
        (-1000, 346),  # a reversal's bucket is that of what it reverses
    ],
)
def test_a_bucket_is_the_logarithm_rounded_up(value, bucket):
    assert find_bucket(value) == bucket


def test_gamma_is_what_one_percent_needs():
    assert math.isclose((GAMMA - 1) / (GAMMA + 1), 0.01)


def test_percentiles_are_nearest_ranks():
    counts = {find_bucket(10): 50, find_bucket(100): 45, find_bucket(1000): 4, find_bucket(10_000): 1}
    found = find_percentiles(counts, (50, 95, 99, 100))
    # The 50th, 95th, 99th and 100th of a hundred values.
    for percent, value in ((50, 10), (95, 100), (99, 1000), (100, 10_000)):
        assert abs(found[percent] - value) <= Decimal("0.01") * value


def test_percentiles_of_nothing_are_nothing():
    assert find_percentiles({}, (50,)) == {}
    assert find_percentiles({12: 1, 40: -1}, (50,)) == {}


def test_zero_is_the_smallest_value():
    assert find_percentiles({ZERO_BUCKET: 3, 0: 1}, (50, 75, 99)) == {
        50: Decimal(0), 75: Decimal(0), 99: Decimal("0.99"),
    }  # fmt: skip


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60), st.lists(st.integers(1, 10**6), max_size=60))
def test_histograms_merge_by_addition(some, others):
    merged: dict[int, int] = {}
    for value in some + others:
        merged[find_bucket(value)] = merged.get(find_bucket(value), 0) + 1
    everything = sorted(some + others)
    for percent, estimate in find_percentiles(merged, (50, 90)).items():
        exact = everything[math.ceil(percent * len(everything) / 100) - 1]
        assert abs(estimate - exact) <= Decimal("0.010001") * exact
