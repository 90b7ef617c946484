"""What the rest of a period will cost, from its complete days; how sure that is, and how right it was before. Pure.

`forecasting` is the way in, `histories` what it reads, `levels` the method, `ranges` the 80 % range, `track_records`
what came of earlier forecasts. Estimates are made in doubles and leave as whole pico-USD; docs/benchmarks.md has what
they are worth.
"""

from alerts.core.forecasts.forecasting import (
    MEAN_OF_FOUR_WEEKS,
    MEAN_OF_SEVEN,
    WEEKDAY_LEVEL,
    Forecast,
    NoForecast,
    find_day_used_up,
    forecast_cost,
)
from alerts.core.forecasts.histories import History, KnownEvent
from alerts.core.forecasts.track_records import DayRecord, PastForecast, TrackRecord, measure_track_record

__all__ = [
    "MEAN_OF_FOUR_WEEKS", "MEAN_OF_SEVEN", "WEEKDAY_LEVEL", "DayRecord", "Forecast", "History", "KnownEvent",
    "NoForecast", "PastForecast", "TrackRecord", "find_day_used_up", "forecast_cost", "measure_track_record",
]  # fmt: skip
