"""Months of a tenant: reviewed, closed and opened again; `billing.selectors.months` tells how they stand.

A closed month takes no entry any more (`billing.tenant_rules`): what is booked of its time is charged in the next month
that is open.
"""

from billing.periods.steps import (
    PeriodStepRefused,
    approve_reopening,
    close_month,
    decline_reopening,
    reopen_month,
    return_month,
    review_month,
)
from billing.periods.totals import compare_closed_periods

__all__ = [
    "PeriodStepRefused",
    "approve_reopening",
    "close_month",
    "compare_closed_periods",
    "decline_reopening",
    "reopen_month",
    "return_month",
    "review_month",
]
