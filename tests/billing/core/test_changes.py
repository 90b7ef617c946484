from decimal import Decimal

import pytest

from billing.core.changes import compare_amounts


@pytest.mark.parametrize(
    ("now", "before", "difference", "direction", "percent"),
    [
        ("32775.31", "30026.97", "2748.34", "up", "9.2"),
        ("1107.73", "1402.18", "-294.45", "down", "21.0"),
        ("5", "5.00", "0.00", "same", None),
        ("0.0036", "0", "0.0036", "new", None),
        ("0", "12", "-12", "gone", "100.0"),
        ("-2", "1", "-3", "down", "300.0"),
        ("1", "-2", "3", "up", "150.0"),
    ],
)
def test_a_change_is_a_difference_a_direction_and_a_percentage_of_what_was(now, before, difference, direction, percent):
    change = compare_amounts(Decimal(now), Decimal(before))
    assert (change.difference, change.direction) == (Decimal(difference), direction)
    assert change.percent == (None if percent is None else Decimal(percent))
