from datetime import timedelta
from decimal import Decimal

import pytest

from billing.core.figures import (
    write_amount,
    write_duration,
    write_exact,
    write_percent,
    write_quantity,
    write_signed,
)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("32775.31", "32,775.31"),
        ("1234.565", "1,234.56"),  # half-even
        ("1234.575", "1,234.58"),
        ("0.36", "0.36"),
        ("0.1", "0.10"),
        ("0.0995", "0.0995"),
        ("0.099999", "0.100"),
        ("0.0260016", "0.0260"),  # a tiny cost keeps three significant digits
        ("0.003612", "0.00361"),
        ("0.05", "0.0500"),
        ("0.000000000001", "0.00000000000100"),  # one pico-dollar is never 0.00
        ("-1234.5", "−1,234.50"),  # a true minus
        ("0", "0.00"),
        ("0E-12", "0.00"),
        ("1000000000000", "1,000,000,000,000.00"),
    ],
)
def test_money_has_two_decimals_and_a_tiny_cost_its_significant_digits(amount, shown):
    assert write_amount(Decimal(amount)) == shown


def test_a_difference_shows_its_sign_and_nothing_shows_none():
    assert write_signed(Decimal("2.5")) == "+2.50"
    assert write_signed(Decimal("-0.001234")) == "−0.00123"
    assert write_signed(Decimal("0")) == "0.00"


@pytest.mark.parametrize(
    ("number", "exact"),
    [("32775.310000000000", "32775.31"), ("0E-12", "0"), ("1200", "1200"), ("1E+3", "1000"), ("-0.50", "-0.5")],
)
def test_the_exact_value_has_every_digit_and_no_exponent(number, exact):
    assert write_exact(Decimal(number)) == exact


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (22296, "22,296"),
        (9_999_999, "9,999,999"),
        (10_000_000, "10.0 M"),
        (5_118_240_000, "5,118.2 M"),
        (-3, "−3"),
        (Decimal("1.50"), "1.5"),
        (Decimal("100"), "100"),
    ],
)
def test_quantities_are_whole_up_to_ten_million(number, shown):
    assert write_quantity(number) == shown


def test_a_percentage_has_a_tenth_and_a_narrow_space_that_does_not_break():
    assert write_percent(Decimal("33.94")) == "33.9\u202f%"
    assert write_percent(Decimal("-2")) == "−2.0\u202f%"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.83, "0.8 s"), (14, "14 s"), (180, "3 min"), (18000, "5 h"), (86400 * 12, "12 days")]
)
def test_a_length_of_time_is_rough(seconds, words):
    assert write_duration(timedelta(seconds=seconds)) == words
