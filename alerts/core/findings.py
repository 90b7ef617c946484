"""An anomaly as an alert: its title, its facts, how bad it is, and what its whole episode has come to. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from alerts.core.anomalies import Anomaly, Cause, describe_anomaly, describe_cause
from alerts.core.anomalies.episodes import DAY, DAYS_QUIET, HOUR, HOURS_QUIET
from alerts.core.budgets import describe_scope
from alerts.core.facts import Expected, Facts, Figure, Mover, Part, Point, write_facts
from alerts.core.routing import Severity
from ledger.core.entries import PICO

MINUTE = timedelta(minutes=1)
NONE = timedelta(0)
# By rule: how long what is judged takes, and how much quiet after it ends an episode. Without quiet an episode ends at
# the first run that does not find it.
PERIODS: Mapping[str, tuple[timedelta, timedelta]] = {
    "rate_spike": (MINUTE, HOUR),
    "heavy_user": (HOUR, HOURS_QUIET),
    "hourly_spike": (HOUR, HOURS_QUIET),
    "heavy_request": (DAY, HOUR),
    "unpriced": (HOUR, DAY),
    "daily_spike": (DAY, DAYS_QUIET),
    "daily_spike_watch": (DAY, DAYS_QUIET),
    "unit_price_drift": (DAY, DAYS_QUIET),
    "cache_collapse": (DAY, DAYS_QUIET),
    "truncation": (DAY, DAYS_QUIET),
    "new_user": (DAY, DAYS_QUIET),
    "sustained_growth": (NONE, NONE),
    "new": (NONE, NONE),
    "silence": (NONE, NONE),
    "reconciliation": (NONE, NONE),
}
RULES = tuple(PERIODS)
WHENS_MAX = 400  # of an episode that are kept apart
UNITS = {"cost": "USD", "unit_price": "USD a million tokens", "tokens": "tokens", "calls": "calls", "share": "%",
         "seconds": "seconds"}  # fmt: skip
HIGH_DAYS, CRITICAL_DAYS = 1, 5  # of what the tenant usually spends a day


@dataclass(frozen=True, slots=True)
class Finding:
    """An anomaly of one scope. usual_day: what the tenant usually spends a day, in pico-USD; 0 where nobody knows.

    opens: whether it may open an alert; else it only goes on with one, for it is told as part of another.
    who: what its sentence is about, where the scope alone does not say it.
    """

    tenant_id: int
    scope: Mapping[str, str]
    anomaly: Anomaly
    cause: Cause | None = None
    movers: Sequence[Mover] = ()
    parts: Sequence[Part] = ()
    points: Sequence[Point] = ()
    usual_day: int = 0
    opens: bool = True
    details: Sequence[Figure] = ()
    who: str = ""

    @property
    def rule(self) -> str:
        """What the alert's rule is called."""
        if self.anomaly.kind == "new" and "user" in self.scope:
            return "new_user"
        return f"{self.anomaly.kind}_watch" if self.anomaly.level == "watch" else self.anomaly.kind

    @property
    def place(self) -> tuple[int, str, tuple[tuple[str, str], ...]]:
        """Whose alert it is: one at a time."""
        return self.tenant_id, self.rule, freeze_scope(self.scope)


def freeze_scope(scope: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(scope.items()))


@dataclass(frozen=True, slots=True)
class Course:
    """What an episode has come to. whens: the impact of each hour, day or minute of it, in pico-USD; earlier: of those
    that are no longer kept apart."""

    whens: Mapping[datetime, int] = field(default_factory=dict)
    earlier: int = 0

    @property
    def last(self) -> datetime:
        return max(self.whens)

    @property
    def impact(self) -> int:
        return self.earlier + sum(self.whens.values())

    def add(self, anomalies: Iterable[Anomaly]) -> "Course":
        """With these: what is found of the same time again takes its place."""
        whens = dict(self.whens) | {one.when: one.impact for one in anomalies}
        kept = sorted(whens)[-WHENS_MAX:]
        dropped = sum(impact for when, impact in whens.items() if when < kept[0])
        return Course({when: whens[when] for when in kept}, self.earlier + dropped)


def read_course(facts: Mapping[str, Any]) -> Course:
    """That of an alert's facts."""
    written = facts.get("course", {})
    whens = {datetime.fromisoformat(when): int(impact) for when, impact in written.get("whens", {}).items()}
    return Course(whens, int(written.get("earlier", 0)))


