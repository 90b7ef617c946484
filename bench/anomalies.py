"""Spikes by the hour and by the day, on labelled series, a cloud bill and traffic, each time knowing the past only.

Labelled: 17 series of the Numenta Anomaly Benchmark with 32 windows (`../shared/data/series/nab`), by hours: sums of
what counts something (requests, bytes), means of everything else; an hour without a sample is unknown. A window is
found by one flagged hour in it. What is flagged outside all windows is false: as days of UTC, and as episodes by the
product's own grouping, of which one that touches a window is not. Only increases are looked for, though some windows
are of dips, and the first two days of a series are not judged. Cloud bill: mybinder.org in total, by days. Traffic:
requests of ServeGen's clients by hours, unlabelled; all that is flagged there counts as false, rightly or not.

`python -m bench.anomalies` prints all tables.
"""

import csv
import gzip
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.core.anomalies import (
    Anomaly,
    find_daily_rise,
    find_daily_spike,
    find_hourly_spikes,
    group_episodes,
    measure_hours,
)
from alerts.core.anomalies.episodes import DAY, DAYS_QUIET, HOUR, HOURS_QUIET
from alerts.core.anomalies.hours import HOURS, roll_hours
from alerts.core.anomalies.thresholds import DEFAULTS, HourlySpike
from bench.setting import describe_machine
from ledger.core.entries import PICO

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LABELLED, BILL = DATA / "series" / "nab", DATA / "series" / "mybinder_daily_cost_by_project.csv.gz"
TRAFFIC = ("m-large", "m-small")
COUNTED = ("elb_request_count", "ec2_network_in", "ec2_disk_write_bytes", "NetworkIn")
MICRO = 10**6

WINDOWS_MIN, EPISODES_MAX = 15, 2.6
BILL_SPIKE, BILL_EPISODES_MAX, INJECTED_MIN = date(2018, 12, 4), 0.6, 0.95
CALLS_MIN = 2_400  # of a client in ten days: ten an hour
SERIES_TIMED = 30_000  # 1,000 tenants of 30 series
RUNS = 5
SEED = 20261122

Flags = NDArray[np.bool_]
Rule = Callable[[NDArray[np.int64], Flags], Flags]  # (hours, 337), known → is the last hour of each row a spike


@dataclass(frozen=True, slots=True)
class Series:
    """Hours from the first one on, in millionths of the source's unit; windows as [first, last] hour."""

    name: str
    start: datetime
    values: NDArray[np.int64]
    known: Flags
    windows: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """What a rule found of the windows of a series, and what it said besides, over so many judged days."""

    windows: int
    found: int
    false_days: int
    false_episodes: int
    days: float


# --- the rules ---


def flag_by(thresholds: HourlySpike) -> Rule:
    return lambda hours, known: measure_hours(hours, known=known, thresholds=thresholds).is_spike


def flag_by_deviations(deviations: float) -> Rule:
    def flag(hours: NDArray[np.int64], known: Flags) -> Flags:
        before = np.where(known, hours, np.nan)[:, :-1]
        return hours[:, -1] > np.nanmean(before, axis=1) + deviations * np.nanstd(before, axis=1)

    return flag


def flag_by_mean(times: float) -> Rule:
    return lambda hours, known: hours[:, -1] > times * np.nanmean(np.where(known, hours, np.nan)[:, :-1], axis=1)


SPIKE = DEFAULTS.hourly_spike
OURS, THREE_CONDITIONS = "ours", "ours, any height"
RULES: Mapping[str, Rule] = {
    OURS: flag_by(SPIKE),
    THREE_CONDITIONS: flag_by(replace(SPIKE, familiar_days=0)),
    "mean + 3 sd": flag_by_deviations(3),
    "mean + 50 %": flag_by_mean(1.5),
}
AT_OTHER_SENSITIVITIES: Mapping[str, Rule] = {
    **{
        f"ours, sensitivity {one:g}": flag_by(replace(SPIKE, sensitivity=one)) for one in (0.5, 0.6, 0.7, 1.0, 1.4, 2.0)
    },
    **{
        f"{THREE_CONDITIONS}, sensitivity {one:g}": flag_by(replace(SPIKE, sensitivity=one, familiar_days=0))
        for one in (0.5, 0.7, 1.0, 1.4, 2.0)
    },
    **{f"mean + {one:g} sd": flag_by_deviations(one) for one in (2, 3, 4, 5, 6, 8)},
    **{f"mean × {one:g}": flag_by_mean(one) for one in (1.5, 2, 3, 4)},
}
VARIANTS = {
    (days, margin, deviations): flag_by(replace(SPIKE, familiar_days=days, margin=margin, deviations=deviations))
    for days, margin, deviations in product((0, 1, 2, 3, 4), (0.0, 0.1, 0.25), (1.5, 2.5, 3.0))
    if days or not margin
}


