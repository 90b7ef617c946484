"""Forecasts of the rest of a month by rolling origin, on public bills and traffic, beside what anyone would do by hand.

A cloud bill in total, by project and by category (binder-billing), its sessions, and the views of two pages, a calm and
a bursty one (Prophet's examples), from `../shared/data/series`. Each series is taken back to the end of day 5, 10, 15
and 20 of each month and knows nothing of later days: the forecast is made of the days before, its range by the shipped
table and the errors of nightly forecasts of months that were over. Days that a source has not are left out on either
side. `python -m bench.forecasts` prints all figures.
"""

import csv
import gzip
import math
import random
import sys
import time
from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean, median
from typing import Any

from alerts.core.forecasts import Forecast, History, PastForecast, forecast_cost
from bench.setting import describe_machine
from ledger.core.entries import PICO

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "series"
TOTAL, PROJECTS, CATEGORIES = "cloud bill in total", "cloud bill by project", "cloud bill by category"
SESSIONS, CALM, BURSTY = "sessions", "page views, calm", "page views, bursty"
GROUPS = (TOTAL, PROJECTS, CATEGORIES, SESSIONS, CALM, BURSTY)
ORIGIN_DAYS = (5, 10, 15, 20)
HISTORY_DAYS_MIN = 56  # what the method uses; BEGINNING_DAYS_MIN is when it begins to tell weekdays apart
BEGINNING_DAYS_MIN = 14
SHORT_HISTORIES = (3, 5, 7, 14, 28, 56)
TIMED_FORECASTS, TIMED_DAYS = 20_000, 90  # 1,000 tenants of 20 series
MILLISECONDS_AIM = 0.5
GROWTHS, SIMULATED_SERIES, SEED = (0.0, 0.03, 0.08, 0.15), 300, 20261123
NEAR = 0.10

OURS, STRAIGHT_LINE, MEAN_OF_SEVEN = "ours", "straight line", "mean of 7"
SEASONAL_NAIVE, STRESS = "seasonal naive", "P95 × days"
METHODS = (OURS, MEAN_OF_SEVEN, SEASONAL_NAIVE, STRAIGHT_LINE, STRESS)


class SeriesMissing(FileNotFoundError):
    """The public series are not beside the repository."""


@dataclass(frozen=True, slots=True)
class Series:
    """What each day from the first one on came to, in millionths of a unit; None where the source has no day."""

    group: str
    first_day: date
    values: Sequence[int | None]

    def find_place(self, day: date) -> int:
        return (day - self.first_day).days

    def find_day(self, place: int) -> date:
        return self.first_day + timedelta(days=place)

    def sum_days(self, start: int, end: int) -> int:
        return sum(value or 0 for value in self.values[max(start, 0) : end])

    def count_days(self, start: int, end: int) -> int:
        return sum(value is not None for value in self.values[max(start, 0) : end])

    def read_history(self, start: int, end: int) -> History:
        values = self.values[start:end]
        first = self.find_day(start)
        left_out = {first + timedelta(days=place) for place, value in enumerate(values) if value is None}
        return History(first, [value or 0 for value in values], frozenset(left_out))


@dataclass(frozen=True, slots=True)
class Origin:
    """What was forecast of the rest of a month, by each method, and what came."""

    series: Series
    day: date  # the first one that was forecast
    days_elapsed: int
    spent: int
    actual: int
    expected: dict[str, float]
    low: float
    high: float

    @property
    def is_in_range(self) -> bool:
        return self.low <= self.actual <= self.high

    def miss(self, method: str) -> float:
        return self.expected[method] - self.actual

    def is_near(self, method: str) -> bool:
        return abs(self.miss(method)) <= NEAR * (self.spent + self.actual)


# --- the series ---


def read_series() -> list[Series]:
    """All series of the groups, without those that are zero throughout. Raises SeriesMissing."""
    projects = _read_days("mybinder_daily_cost_by_project", "date", "cost", "project_id")
    total: dict[date, float] = {}
    for days in projects.values():
        for day, cost in days.items():
            total[day] = total.get(day, 0) + cost
    groups = [
        (TOTAL, {"": total}),
        (PROJECTS, projects),
        (CATEGORIES, _read_days("mybinder_daily_cost_by_category", "date", "cost", "category")),
        (SESSIONS, _read_days("mybinder_daily_sessions", "Date", "Number of Events")),
        (CALM, _read_days("example_wp_log_R", "ds", "y", change=math.exp)),
        (BURSTY, _read_days("example_wp_log_peyton_manning", "ds", "y", change=math.exp)),
    ]
    return [_make_series(group, days) for group, named in groups for days in named.values() if any(days.values())]


