"""What a booked call should cost by a rate, and the entries that make it so. Pure.

A preview and a re-rating ask the same function, so the one tells what the other books.
"""

from collections.abc import Mapping, Set
from datetime import date

import msgspec

from billing.core.mapping import MappingRule
from billing.core.pricing import Price, price_event
from billing.core.rates import RateBook
from billing.core.usage import UsageEvent
from ledger.core.entries import OWN_TAGS, RULE_TAG, NewEntry
from ledger.core.identity import fingerprint_facts, identify_booking

COSTS = ("input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
         "saved_cost")  # fmt: skip
QUANTITIES = (
    "calls", "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", *COSTS, "reported_cost",
)  # fmt: skip
REVERSES_TAG = f"{OWN_TAGS}reverses"

Costs = tuple[int | None, ...]  # of COSTS, in pico-USD; all None: unpriced


class BookedCall(msgspec.Struct, frozen=True, gc=False):
    """A call of the ledger and what it costs now: by its own entry, or by the last one that restated it.

    `entry_id` is the call's first entry, `in_force_id` the one whose costs stand, by `rate_version_id`.
    """

    entry_id: str
    in_force_id: str
    period: date
    rate_version_id: int | None
    event: UsageEvent
    costs: Costs

    @property
    def billed_cost(self) -> int | None:
        return self.costs[5]


class Correction(msgspec.Struct, frozen=True):
    """Why costs are restated, and who answers for it: kept in the tags of both entries, so in their leaves."""

    reason: str
    author: str
    approver: str
    job: str


def reprice_call(
    call: BookedCall,
    *,
    rate_book: RateBook,
    rate_version_id: int,
    tenant_id: int,
    by_month: Set[int] = frozenset(),
) -> Price | None:
    """The price of a call that this rate version prices; None where another does, or where nothing changes.

    by_month: the versions with tiers on a month's quantity. A call that counts in one of them is restated by the
    version that prices it now though it costs the same: what the month makes of it is another matter.
    """
    event = call.event
    rate = rate_book.find(event.provider, event.model, event.time, event.service_tier, event.region, tenant_id)
    if rate is None or rate.rate_version_id != rate_version_id:
        return None
    price = price_event(event, rate_book=rate_book, tenant_id=tenant_id)
    if list_costs(price) != call.costs:
        return price
    is_counted = not by_month.isdisjoint({rate_version_id, call.rate_version_id}) and not event.cache_hit
    return price if is_counted and call.rate_version_id != rate_version_id else None


def list_costs(price: Price) -> Costs:
    return (
        price.input_cost, price.cache_read_cost, price.cache_write_cost, price.output_cost, price.other_cost,
        price.billed_cost, price.list_cost, price.saved_cost,
    )  # fmt: skip


def correct_entry(
    entry: NewEntry,
    *,
    entry_id: str,
    root_id: str,
    price: Price,
    correction: Correction,
    billing_period: date,
    line: int,
) -> tuple[NewEntry, NewEntry]:
    """The pair that takes `entry` back and states it anew by `price`; see `_make_pair`."""
    restated = {name: getattr(price, name) for name in COSTS}
    return _make_pair(
        entry,
        entry_id=entry_id,
        root_id=root_id,
        kind="rating" if entry.billed_cost is None and entry.kind in ("usage", "rating") else "correction",
        correction=correction,
        billing_period=billing_period,
        line=line,
        facts=(price.rate_version_id, *restated.values()),
        changes={
            "pricing_status": price.status,
            "pricing_reason": price.reason,
            "rate_version_id": price.rate_version_id,
            "rate_version_hash": price.rate_version_hash,
            "context_tier": price.context_tier,
            **restated,
        },
    )


def reallocate_entry(
    entry: NewEntry,
    *,
    entry_id: str,
    root_id: str,
    rule: MappingRule,
    correction: Correction,
    billing_period: date,
    line: int,
) -> tuple[NewEntry, NewEntry]:
    """The pair that takes `entry` back and states it anew under the rule's cost centre, at the same price."""
    reversal, restatement = _make_pair(
        entry,
        entry_id=entry_id,
        root_id=root_id,
        kind="correction",
        correction=correction,
        billing_period=billing_period,
        line=line,
        facts=("cost_center", rule.cost_center, rule.id),
        changes={"cost_center": rule.cost_center},
    )
    stamp = {RULE_TAG: str(rule.id)}
    return reversal, msgspec.structs.replace(restatement, tags={**restatement.tags, **stamp})


def _make_pair(
    entry: NewEntry,
    *,
    entry_id: str,
    root_id: str,
    kind: str,
    correction: Correction,
    billing_period: date,
    line: int,
    facts: tuple[object, ...],
    changes: Mapping[str, object],
) -> tuple[NewEntry, NewEntry]:
    """The pair that takes `entry` back and states it anew with `changes`; on lines `line` and `line` + 1.

    Both name the call's first entry (`root_id`) and are charged in `billing_period`: where the entry that they take
    back was, or, that month closed, in the next that is open. A key is made of the entry that is taken back and the
    side, so no entry is ever taken back twice, whatever it is stated as.
    """
    tags = {name: value for name, value in entry.tags.items() if name == RULE_TAG or not name.startswith(OWN_TAGS)} | {
        REVERSES_TAG: entry_id,
        f"{OWN_TAGS}reason": correction.reason,
        f"{OWN_TAGS}author": correction.author,
        f"{OWN_TAGS}approver": correction.approver,
        f"{OWN_TAGS}job": correction.job,
    }
    stated = {name: getattr(entry, name) for name in QUANTITIES}
    told = {"kind": kind, "corrects": root_id, "tags": tags, "billing_period": billing_period}
    reversal = msgspec.structs.replace(
        entry,
        key=identify_booking("correction", entry_id, "reversal"),
        fingerprint=fingerprint_facts(("reversal", entry_id, *stated.values())),
        line=line,
        other_usage=_negate(entry.other_usage),
        **told,
        **{name: None if value is None else -value for name, value in stated.items()},
    )
    restatement = msgspec.structs.replace(
        entry,
        key=identify_booking("correction", entry_id, "restatement"),
        fingerprint=fingerprint_facts(("restatement", entry_id, *facts)),
        line=line + 1,
        **told,
        **changes,
    )
    return reversal, restatement


def _negate(quantities: Mapping[str, object]) -> dict[str, object]:
    return {name: -quantity for name, quantity in quantities.items()}  # type: ignore[operator]
