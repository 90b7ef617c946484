"""What came of earlier forecasts: how far off they were, on which side, and whether a straight line did as well."""

from collections.abc import Sequence
from dataclasses import dataclass

RECORDED_DAYS = (5, 10, 15, 20)
OWN_ERRORS_MIN = 60


@dataclass(frozen=True, slots=True)
class PastForecast:
    """A stored forecast of the rest of a period that is over. Money in pico-USD.

    days_elapsed: the complete days of the period when it was made; 5 on the sixth day. spent: what the period's days
    before the forecast ones cost. expected, low, high, run_rate, volatility: as the forecast said. actual: what the
    days that it was made for did cost.
    """

    days_elapsed: int
    days_ahead: int
    spent: int
    expected: int
    low: int
    high: int
    run_rate: int
    volatility: float
    actual: int


@dataclass(frozen=True, slots=True)
class DayRecord:
    """How far off forecasts were that were made after so many days of a period.

    error: the sum of absolute errors by the sum of what the rest did cost (WAPE); total_error: by that of the whole
    periods. near: the share of periods whose total was within 10 %.
    """

    days_elapsed: int
    forecasts: int
    error: float
    total_error: float
    near: float


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """How forecasts did. Shares are of 1; None is what cannot be said.

    days: of RECORDED_DAYS, those on which something was forecast. bias: forecast less actual, by actual; negative is
    too low. coverage: how many ended within their 80 % range, from OWN_ERRORS_MIN on. skill: by how much less than a
    straight line's the errors were; below 0 it had done better.
    """

    forecasts: int
    days: tuple[DayRecord, ...]
    bias: float | None
    coverage: float | None
    skill: float | None

    @property
    def is_worth_showing(self) -> bool:
        """Whether nothing says that a straight line would do as well."""
        return self.skill is None or self.skill > 0


def measure_track_record(past: Sequence[PastForecast]) -> TrackRecord:
    """Of forecasts of periods that are over, in any order."""
    actual = sum(one.actual for one in past)
    missed = sum(abs(one.expected - one.actual) for one in past)
    straight = sum(abs(one.run_rate - one.actual) for one in past)
    within = sum(one.low <= one.actual <= one.high for one in past)
    return TrackRecord(
        forecasts=len(past),
        days=tuple(
            _record_day(days_elapsed, chosen)
            for days_elapsed in RECORDED_DAYS
            if (chosen := [one for one in past if one.days_elapsed == days_elapsed and one.actual + one.spent > 0])
        ),
        bias=sum(one.expected - one.actual for one in past) / actual if actual > 0 else None,
        coverage=within / len(past) if len(past) >= OWN_ERRORS_MIN else None,
        skill=1 - missed / straight if straight > 0 else None,
    )


def _record_day(days_elapsed: int, past: Sequence[PastForecast]) -> DayRecord:
    missed = sum(abs(one.expected - one.actual) for one in past)
    actual = sum(one.actual for one in past)
    near = sum(10 * abs(one.expected - one.actual) <= one.spent + one.actual for one in past)
    return DayRecord(
        days_elapsed=days_elapsed,
        forecasts=len(past),
        error=missed / actual if actual > 0 else 0.0,
        total_error=missed / sum(one.spent + one.actual for one in past),
        near=near / len(past),
    )