def _read_days(
    name: str, day: str, value: str, by: str = "", *, change: Callable[[float], float] = float
) -> dict[str, dict[date, float]]:
    series: dict[str, dict[date, float]] = {}
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        raise SeriesMissing(f"no {path.name} in ../shared/data/series")
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            series.setdefault(row[by] if by else "", {})[date.fromisoformat(row[day][:10])] = change(float(row[value]))
    return series


def _make_series(group: str, days: dict[date, float]) -> Series:
    first = min(days)
    every = (first + timedelta(days=place) for place in range((max(days) - first).days + 1))
    return Series(group, first, [round(days[day] * PICO) if day in days else None for day in every])


def list_months(series: Series) -> Iterator[tuple[date, date]]:
    """The first day of each month that the series has to its end, and the day after its last."""
    start = series.first_day.replace(day=1)
    while True:
        end = start + timedelta(days=monthrange(start.year, start.month)[1])
        if series.find_place(end) > len(series.values):
            return
        yield start, end
        start = end


# --- what is compared ---


def walk_origins(series: Series, *, history_days_min: int, known_days: int | None = None) -> Iterator[Origin]:
    """Night after night through all months; the origins are those of ORIGIN_DAYS.

    known_days: as if the series had begun so many days before each origin. Then nobody forecast on the nights between.
    """
    past: list[PastForecast] = []
    for start, end in list_months(series):
        made = []
        for days_elapsed in ORIGIN_DAYS if known_days else range(1, (end - start).days):
            forecast = _forecast(series, start, end, days_elapsed, past, known_days)
            if forecast is None:
                continue
            one = _settle(series, forecast, start, end, days_elapsed)
            made.append(one)
            place = series.find_place(start) + days_elapsed
            if days_elapsed in ORIGIN_DAYS and series.count_days(0, place) >= history_days_min and one.actual > 0:
                yield Origin(
                    series=series,
                    day=start + timedelta(days=days_elapsed),
                    days_elapsed=days_elapsed,
                    spent=one.spent,
                    actual=one.actual,
                    expected={OURS: one.expected, **_forecast_by_hand(series, start, end, place)},
                    low=one.low,
                    high=one.high,
                )
        past += [] if known_days else made


def _forecast(
    series: Series, start: date, end: date, days_elapsed: int, past: Sequence[PastForecast], known_days: int | None
) -> Forecast | None:
    place = series.find_place(start) + days_elapsed
    if place < 1:
        return None
    history = series.read_history(max(place - known_days, 0) if known_days else 0, place)
    forecast = forecast_cost(history, period_start=start, period_end=end, past=past)
    return forecast if isinstance(forecast, Forecast) else None


def _settle(series: Series, forecast: Forecast, start: date, end: date, days_elapsed: int) -> PastForecast:
    """The forecast of those days that the source has, beside what they came to."""
    first, place, last = (series.find_place(day) for day in (start, start + timedelta(days=days_elapsed), end))
    there = [value is not None for value in series.values[place:last]]
    expected = sum(value for value, is_there in zip(forecast.daily, there, strict=True) if is_there)
    share = expected / forecast.expected if forecast.expected else 0
    return PastForecast(
        days_elapsed=days_elapsed,
        days_ahead=forecast.days_ahead,
        spent=series.sum_days(first, place),
        expected=expected,
        low=round(forecast.low * share),
        high=round(forecast.high * share),
        run_rate=round(forecast.run_rate * sum(there) / len(there)),
        volatility=forecast.volatility,
        actual=series.sum_days(place, last),
    )


def _forecast_by_hand(series: Series, start: date, end: date, place: int) -> dict[str, float]:
    known = [value for value in series.values[:place] if value is not None]
    this_month = [value for value in series.values[max(series.find_place(start), 0) : place] if value is not None]
    days = series.count_days(place, series.find_place(end))
    second, first = sorted(known[-7:])[-2:]
    return {
        MEAN_OF_SEVEN: fmean(known[-7:]) * days,
        STRAIGHT_LINE: fmean(this_month or known[-7:]) * days,
        STRESS: (second + 0.7 * (first - second)) * days,
        SEASONAL_NAIVE: sum(
            _find_weekday(series, place, ahead) or fmean(known[-7:])
            for ahead in range(place, series.find_place(end))
            if series.values[ahead] is not None
        ),
    }


