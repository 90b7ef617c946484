"""What comes for the first time, what comes no more, and what does not agree with what came. Pure."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from alerts.core.anomalies.anomaly import ORDINARY, Anomaly, Verdict, lack
from alerts.core.anomalies.thresholds import DEFAULTS, New, Reconciliation, Silence

NewThing = Literal["model", "key", "feature", "user"]
Check = Literal["rollup", "bill"]


def find_new(
    *, thing: NewThing, name: str, cost: int, days_before: int, when: datetime, thresholds: New = DEFAULTS.new
) -> Verdict:
    """Something first seen at `when`, and what it has cost since, in pico-USD.

    days_before: how long its tenant was known then; to a tenant of yesterday everything is new.
    """
    if days_before < thresholds.days_min:
        return lack("days before it", needed=thresholds.days_min, given=days_before)
    if cost <= thresholds.cost_min:
        return ORDINARY
    facts = {"thing": thing, "name": name}
    return Verdict(Anomaly("new", "alert", when, "cost", cost, 0, 0, thresholds.cost_min, cost, facts))


def find_silence(
    *,
    last_seen: datetime,
    longest_pause: timedelta,
    days: int,
    now: datetime,
    thresholds: Silence = DEFAULTS.silence,
) -> Verdict:
    """A source that always sends and has stopped.

    longest_pause: between two events of its last days, without what has passed since `last_seen`. days: for how many it
    is known.
    """
    if days < thresholds.days_min:
        return lack("days", needed=thresholds.days_min, given=days)
    if longest_pause > thresholds.pause_usual_max:
        hours = thresholds.pause_usual_max // timedelta(hours=1)
        return Verdict(unjudged=f"needs a source that pauses for {hours} hours at most")
    usual, actual = (round(pause.total_seconds()) for pause in (longest_pause, now - last_seen))
    upper = max(int(thresholds.times * usual), round(thresholds.pause_min.total_seconds()))
    if actual <= upper:
        return ORDINARY
    return Verdict(Anomaly("silence", "alert", last_seen, "seconds", actual, usual, 0, upper, 0))


def find_difference(
    *, check: Check, cost: int, ledger: int, when: datetime, thresholds: Reconciliation = DEFAULTS.reconciliation
) -> Verdict:
    """What a rollup or a provider's bill says a period cost, beside the ledger, in pico-USD: more or less."""
    tolerance = 0
    if check == "bill":
        tolerance = max(thresholds.bill_difference_max, int(Fraction(thresholds.bill_share_max) * abs(ledger)))
    difference = cost - ledger
    if abs(difference) <= tolerance:
        return ORDINARY
    lower, upper = ledger - tolerance, ledger + tolerance
    facts = {"check": check}
    anomaly = Anomaly("reconciliation", "alert", when, "cost", cost, ledger, lower, upper, abs(difference), facts)
    return Verdict(anomaly)


def find_unsealed(
    *, unsealed_since: datetime | None, now: datetime, thresholds: Reconciliation = DEFAULTS.reconciliation
) -> Verdict:
    """Entries that wait for a seal, from the time of the first of them; None: all are sealed."""
    if unsealed_since is None or now - unsealed_since <= thresholds.unsealed_max:
        return ORDINARY
    waited, upper = (round(part.total_seconds()) for part in (now - unsealed_since, thresholds.unsealed_max))
    facts = {"check": "seal"}
    return Verdict(Anomaly("reconciliation", "alert", unsealed_since, "seconds", waited, 0, 0, upper, 0, facts))
