"""Buckets."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.histograms import GAMMA, ZERO_BUCKET, estimate_value, find_bucket

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
