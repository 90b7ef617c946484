"""What is out of the ordinary about prices: one that moved by itself, a cache that is read no more, none. Pure."""

from datetime import datetime
from fractions import Fraction

from alerts.core.anomalies.anomaly import ORDINARY, Anomaly, Verdict, lack
from alerts.core.anomalies.thresholds import DEFAULTS, CacheCollapse, PriceDrift, Unpriced

MILLION = 1_000_000


def find_price_drift(
    *,
    cost_before: int,
    tokens_before: int,
    cost: int,
    tokens: int,
    is_rate_published: bool,
    when: datetime,
    thresholds: PriceDrift = DEFAULTS.unit_price_drift,
) -> Verdict:
    """What a million tokens cost in the period that began at `when`, beside the period before it.

    To be asked of one meter of one model: a mean over several moves with their mix. is_rate_published: whether a rate
    took effect in between, which explains it.
    """
    if min(tokens_before, tokens) < thresholds.tokens_min:
        return lack("tokens in each period", needed=thresholds.tokens_min, given=min(tokens_before, tokens))
    if cost_before <= 0:
        return Verdict(unjudged="needs a price before")
    expected, actual = Fraction(cost_before * MILLION, tokens_before), Fraction(cost * MILLION, tokens)
    change_max = Fraction(thresholds.change_max)
    upper = expected * (1 + change_max)
    if is_rate_published or actual <= upper:
        return ORDINARY
    impact = round(cost - Fraction(cost_before * tokens, tokens_before))
    lower = expected * (1 - change_max)
    return Verdict(Anomaly("unit_price_drift", "alert", when, "unit_price", actual, expected, lower, upper, impact))


def find_cache_collapse(
    *,
    cache_read_before: int,
    input_before: int,
    cache_read: int,
    input_tokens: int,
    saving: Fraction = Fraction(0),
    when: datetime,
    thresholds: CacheCollapse = DEFAULTS.cache_collapse,
) -> Verdict:
    """The share of input tokens that came from a cache, beside the period before.

    input_before, input_tokens: all input, cached or not. saving: pico-USD by which a cached token is cheaper.
    """
    if min(input_before, input_tokens) < thresholds.tokens_min:
        return lack("input tokens in each period", needed=thresholds.tokens_min, given=min(input_before, input_tokens))
    expected, actual = Fraction(cache_read_before, input_before), Fraction(cache_read, input_tokens)
    if expected < Fraction(thresholds.share_min):
        percent = int(thresholds.share_min * 100)
        return Verdict(unjudged=f"needs a cache that gave {percent} % of the input before")
    lower = expected * Fraction(thresholds.remaining_max)
    if actual > lower:
        return ORDINARY
    impact = round((expected - actual) * input_tokens * saving)
    return Verdict(Anomaly("cache_collapse", "alert", when, "share", actual, expected, lower, Fraction(1), impact))


def find_unpriced(*, unpriced: int, calls: int, when: datetime, thresholds: Unpriced = DEFAULTS.unpriced) -> Verdict:
    """Calls that no rate covers, of all calls since `when`. What they cost is what is not known: no impact."""
    if unpriced < thresholds.calls_min:
        return ORDINARY
    upper = thresholds.calls_min - 1
    return Verdict(Anomaly("unpriced", "alert", when, "calls", unpriced, 0, 0, upper, 0, {"calls": calls}))
