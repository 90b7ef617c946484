"""Lines of drivers: read in any usual form, and refused all at once with their line and cure."""

from datetime import date
from decimal import Decimal

import pytest

from billing.core.drivers import DriverValue, LineProblem, read_driver_lines, read_quantity

ORDERS = DriverValue("orders", date(2026, 11, 3), Decimal("1250"))


@pytest.mark.parametrize(
    "text",
    [
        "orders,2026-11-03,1250",
        "name,day,quantity\norders,2026-11-03,1250\n",
        "\ufeffName;Day;Quantity\r\norders;2026-11-03;1250\r\n",
        "quantity\tname\tday\n1250\torders\t2026-11-03\n\n",
        '"orders" , 2026-11-03 , "1250"\n,,\n',
    ],
)
def test_a_file_is_read_with_or_without_a_heading_and_by_any_usual_separator(text):
    assert read_driver_lines(text) == ([ORDERS], [])


def test_everything_that_is_wrong_is_told_with_its_line_and_nothing_is_taken():
    text = "name,day,quantity\norders,2026-11-03,1250\n,03.11.2026,-1\norders,2026-11-03,1251\norders,2026-11-04\n"
    values, problems = read_driver_lines(text)
    assert values == []
    assert [(problem.line, problem.field) for problem in problems] == [
        (3, "name"), (3, "day"), (3, "quantity"), (4, ""), (5, ""),
    ]  # fmt: skip
    assert problems[1] == LineProblem(3, "day", "is no day; write it as 2026-11-03")
    assert problems[3].detail == "stands for orders on 2026-11-03 as line 2 does; keep one of them"
    assert problems[4].detail == "has 2 fields; it needs name, day, quantity"


def test_a_quotation_mark_that_swallows_the_file_is_told():
    values, problems = read_driver_lines('orders,2026-11-03,1\n"orders,' + "x" * 140_000)
    assert values == [] and [problem.line for problem in problems] == [2]
    assert "mend its quotation marks" in problems[0].detail


@pytest.mark.parametrize("text", ["", "1,250", "-1", "1e3", "NaN", "1.1234567", "1234567890123456", "½", "٣"])
def test_a_quantity_is_plain_digits_or_refused(text):
    with pytest.raises(ValueError, match="is no quantity"):
        read_quantity(text)
