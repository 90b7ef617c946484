"""What a detector answers: an anomaly with the range that was expected, or why nothing could be judged. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Literal

Kind = Literal[
    "daily_budget",
    "hourly_spike",
    "daily_spike",
    "sustained_growth",
    "heavy_request",
    "rate_spike",
    "heavy_user",
    "new",
    "unit_price_drift",
    "cache_collapse",
    "truncation",
    "unpriced",
    "silence",
    "reconciliation",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
Level = Literal["alert", "watch"]  # watch: shown on the page, and told by no message
Unit = Literal["cost", "tokens", "calls", "share", "unit_price", "seconds"]
Amount = int | Fraction
Fact = int | float | str | date | datetime | Fraction | None


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One number outside the range in which it was expected; what it is about (tenant, feature) is its caller's.

    when: where the hour or day begins, or the moment of the call. unit: of actual, expected, lower and upper: `cost`
    and `unit_price` are pico-USD (the price is that of a million tokens), `share` is of 1. impact: what it cost above
    what was expected, in pico-USD; 0 where that cannot be told. facts: what else its sentence needs.
    """

    kind: Kind
    level: Level
    when: datetime
    unit: Unit
    actual: Amount
    expected: Amount
    lower: Amount
    upper: Amount
    impact: int
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.when.utcoffset() != timedelta(0):
            raise ValueError(f"{self.when!r} is no moment of UTC")


@dataclass(frozen=True, slots=True)
class Verdict:
    """anomaly: None where all is as expected. unjudged: why nothing can be said, as a sentence's end; or ''."""

    anomaly: Anomaly | None = None
    unjudged: str = ""


ORDINARY = Verdict()


def lack(what: str, *, needed: int, given: int) -> Verdict:
    """Unjudged, for there is less than is needed."""
    return Verdict(unjudged=f"needs {needed} {what} and has {given}")
