"""Anomalies and their causes in plain sentences, with amounts rounded for reading. Pure."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction

from alerts.core.anomalies.anomaly import Amount, Anomaly, Kind
from alerts.core.anomalies.causes import Cause
from ledger.core.entries import PICO

PERCENT = "\N{NARROW NO-BREAK SPACE}%"
TIMES_MAX = 1_000  # more is no figure that says something
STEP_WORDS = {
    "price": "by price",
    "volume": "by volume",
    "mix": "by its mix of models and output",
    "cache": "by what it reads from the cache",
    "new": "as something new",
    "ended": "by its end",
}


def describe_anomaly(anomaly: Anomaly) -> str:
    """What happened beside what was expected: “This hour cost 31.20 USD; up to 12.40 USD was expected.”"""
    return _SENTENCES[anomaly.kind](anomaly)


def describe_cause(cause: Cause) -> str:
    """“Mostly feature chat: 12.40 USD more, 87 % of the change, above all by volume.”"""
    way = "more" if cause.moved > 0 else "less"
    step = f", above all {STEP_WORDS[cause.step]}" if cause.step else ""
    share = f"{_say_share(cause.share)} of the change" if cause.share <= 1 else "more than the whole change"
    return f"Mostly {cause.dimension} {cause.value}: {_say_cost(abs(cause.moved))} {way}, {share}{step}."


def _describe_hourly_spike(one: Anomaly) -> str:
    return (
        f"This hour cost {_say_cost(one.actual)}{_say_times(one)}; its range, from {one.facts['days']} days, ends at "
        f"{_say_cost(one.upper)}."
    )


def _describe_daily_spike(one: Anomaly) -> str:
    if one.level == "watch":
        return f"The last 24 hours cost {_say_cost(one.actual)}{_say_times(one)} of the week before."
    return (
        f"This day cost {_say_cost(one.actual)}{_say_times(one)}; its range, from {one.facts['days']} days, ends at "
        f"{_say_cost(one.upper)}."
    )


def _describe_daily_budget(one: Anomaly) -> str:
    return f"This day cost {_say_cost(one.actual)}, {_say_cost(one.impact)} above its budget of {_say_cost(one.upper)}."


def _describe_sustained_growth(one: Anomaly) -> str:
    growth = _say_share(Fraction(one.facts["growth"]))  # type: ignore[arg-type]
    said = f"Cost has grown by {growth} a week, {one.facts['weeks']} weeks running, to {_say_cost(one.actual)} a week"
    ends = one.facts["budget_ends"]
    return f"{said}; at this pace the budget is used up on {ends}." if ends else f"{said}."


def _describe_heavy_request(one: Anomaly) -> str:
    return f"One call took {_say_count(one.actual)} tokens; its feature usually takes {_say_count(one.expected)}."


def _describe_rate_spike(one: Anomaly) -> str:
    return f"{_say_count(one.actual)} calls within a minute; usual are {_say_count(one.expected)}."


def _describe_heavy_user(one: Anomaly) -> str:
    share = _say_share(Fraction(one.facts["share"]))  # type: ignore[arg-type]
    return f"One user cost {_say_cost(one.actual)} within an hour, {share} of the daily budget."


def _describe_new(one: Anomaly) -> str:
    return f"The {one.facts['thing']} {one.facts['name']} is new and has cost {_say_cost(one.actual)}."


def _describe_price_drift(one: Anomaly) -> str:
    actual, expected = _say_cost(one.actual), _say_cost(one.expected)
    return f"A million tokens cost {actual} where it was {expected}, and no rate was published."


def _describe_cache_collapse(one: Anomaly) -> str:
    return f"{_say_share(one.actual)} of the input came from the cache where it was {_say_share(one.expected)}."


def _describe_truncation(one: Anomaly) -> str:
    truncated, calls = (_say_count(_read_count(one, name)) for name in ("truncated", "calls"))
    return f"{truncated} of {calls} calls ended for want of output tokens: {_say_share(one.actual)}."


def _describe_unpriced(one: Anomaly) -> str:
    return f"No rate covers {_say_count(one.actual)} of {_say_count(_read_count(one, 'calls'))} calls."


def _describe_silence(one: Anomaly) -> str:
    return f"Nothing has come for {_say_time(one.actual)}; the longest pause was {_say_time(one.expected)}."


def _describe_reconciliation(one: Anomaly) -> str:
    if "refused" in one.facts:
        return f"The sealer refuses {one.facts['refused']}."
    if one.facts["check"] == "seal":
        return f"Entries have waited for their seal for {_say_time(one.actual)}."
    way = "above" if one.actual > one.expected else "below"
    return f"The {one.facts['check']} is {_say_cost(one.impact)} {way} the ledger's {_say_cost(one.expected)}."


_SENTENCES: Mapping[Kind, Callable[[Anomaly], str]] = {
    "daily_budget": _describe_daily_budget,
    "hourly_spike": _describe_hourly_spike,
    "daily_spike": _describe_daily_spike,
    "sustained_growth": _describe_sustained_growth,
    "heavy_request": _describe_heavy_request,
    "rate_spike": _describe_rate_spike,
    "heavy_user": _describe_heavy_user,
    "new": _describe_new,
    "unit_price_drift": _describe_price_drift,
    "cache_collapse": _describe_cache_collapse,
    "truncation": _describe_truncation,
    "unpriced": _describe_unpriced,
    "silence": _describe_silence,
    "reconciliation": _describe_reconciliation,
}


def _read_count(one: Anomaly, name: str) -> int:
    count = one.facts[name]
    assert isinstance(count, int)
    return count


def _say_times(one: Anomaly) -> str:
    """“, 2.5 times the usual 12.40 USD”; the usual alone, where it is next to nothing."""
    usual = f"the usual {_say_cost(one.expected)}"
    if one.expected <= 0 or one.actual > TIMES_MAX * one.expected:
        return f" instead of {usual}"
    return f", {Decimal(round(Fraction(one.actual) / Fraction(one.expected) * 10)) / 10:,} times {usual}"


def _say_cost(pico: Amount) -> str:
    """Two decimals; below ten cents as many as two digits need."""
    amount = Decimal(round(pico)) / PICO
    decimals = 2 if not amount or abs(amount) >= Decimal("0.1") else 1 - amount.adjusted()
    return f"{amount:,.{decimals}f} USD"


def _say_share(share: Amount) -> str:
    return f"{Decimal(round(share * 1000)) / 10:,.3g}{PERCENT}" if share < 1 else f"{round(share * 100):,}{PERCENT}"


def _say_count(count: Amount) -> str:
    """Whole; below ten with a decimal, where it has one."""
    return f"{round(count):,}" if count >= 10 or count == round(count) else f"{Decimal(round(count * 10)) / 10}"


def _say_time(seconds: Amount) -> str:
    """The largest unit of which there are two."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{round(seconds)} seconds"
