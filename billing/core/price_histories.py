"""When a model's price changes, as the rate book would price a call of it: past steps and the next one. Pure.

The book decides at every moment at which any list that may match begins or ends; whatever it does not choose then
(another name that wins, a tier without a list) is no step.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from billing.core.model_names import canonical_names
from billing.core.rates import RateBook, matches_name

STANDARD = "standard"  # a call's service tier where it names none


class Call(msgspec.Struct, frozen=True):
    """What a price depends on besides the time."""

    provider: str
    model: str
    service_tier: str = STANDARD
    region: str = ""
    tenant_id: int = 0


class PriceStep(msgspec.Struct, frozen=True):
    """From `start` on the list `rate_version_id` prices the call; None: no list does."""

    start: datetime
    rate_version_id: int | None


def find_rate(book: RateBook, call: Call, time: datetime) -> int | None:
    """The version that prices the call at `time`."""
    rate = book.find(call.provider, call.model, time, call.service_tier, call.region, call.tenant_id)
    return None if rate is None else rate.rate_version_id


def list_price_steps(book: RateBook, call: Call, moments: Iterable[datetime]) -> list[PriceStep]:
    """The steps of the price at the given moments, oldest first; none before the first price."""
    steps: list[PriceStep] = []
    for moment in sorted(set(moments)):
        found = find_rate(book, call, moment)
        if found != (steps[-1].rate_version_id if steps else None):
            steps.append(PriceStep(moment, found))
    return steps


def find_next_change(book: RateBook, call: Call, *, now: datetime, moments: Iterable[datetime]) -> PriceStep | None:
    """The first later moment at which another list prices the call than does now, or none does."""
    current = find_rate(book, call, now)
    for moment in sorted({moment for moment in moments if moment > now}):
        found = find_rate(book, call, moment)
        if found != current:
            return PriceStep(moment, found)
    return None


def may_match(call: Call, *, provider: str, model: str, match: str, alias: tuple[str, str] | None = None) -> bool:
    """Whether a list of this provider and name may price the call at some time. alias: what the call's names mean."""
    canonical, spellings = canonical_names(*(alias or (call.provider, call.model)))
    if provider != canonical:
        return False
    if match == "exact":
        return model in spellings
    return any(matches_name(match, model, name) for name in spellings)