def write_finding(finding: Finding, course: Course) -> dict[str, Any]:
    """The facts of its alert, as JSON has them: for the page, and in `anomaly` and `course` exactly."""
    one = finding.anomaly
    sentence = describe_anomaly(one)
    period, _ = PERIODS[finding.rule]
    facts = Facts(
        sentence=f"{sentence} {describe_cause(finding.cause)}" if finding.cause else sentence,
        figures=tuple(finding.details),
        start=min(course.whens, default=one.when),
        end=(max(course.whens, default=one.when) + period) if period else None,
        expected=_write_range(one),
        points=tuple(finding.points),
        points_are="day" if period == DAY else "hour",
        movers=tuple(finding.movers),
        parts=tuple(finding.parts),
    )
    return write_facts(facts) | {"anomaly": write_anomaly(one, finding.cause), "course": _write_course(course)}


def keep_peak(facts: dict[str, Any], peak: Mapping[str, Any]) -> dict[str, Any]:
    """An episode's facts as they are by now, about the anomaly that was its worst: that of the facts `peak`."""
    anomaly = {**peak["anomaly"], "cause": facts["anomaly"]["cause"]}
    said = [
        anomaly.get("sentence", peak.get("sentence", "")),
        *([anomaly["cause"]["sentence"]] if anomaly["cause"] else []),
    ]
    kept = {name: peak[name] for name in ("expected", "figures") if name in peak}
    return facts | kept | {"anomaly": anomaly, "sentence": " ".join(said)}


def write_anomaly(one: Anomaly, cause: Cause | None = None) -> dict[str, Any]:
    """Exactly; amounts as text."""
    return {
        "kind": one.kind,
        "level": one.level,
        "when": one.when.isoformat(),
        "unit": one.unit,
        **{name: _write_exact(getattr(one, name), one.unit) for name in ("actual", "expected", "lower", "upper")},
        "impact": _write_money(one.impact),
        "sentence": describe_anomaly(one),
        "cause": None
        if cause is None
        else {
            "dimension": cause.dimension,
            "value": cause.value,
            "moved": _write_money(cause.moved),
            "share": f"{to_decimal(cause.share):.4f}",
            "sentence": describe_cause(cause),
        },
    }


def _write_course(course: Course) -> dict[str, Any]:
    whens = {when.isoformat(): str(impact) for when, impact in course.whens.items()}
    return {"whens": whens, "earlier": str(course.earlier)}


def write_title(finding: Finding) -> str:
    """“Feature chat: This hour cost 31.20 USD, 2.5 times the usual 12.40 USD; …”"""
    who = finding.who or (describe_scope(finding.scope) if finding.scope else "")
    sentence = describe_anomaly(finding.anomaly)
    if who and finding.anomaly.kind != "new":
        sentence = f"{who}: {sentence}"
    return f"{sentence[:1].upper()}{sentence[1:]}"


def rate_finding(finding: Finding, *, impact: int) -> Severity:
    """How bad an episode is that has cost so much. info: for the page alone, unless a channel asks for it."""
    if finding.anomaly.level == "watch":
        return "info"
    usual = finding.usual_day
    if usual and impact >= CRITICAL_DAYS * usual:
        return "critical"
    if finding.anomaly.kind == "reconciliation" or (usual and impact >= HIGH_DAYS * usual):
        return "high"
    return "warning"


def _write_range(one: Anomaly) -> Expected:
    amounts = {"low": one.lower, "middle": one.expected, "high": one.upper, "actual": one.actual}
    return Expected(**{name: scale(amount, one.unit) for name, amount in amounts.items()}, unit=UNITS[one.unit])


def scale(amount: int | Fraction, unit: str) -> Decimal:
    """An amount of an anomaly in the unit that people read."""
    exact = to_decimal(amount)
    if unit in ("cost", "unit_price"):
        return round(exact / PICO, 12)
    return round(exact * 100, 2) if unit == "share" else round(exact, 2)


def to_decimal(amount: int | Fraction) -> Decimal:
    exact = Fraction(amount)
    return Decimal(exact.numerator) / exact.denominator


def _write_exact(amount: int | Fraction, unit: str) -> str:
    if unit in ("cost", "unit_price"):
        return _write_money(round(amount))
    return f"{to_decimal(amount):.6f}" if unit == "share" else f"{scale(amount, unit):f}"


def _write_money(pico: int) -> str:
    return f"{to_usd(pico):f}"


def to_usd(pico: int) -> Decimal:
    """Exactly, with twelve decimals."""
    return Decimal(pico).scaleb(-12)
