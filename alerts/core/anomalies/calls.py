"""What is out of the ordinary about calls: one of them, a minute, a user's hour, how they end. Pure."""

from datetime import datetime
from fractions import Fraction

from alerts.core.anomalies.anomaly import ORDINARY, Anomaly, Verdict, lack
from alerts.core.anomalies.thresholds import DEFAULTS, HeavyRequest, HeavyUser, RateSpike, Truncation


def find_heavy_request(
    *,
    tokens: int,
    cost: int,
    usual_tokens: int,
    calls: int,
    when: datetime,
    thresholds: HeavyRequest = DEFAULTS.heavy_request,
) -> Verdict:
    """One call beside what its feature usually takes.

    tokens, cost: of the call, all its tokens. usual_tokens: the median of so many `calls` of its feature before.
    """
    if calls < thresholds.calls_min:
        return lack("calls of the feature", needed=thresholds.calls_min, given=calls)
    if usual_tokens <= 0:
        return Verdict(unjudged="needs calls that used tokens")
    upper = int(thresholds.times * usual_tokens)
    if tokens <= upper:
        return ORDINARY
    return Verdict(
        Anomaly(
            kind="heavy_request",
            level="alert",
            when=when,
            unit="tokens",
            actual=tokens,
            expected=usual_tokens,
            lower=0,
            upper=upper,
            impact=_share_above(cost, actual=tokens, expected=Fraction(usual_tokens)),
        )
    )


def find_rate_spike(
    *,
    calls: int,
    cost: int,
    calls_before: int,
    minutes_before: int,
    when: datetime,
    thresholds: RateSpike = DEFAULTS.rate_spike,
) -> Verdict:
    """The calls of one minute beside the mean of the minutes before it."""
    if minutes_before < thresholds.minutes_min:
        return lack("minutes", needed=thresholds.minutes_min, given=minutes_before)
    expected = Fraction(calls_before, minutes_before)
    upper = max(Fraction(thresholds.times) * expected, Fraction(thresholds.calls_min - 1))
    if calls <= upper:
        return ORDINARY
    impact = _share_above(cost, actual=calls, expected=expected)
    return Verdict(Anomaly("rate_spike", "alert", when, "calls", calls, expected, Fraction(0), upper, impact))


def find_heavy_user(
    *, cost: int, budget: int | None, when: datetime, thresholds: HeavyUser = DEFAULTS.heavy_user
) -> Verdict:
    """What one user cost within the hour that began at `when`, beside the budget of a whole day, in pico-USD."""
    if not budget:
        return Verdict(unjudged="needs a daily budget")
    upper = Fraction(thresholds.budget_share_max) * budget
    if cost <= upper:
        return ORDINARY
    share = Fraction(cost, budget)
    bound = int(upper)
    return Verdict(Anomaly("heavy_user", "alert", when, "cost", cost, bound, 0, bound, cost - bound, {"share": share}))


def find_truncation(
    *, truncated: int, calls: int, cost: int, when: datetime, thresholds: Truncation = DEFAULTS.truncation
) -> Verdict:
    """How many calls ended with finish_reason `length`, and what those cost: all of it is the impact."""
    if calls < thresholds.calls_min:
        return lack("calls", needed=thresholds.calls_min, given=calls)
    share, upper = Fraction(truncated, calls), Fraction(thresholds.share_max)
    if share <= upper:
        return ORDINARY
    facts = {"truncated": truncated, "calls": calls}
    return Verdict(Anomaly("truncation", "alert", when, "share", share, Fraction(0), Fraction(0), upper, cost, facts))


def _share_above(cost: int, *, actual: int, expected: Fraction) -> int:
    """The part of a cost that is due to what lies above the expected."""
    return round(cost * (1 - expected / actual))