# --- the hours ---


def read_labelled() -> list[Series]:
    windows = json.loads((LABELLED / "combined_windows.json").read_text())
    return [
        _read_series(path, windows[path.name.removesuffix(".csv.gz").replace("__", "/") + ".csv"])
        for path in sorted(LABELLED.glob("*.csv.gz"))
    ]


def _read_series(path: Path, windows: Sequence[tuple[str, str]]) -> Series:
    name = path.name.removesuffix(".csv.gz").split("__")[1]
    hours: dict[datetime, list[float]] = defaultdict(list)
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            hours[_find_hour(row["timestamp"])].append(float(row["value"]))
    start = min(hours)
    take = sum if any(word in name for word in COUNTED) else fmean
    values = np.zeros((max(hours) - start) // HOUR + 1, dtype=np.int64)
    known = np.zeros(len(values), dtype=bool)
    for hour, samples in hours.items():
        values[(hour - start) // HOUR] = round(take(samples) * MICRO)
        known[(hour - start) // HOUR] = True
    places = [tuple((_find_hour(moment) - start) // HOUR for moment in window) for window in windows]
    return Series(name, start, values, known, places)


def _find_hour(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(minute=0, second=0, microsecond=0, tzinfo=UTC)


def read_traffic() -> list[Series]:
    """The requests of each client that calls ten times an hour or more."""
    found = []
    for name in TRAFFIC:
        counts: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        with gzip.open(DATA / "traces" / f"servegen_{name}_trace.csv.gz", "rt") as lines:
            for row in csv.DictReader(lines):
                counts[row["client_id"]][int(row["timestamp"]) // 3600] += float(row["rate"]) * 600
        hours = max(max(client) for client in counts.values()) + 1
        for client, by_hour in counts.items():
            if sum(by_hour.values()) >= CALLS_MIN:
                values = np.array([round(by_hour[hour] * MICRO) for hour in range(hours)], dtype=np.int64)
                found.append(Series(f"{name} {client}", datetime(2026, 1, 1, tzinfo=UTC), values, values >= 0))
    return found


def score_rule(rule: Rule, series: Series) -> Score:
    hours, known = roll_hours(series.values, series.known)
    is_judged = known[:, -1] & (known[:, :-1].sum(axis=1) >= SPIKE.hours_min)
    flagged = np.zeros(len(hours), dtype=bool)
    flagged[is_judged] = rule(hours[is_judged], known[is_judged])
    in_window = np.zeros(len(hours), dtype=bool)
    for first, last in series.windows:
        in_window[first : last + 1] = True
    episodes = _group(np.flatnonzero(flagged), start=series.start, period=HOUR, quiet=HOURS_QUIET)
    false_hours = np.flatnonzero(flagged & ~in_window)
    return Score(
        windows=len(series.windows),
        found=sum(bool(flagged[first : last + 1].any()) for first, last in series.windows),
        false_days=len({(series.start + int(hour) * HOUR).date() for hour in false_hours}),
        false_episodes=sum(not in_window[first : last + 1].any() for first, last in episodes),
        days=is_judged.sum() / 24,
    )


def _group(places: Sequence[int], *, start: datetime, period: timedelta, quiet: timedelta) -> list[tuple[int, int]]:
    """The first and last place of each episode."""
    anomalies = [
        Anomaly("hourly_spike", "alert", start + int(place) * period, "cost", 1, 0, 0, 0, impact=1) for place in places
    ]
    episodes = group_episodes(anomalies, period=period, quiet=quiet, now=start)
    return [((one.start - start) // period, (one.end - start) // period - 1) for one in episodes]


def add_up(scores: Sequence[Score]) -> dict[str, float]:
    """False days and episodes of a series in 30 days: of all days together, and as the mean over series."""
    days = sum(score.days for score in scores)
    return {
        "windows": sum(score.windows for score in scores),
        "found": sum(score.found for score in scores),
        "days": 30 * sum(score.false_days for score in scores) / days,
        "episodes": 30 * sum(score.false_episodes for score in scores) / days,
        "mean_days": fmean(30 * score.false_days / score.days for score in scores),
        "mean_episodes": fmean(30 * score.false_episodes / score.days for score in scores),
    }


def score_left_out(series: Sequence[Series]) -> dict[str, float]:
    """Each series by the variant that is best on all others: most windows at EPISODES_MAX, then the fewest episodes."""
    table = {key: [score_rule(rule, one) for one in series] for key, rule in VARIANTS.items()}

    def choose(left_out: int) -> Score:
        def judge(key: tuple[int, float, float]) -> tuple[bool, float, float]:
            told = add_up([score for place, score in enumerate(table[key]) if place != left_out])
            return told["episodes"] <= EPISODES_MAX, told["found"], -told["episodes"]

        return table[max(table, key=judge)][left_out]

    return add_up([choose(place) for place in range(len(series))])


def count_by_chance(rule: Rule, series: Sequence[Series]) -> float:
    """How many windows as many hours would find, were they drawn from each series at random."""
    found = 0.0
    for one in series:
        hours, known = roll_hours(one.values, one.known)
        is_judged = known[:, -1] & (known[:, :-1].sum(axis=1) >= SPIKE.hours_min)
        share = rule(hours[is_judged], known[is_judged]).mean()
        found += sum(1 - (1 - share) ** int(is_judged[first : last + 1].sum()) for first, last in one.windows)
    return found


def inject_hours(rule: Rule, series: Sequence[Series], *, times: int = 1, average_hours: int = 0) -> float:
    """The share of hours found after they were made so many times as large, or larger by so many average hours, of 20
    hours of each series."""
    rng = np.random.default_rng(SEED)
    found = total = 0
    for one in series:
        hours, known = roll_hours(one.values, one.known)
        eligible = np.flatnonzero((known[:, :-1].sum(axis=1) >= SPIKE.hours_min) & (one.values > 0))
        places = rng.choice(eligible, size=min(20, len(eligible)), replace=False)
        rows = hours[places].copy()
        rows[:, -1] = times * rows[:, -1] + average_hours * int(one.values.mean())
        found += int(rule(rows, known[places]).sum())
        total += len(places)
    return found / total


# --- the days ---


def read_bill() -> dict[date, int]:
    """In pico-USD, each project's cents and less together."""
    days: dict[date, int] = defaultdict(int)
    with gzip.open(BILL, "rt") as lines:
        for row in csv.DictReader(lines):
            days[date.fromisoformat(row["date"])] += round(float(row["cost"]) * PICO)
    return dict(sorted(days.items()))


def flag_day(costs: Sequence[int]) -> bool:
    return find_daily_spike(costs, when=datetime(2026, 1, 1, tzinfo=UTC)).anomaly is not None


def watch_day(costs: Sequence[int]) -> bool:
    week, last = sum(costs[-8:-1]), costs[-1]
    return find_daily_rise(last_day=last, week_before=week, when=datetime(2026, 1, 1, tzinfo=UTC)).anomaly is not None


def flag_day_by_deviations(costs: Sequence[int]) -> bool:
    before = np.array(costs[-31:-1], dtype=np.float64)
    return bool(costs[-1] > before.mean() + 3 * before.std())


def flag_day_by_mean(costs: Sequence[int]) -> bool:
    return bool(costs[-1] > 1.5 * np.mean(np.array(costs[-31:-1], dtype=np.float64)))


DAY_RULES: Mapping[str, Callable[[Sequence[int]], bool]] = {
    "daily spike": flag_day,
    "the same at watch level": watch_day,
    "mean + 3 sd of 30 days": flag_day_by_deviations,
    "mean + 50 % of 30 days": flag_day_by_mean,
}


def score_days(rule: Callable[[Sequence[int]], bool], bill: Mapping[date, int]) -> dict[str, Any]:
    days, costs = list(bill), list(bill.values())
    judged = range(DEFAULTS.daily_spike.days_min, len(costs))
    flagged = [place for place in judged if rule(costs[: place + 1])]
    start = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC)
    episodes = _group(flagged, start=start, period=DAY, quiet=DAYS_QUIET)
    quiet = [place for place in judged if place not in flagged]
    return {
        "episodes": len(episodes),
        "in_30_days": 30 * len(episodes) / len(judged),
        "found": days.index(BILL_SPIKE) in flagged,
        "days": [days[first] for first, _ in episodes],
        "injected": {times: fmean(rule([*costs[:place], costs[place] * times]) for place in quiet) for times in (2, 3)},
    }


# --- what is printed ---


def time_hours() -> list[float]:
    """Milliseconds a series, of 30,000 at once, objects of what was found included."""
    rng = np.random.default_rng(SEED)
    costs = (rng.lognormal(0, 0.5, (SERIES_TIMED, HOURS + 1)) * PICO).astype(np.int64)
    runs = []
    for _ in range(RUNS):
        start = time.process_time()
        find_hourly_spikes(costs, when=datetime(2026, 1, 1, tzinfo=UTC))
        runs.append((time.process_time() - start) * 1_000 / SERIES_TIMED)
    return runs


def write_rules(rules: Mapping[str, Rule], series: Sequence[Series]) -> str:
    lines = [
        "| rule | windows found | by chance | false episodes | – mean of series | false days | – mean of series |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rule in rules.items():
        told = add_up([score_rule(rule, one) for one in series])
        figures = " | ".join(f"{told[key]:.2f}" for key in ("episodes", "mean_episodes", "days", "mean_days"))
        chance = count_by_chance(rule, series)
        lines.append(f"| {name} | {told['found']} of {told['windows']} | {chance:.1f} | {figures} |")
    return "\n".join(lines)


def write_series(rules: Mapping[str, Rule], series: Sequence[Series]) -> str:
    names = " | ".join(rules)
    lines = [f"| found, false episodes, false days in 30 days | days | {names} |", "|---" * (len(rules) + 2) + "|"]
    for one in series:
        scores = [score_rule(rule, one) for rule in rules.values()]
        cells = " | ".join(
            f"{score.found}/{score.windows}, {30 * score.false_episodes / score.days:.1f}, "
            f"{30 * score.false_days / score.days:.1f}"
            for score in scores
        )
        lines.append(f"| {one.name} | {scores[0].days:.0f} | {cells} |")
    return "\n".join(lines)


def write_traffic(rules: Mapping[str, Rule], series: Sequence[Series]) -> str:
    lines = [
        "| rule | episodes in 30 days | an hour × 3 found | 2 average hours more | 3 | 5 |",
        "|---|---|---|---|---|---|",
    ]
    for name, rule in rules.items():
        episodes = add_up([score_rule(rule, one) for one in series])["episodes"]
        found = [inject_hours(rule, series, times=3)]
        found += [inject_hours(rule, series, average_hours=more) for more in (2, 3, 5)]
        lines.append(f"| {name} | {episodes:.2f} | {' | '.join(f'{share:.0%}' for share in found)} |")
    return "\n".join(lines)


def write_days(bill: Mapping[date, int]) -> str:
    lines = [
        f"| rule | episodes | in 30 days | {BILL_SPIKE} | a day × 2 found | × 3 | begun on |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rule in DAY_RULES.items():
        told = score_days(rule, bill)
        injected = " | ".join(f"{told['injected'][times]:.1%}" for times in (2, 3))
        days = ", ".join(map(str, told["days"])) if told["episodes"] < 10 else "–"
        found = "found" if told["found"] else "missed"
        lines.append(f"| {name} | {told['episodes']} | {told['in_30_days']:.2f} | {found} | {injected} | {days} |")
    return "\n".join(lines)


def run() -> list[dict[str, Any]]:
    """Each figure beside what it must reach: at least, of what is found; at most, of all others.

    `runs` of the first two holds what mean + 3 sd comes to.
    """
    if not LABELLED.exists():
        print(f"anomalies: left out, the public series are not at {LABELLED}", file=sys.stderr)
        return []
    series = read_labelled()
    told, simple = (add_up([score_rule(RULES[name], one) for one in series]) for name in (OURS, "mean + 3 sd"))
    days = score_days(flag_day, read_bill())
    took = time_hours()
    return [
        _make_result("hourly spikes, windows found", told["found"], "of 32", WINDOWS_MIN, [simple["found"]]),
        _make_result(
            "hourly spikes, false episodes",
            told["episodes"],
            "a series and 30 days",
            EPISODES_MAX,
            [simple["episodes"]],
        ),
        _make_result("daily spikes, episodes", days["in_30_days"], "in 30 days", BILL_EPISODES_MAX, []),
        _make_result("daily spikes, days × 3 found", days["injected"][3], "of 1", INJECTED_MIN, []),
        _make_result("hourly spikes, time", median(took), "ms a series", 1.0, [round(one, 4) for one in took]),
    ]


def _make_result(name: str, value: float, unit: str, yardstick: float, runs: Sequence[float]) -> dict[str, Any]:
    ratio = round(value / yardstick, 3)
    return {"name": name, "value": round(value, 3), "unit": unit, "yardstick": yardstick, "ratio": ratio, "runs": runs}


def main() -> None:
    labelled, traffic = read_labelled(), read_traffic()
    print("\n".join(describe_machine()))
    print("\n## Labelled series, in 30 days\n", write_rules(RULES, labelled), sep="\n")
    print("\n## Each series\n", write_series(RULES, labelled), sep="\n")
    print("\n## At other sensitivities\n", write_rules(AT_OTHER_SENSITIVITIES, labelled), sep="\n")
    names = {f"{days} days, {margin:.0%}, {sd} sd": rule for (days, margin, sd), rule in VARIANTS.items()}
    print(f"\n## All {len(VARIANTS)} variants\n", write_rules(names, labelled), sep="\n")
    left_out = score_left_out(labelled)
    print(
        f"\nEach by what is best on the others: {left_out['found']} found, {left_out['episodes']:.2f} false episodes."
    )
    print(f"\n## Traffic, {len(traffic)} clients\n", write_traffic(AT_OTHER_SENSITIVITIES, traffic), sep="\n")
    print("\n## Cloud bill\n", write_days(read_bill()), sep="\n")
    for result in run():
        print(f"{result['name']}: {result['value']} {result['unit']}, yardstick {result['yardstick']}")


if __name__ == "__main__":
    main()