def _find_weekday(series: Series, place: int, ahead: int) -> int | None:
    """The last value before `place` of the weekday of `ahead`."""
    return next((value for value in reversed(series.values[ahead % 7 : place : 7]) if value is not None), None)


# --- figures ---


def measure_error(origins: Sequence[Origin], method: str = OURS) -> float:
    """WAPE: the sum of absolute errors by the sum of what came."""
    return sum(abs(origin.miss(method)) for origin in origins) / sum(origin.actual for origin in origins)


def measure_bias(origins: Sequence[Origin], method: str = OURS) -> float:
    return sum(origin.miss(method) for origin in origins) / sum(origin.actual for origin in origins)


def measure_coverage(origins: Sequence[Origin]) -> float:
    return fmean(origin.is_in_range for origin in origins)


def measure_near(origins: Sequence[Origin], method: str = OURS) -> list[float]:
    """How many months' totals were within NEAR, on each of ORIGIN_DAYS."""
    return [fmean(origin.is_near(method) for origin in origins if origin.days_elapsed == days) for days in ORIGIN_DAYS]


def group_origins(
    *, history_days_min: int = HISTORY_DAYS_MIN, known_days: int | None = None
) -> dict[str, list[Origin]]:
    groups: dict[str, list[Origin]] = {group: [] for group in GROUPS}
    for series in read_series():
        groups[series.group] += walk_origins(series, history_days_min=history_days_min, known_days=known_days)
    return groups


def measure_macro(groups: dict[str, list[Origin]], method: str = OURS) -> float:
    """The mean of the groups' errors, each as heavy as the others."""
    return fmean(measure_error(origins, method) for origins in groups.values())


def time_forecasts(count: int = TIMED_FORECASTS) -> float:
    """Seconds of processor for so many forecasts of months to come, each of another series of up to 90 days."""
    histories = [
        History(series.first_day + timedelta(days=start), costs)
        for series in read_series()
        for start in range(0, len(series.values) - TIMED_DAYS, 7)
        if None not in (costs := series.values[start : start + TIMED_DAYS])
    ]
    began = time.process_time()
    for number in range(count):
        history = histories[number % len(histories)]
        forecast_cost(history, period_start=history.end, period_end=history.end + timedelta(days=30))
    return time.process_time() - began


def run() -> list[dict[str, Any]]:
    """Errors beside the straight line's, `runs` by ORIGIN_DAYS; coverage beside 80 %; months beside the straight
    line's; milliseconds beside half of one."""
    groups = group_origins()
    print_tables(groups, f"{HISTORY_DAYS_MIN} days of history")
    print_tables(group_origins(history_days_min=BEGINNING_DAYS_MIN), f"{BEGINNING_DAYS_MIN} days of history")
    print_short_histories()
    print_growth()
    seconds = time_forecasts()
    print(f"{TIMED_FORECASTS:,} forecasts: {seconds:.1f} s of processor", file=sys.stderr)
    return [
        *(_compare_errors(group, {group: origins}, STRAIGHT_LINE) for group, origins in groups.items()),
        *(
            _compare_errors(f"all groups beside the {method}", groups, method)
            for method in (STRAIGHT_LINE, MEAN_OF_SEVEN)
        ),
        *(
            _make_result(f"range, {group}", 100 * measure_coverage(origins), "% of months within", 80)
            for group, origins in groups.items()
        ),
        *(
            _make_result(f"month's total within 10 % on day {days}", 100 * ours, "% of months", 100 * straight)
            for days, ours, straight in zip(
                ORIGIN_DAYS, measure_near(groups[TOTAL]), measure_near(groups[TOTAL], STRAIGHT_LINE), strict=True
            )
        ),
        _make_result("a forecast", 1000 * seconds / TIMED_FORECASTS, "ms of processor", MILLISECONDS_AIM),
    ]


