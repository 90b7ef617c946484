from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from dashboards.core.shares import split_shares


def split(*amounts):
    return [str(share) for share in split_shares([Decimal(amount) for amount in amounts])]


def test_thirds_add_up_to_a_hundred():
    assert split("1", "1", "1") == ["33.4", "33.3", "33.3"]


def test_the_largest_remainders_are_rounded_up():
    # Exact: 33.853…, 33.459…, 18.652…, 5.927…, 4.726…, 3.379… per cent of 32,775.31.
    assert split("11095.84", "10966.58", "6113.35", "1942.74", "1549.07", "1107.73") == [
        "33.9", "33.5", "18.6", "5.9", "4.7", "3.4",
    ]  # fmt: skip


def test_there_are_no_shares_of_nothing_or_of_a_credit():
    assert split_shares([Decimal(0), Decimal(0)]) == [None, None]
    assert split_shares([Decimal(5), Decimal(-1)]) == [None, None]
    assert split_shares([]) == []


@given(st.lists(st.decimals(0, 10**12, places=12), min_size=1, max_size=60))
def test_shares_add_up_and_each_is_within_a_tenth(amounts):
    total = sum(amounts)
    shares = split_shares(amounts)
    if total == 0:
        assert shares == [None] * len(amounts)
        return
    assert sum(shares) == 100
    assert all(
        abs(share - amount * 100 / total) < Decimal("0.1") for share, amount in zip(shares, amounts, strict=True)
    )
