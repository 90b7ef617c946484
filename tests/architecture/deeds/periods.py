"""Months that are reviewed, closed and opened again, and amounts that people book."""

from datetime import date
from decimal import Decimal

from billing.adjustments import Adjustment, book_adjustment
from billing.periods import (
    approve_reopening,
    close_month,
    decline_reopening,
    reopen_month,
    return_month,
    review_month,
)
from tests.architecture.deeds.scenario import scenario

OCTOBER = date(2026, 10, 1)


def take(world, *steps):
    """Take the steps, and give what the last of them is asked with."""
    own = world.own | {"period": OCTOBER, "reason": "a bill came late"}
    for step in steps:
        step(**own | {"actor": "person 8"})
    return own


@scenario(review_month, "period.reviewed")
def _(world):
    return lambda: review_month(**take(world))


@scenario(return_month, "period.returned")
def _(world):
    own = take(world, review_month)
    return lambda: return_month(**own)


@scenario(close_month, "period.closed")
def _(world):
    own = take(world, review_month)
    return lambda: close_month(**own)


@scenario(reopen_month, "period.reopen_asked")
def _(world):
    own = take(world, review_month, close_month)
    return lambda: reopen_month(**own)


@scenario(approve_reopening, "period.reopened")
def _(world):
    own = take(world, review_month, close_month, reopen_month)
    return lambda: approve_reopening(**own)


@scenario(decline_reopening, "period.reopen_declined")
def _(world):
    own = take(world, review_month, close_month, reopen_month)
    return lambda: decline_reopening(**own)


@scenario(book_adjustment, "adjustment.booked")
def _(world):
    amount = Adjustment("bill-2026-10", "adjustment", Decimal("12.50"), "the bill says so")
    return lambda: book_adjustment(amount, **world.own)
