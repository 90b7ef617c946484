"""The days that a forecast is made from."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Marks = NDArray[np.bool_]

DAYS_USED_MAX = 56


@dataclass(frozen=True, slots=True)
class History:
    """What each day cost, in pico-USD: every day from the first to the last one, without a gap.

    left_out: days among them that say nothing of a usual day, such as those flagged incomplete.
    """

    first_day: date
    costs: Sequence[int]
    left_out: Set[date] = frozenset()

    @property
    def end(self) -> date:
        """The day after the last one: the first to be forecast."""
        return self.first_day + timedelta(days=len(self.costs))

    def sum_from(self, day: date) -> tuple[int, int]:
        """What the days from this one on cost that are left in, and how many they are."""
        start = max((day - self.first_day).days, 0)
        kept = [
            cost
            for place, cost in enumerate(self.costs[start:], start)
            if self.first_day + timedelta(days=place) not in self.left_out
        ]
        return sum(kept), len(kept)

    def read_last(self, *, without: Set[date]) -> tuple[Numbers, Marks]:
        """The last DAYS_USED_MAX costs as doubles, and which of them are left in.

        A day of more refunds than use used nothing. Days before the first one that cost something are no history of
        what began on it; where nothing ever did, all days are.
        """
        costs = self.costs[-DAYS_USED_MAX:]
        begun = next((place for place, cost in enumerate(costs) if cost > 0), 0)
        first = self.end - timedelta(days=len(costs) - begun)
        values = np.array(costs[begun:], dtype=np.float64)
        return np.maximum(values, 0.0), self._mark_kept(first, len(values), without)

    def _mark_kept(self, first: date, count: int, without: Set[date]) -> Marks:
        kept = np.ones(count, dtype=np.bool_)
        for day in self.left_out | without:
            place = (day - first).days
            if 0 <= place < count:
                kept[place] = False
        return kept


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """Something known beforehand that a day costs more, or less where the amount is negative; in pico-USD."""

    day: date
    amount: int
