import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.records import CACHED_TEXTS_MAX, _encode_numeric, _TextCache


def read_numeric(data: bytes) -> Decimal:
    """PostgreSQL's binary numeric, read by its description in numeric.c: digits of base 10,000, weight, sign."""
    oid, length, count, weight, sign, scale = struct.unpack(">iihhHh", data[:16])
    digits = struct.unpack(f">{count}h", data[16:])
    assert (oid, length) == (1700, len(data) - 8)
    assert scale == 12
    value = sum((Decimal(digit) * Decimal(10_000) ** (weight - place) for place, digit in enumerate(digits)), Decimal())
    return -value if sign == 0x4000 else value


@given(picos=st.integers(-(10**24) + 1, 10**24 - 1))
def test_money_reads_back_exactly(picos):
    assert read_numeric(_encode_numeric(picos)) == Decimal(picos).scaleb(-12)


@pytest.mark.parametrize("picos", [0, 1, -1, 10**12, 10**12 - 1, 10**16 - 1, 10**16, 10**24 - 1])
def test_money_at_the_edges_of_a_digit_reads_back(picos):
    assert read_numeric(_encode_numeric(picos)) == Decimal(picos).scaleb(-12)


def test_the_texts_remembered_stay_bounded():
    cache = _TextCache()
    for number in range(3 * CACHED_TEXTS_MAX):
        assert cache[str(number)].endswith(str(number).encode())
    assert len(cache) <= CACHED_TEXTS_MAX