def _compare_errors(name: str, groups: dict[str, list[Origin]], method: str) -> dict[str, Any]:
    """The mean error of groups beside another method's; `runs` holds the ratio on each of ORIGIN_DAYS."""
    by_day = [
        {group: [origin for origin in origins if origin.days_elapsed == days] for group, origins in groups.items()}
        for days in ORIGIN_DAYS
    ]
    runs = [round(measure_macro(chosen) / measure_macro(chosen, method), 3) for chosen in by_day]
    value, yardstick = measure_macro(groups), measure_macro(groups, method)
    return _make_result(name, 100 * value, "% of what the rest of the month came to", 100 * yardstick, runs)


def _make_result(
    name: str, value: float, unit: str, yardstick: float, runs: Sequence[float] | None = None
) -> dict[str, Any]:
    ratio = round(value / yardstick, 3)
    return {
        "name": f"forecast: {name}",
        "value": round(value, 2),
        "unit": unit,
        "yardstick": round(yardstick, 2),
        "ratio": ratio,
        "runs": list(runs or [ratio]),
    }


def print_tables(groups: dict[str, list[Origin]], heading: str) -> None:
    """The errors and biases of all methods, how many months came near, and the ranges, as tables of Markdown."""
    print(f"\n{heading}: error (bias) of the rest of the month, %\n", file=sys.stderr)
    _print_row("", *groups, "mean")
    _print_row(*["---"] * (len(groups) + 2))
    for method in METHODS:
        cells = [
            f"{100 * measure_error(origins, method):.1f} ({100 * measure_bias(origins, method):+.1f})"
            for origins in groups.values()
        ]
        _print_row(method, *cells, f"{100 * measure_macro(groups, method):.1f}")
    _print_row("origins", *(str(len(origins)) for origins in groups.values()), "")
    _print_row("within the range, %", *(f"{100 * measure_coverage(origins):.0f}" for origins in groups.values()), "")
    _print_row("the range in the middle, × the forecast", *(_say_range(origins) for origins in groups.values()), "")
    print(f"\n{TOTAL}: months whose total was within 10 % on day {ORIGIN_DAYS}, %\n", file=sys.stderr)
    for method in METHODS:
        _print_row(method, *(f"{100 * near:.0f}" for near in measure_near(groups[TOTAL], method)))


def print_short_histories() -> None:
    """The errors and ranges at the same origins, had each series begun shortly before."""
    print("\nas if only so many days were known: error, % (within the range by the table alone, %)\n", file=sys.stderr)
    for days in SHORT_HISTORIES:
        groups = group_origins(known_days=days)
        cells = [
            f"{100 * measure_error(origins):.1f} ({100 * measure_coverage(origins):.0f})" for origins in groups.values()
        ]
        _print_row(str(days), *cells, f"{100 * measure_macro(groups):.1f}")


def print_growth() -> None:
    """Simulated, because no public bill grew for long: 20 days after eight weeks of steady growth, amid noise of 12 % a
    day and quieter weekends."""
    print("\nsimulated growth a week: bias, % (within the range by the table alone, %)\n", file=sys.stderr)
    for growth in GROWTHS:
        draws = random.Random(SEED)
        misses, within = [], []
        for _ in range(SIMULATED_SERIES):
            costs = [
                round(PICO * (1 + growth) ** (day / 7) * (70 if day % 7 > 4 else 112) * draws.lognormvariate(0, 0.12))
                for day in range(HISTORY_DAYS_MIN + 20)
            ]
            history = History(date(2026, 1, 5), costs[:HISTORY_DAYS_MIN])
            actual = sum(costs[HISTORY_DAYS_MIN:])
            forecast = forecast_cost(history, period_start=history.end, period_end=history.end + timedelta(days=20))
            assert isinstance(forecast, Forecast)
            misses.append(forecast.expected / actual - 1)
            within.append(forecast.low <= actual <= forecast.high)
        _print_row(f"{100 * growth:.0f} %", f"{100 * fmean(misses):+.1f} ({100 * fmean(within):.0f})")


def _say_range(origins: Sequence[Origin]) -> str:
    known = [origin for origin in origins if origin.expected[OURS] > 0]
    low, high = (median(getattr(one, end) / one.expected[OURS] for one in known) for end in ("low", "high"))
    return f"{low:.2f} – {high:.2f}"


def _print_row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", file=sys.stderr)


if __name__ == "__main__":
    print("\n".join(describe_machine()))
    for result in run():
        measured = f"{result['value']} {result['unit']}, yardstick {result['yardstick']}"
        print(f"{result['name']}: {measured}, ratio {result['ratio']}, runs {result['runs']}")
