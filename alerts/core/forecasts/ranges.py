"""The 80 % range of a forecast: how far off forecasts of so many days ahead were elsewhere, and how far one's own were.

Quantiles of ln(actual / forecast) in volatilities: the means of five groups of public series (a cloud bill in total, by
project and by category, page views of a calm and of a bursty page), of a forecast every day. Between the days stands
what lies between. `bench.forecast_ranges` makes the table anew.
"""

from collections.abc import Sequence
from math import exp

import numpy as np

from alerts.core.forecasts.histories import Numbers
from alerts.core.forecasts.track_records import PastForecast

DAYS_AHEAD = (3, 7, 15, 20, 25, 45, 90)
LOW_TENTHS = (-1.21, -1.25, -1.48, -1.63, -1.71, -2.00, -2.39)
HIGH_TENTHS = (1.46, 1.60, 2.05, 2.21, 2.21, 2.49, 3.11)
OWN_ERRORS_MAX = 365
OWN_REACH_MAX = 2.0  # of the table's: one strange month must not make every later range useless
# Nightly forecasts of one month share most of their future: four months of them count as much as the table.
TABLE_WEIGHT = 120


def find_range(*, days: int, volatility: float, past: Sequence[PastForecast]) -> tuple[float, float]:
    """What to multiply an expected cost by for its tenth and ninetieth percentile: at most 1, and at least 1.

    past: oldest first.
    """
    low, high = _find_tenths(np.array([days]), volatility)
    own_low, own_high, weight = _weigh_own(past[-OWN_ERRORS_MAX:])
    low = low * (1 - weight + weight * own_low)
    high = high * (1 - weight + weight * own_high)
    return exp(low.item()), exp(high.item())


def _find_tenths(days: Numbers, volatility: Numbers | float) -> tuple[Numbers, Numbers]:
    """The tenth and ninetieth percentile of ln(actual / forecast) by the table alone."""
    return np.interp(days, DAYS_AHEAD, LOW_TENTHS) * volatility, np.interp(days, DAYS_AHEAD, HIGH_TENTHS) * volatility


def _weigh_own(past: Sequence[PastForecast]) -> tuple[float, float, float]:
    """How many of the table's widths own errors reach below and above, and what share of the range is theirs."""
    facts = [
        (one.actual / one.expected, one.days_ahead, one.volatility)
        for one in past
        if one.expected > 0 and one.actual > 0
    ]
    if not facts:
        return 1.0, 1.0, 0.0
    ratios, days, volatilities = np.array(facts).T
    errors = np.log(ratios)
    low, high = _find_tenths(days, volatilities)
    widths = np.where(errors > 0, errors / high, errors / -low)
    own_low, own_high = np.quantile(widths, (0.1, 0.9)).tolist()
    return (
        min(max(-own_low, 0.0), OWN_REACH_MAX),
        min(max(own_high, 0.0), OWN_REACH_MAX),
        len(facts) / (len(facts) + TABLE_WEIGHT),
    )
