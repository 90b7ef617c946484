"""An amount that a person books: what is given back, or what a bill or a dispute makes up for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from billing.rates.book import hold_rate_book
from billing.tenant_rules import load_tenant_rules
from ledger.acts import book_act
from ledger.append import append_batches
from ledger.core.acts import Act
from ledger.core.entries import MONEY_PICO_MAX, OWN_TAGS, NewBatch, NewEntry
from ledger.core.identity import fingerprint_facts, identify_booking, make_uuid7
from ledger.core.no_calls import make_no_call
from ledger.core.rows import first_of_month, pico
from ledger.partitions import ensure_partition
from ledger.selectors import get_entry
from ledger.topics import TOPICS
from tenants.scope import tenant_scope

CREDIT, ADJUSTMENT = KINDS = ("credit", "adjustment")
ID_LENGTH_MAX, REASON_LENGTH_MAX = 64, 500
ATTRIBUTION = ("environment", "feature", "user_ref", "cost_center", "provider", "model", "service_tier", "region")


class AdjustmentRefused(ValueError):
    """An amount that is not booked, in a sentence; `code` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An amount in USD, of at most 12 decimals, to be added to what is charged: below zero takes from it.

    id: names it among the tenant's, so that it is booked once. time: whose month it is about. corrects: the id of the
    entry that it is about, whose attribution and time are then its own.
    """

    id: str
    kind: str  # credit, below zero, or adjustment
    amount: Decimal
    reason: str
    time: datetime | None = None
    corrects: str = ""
    cost_center: str = ""
    feature: str = ""
    provider: str = ""
    model: str = ""


def book_adjustment(adjustment: Adjustment, *, tenant_id: int, actor: str, now: datetime) -> str:
    """Book an amount in the first open month from its own on, with an act; its entry's id.

    The same again is the entry that there is. Raises AdjustmentRefused: `adjustment_invalid`, `entry_unknown`,
    `adjustment_conflict` where the id stands for another amount.
    """
    amount = _check(adjustment)
    if not connection.in_atomic_block:
        ensure_partition(now)
    with tenant_scope(tenant_id):
        rules = load_tenant_rules(tenant_id, version=hold_rate_book())
        told = _describe(adjustment, tenant_id=tenant_id, now=now)
        entry = make_no_call(
            key=identify_booking("adjustment", adjustment.id),
            fingerprint=fingerprint_facts((adjustment.kind, amount, adjustment.corrects, adjustment.reason)),
            billing_period=rules.find_open_month(first_of_month(told["time"])),
            event_id=adjustment.id,
            tags={f"{OWN_TAGS}reason": adjustment.reason, f"{OWN_TAGS}author": actor},
            operation=adjustment.kind,
            rate_version_id=None,
            rate_version_hash="",
            other_cost=amount,
            billed_cost=amount,
            kind=adjustment.kind,
            **told,
        )
        return _keep(entry, adjustment, tenant_id=tenant_id, actor=actor, now=now)


def _check(adjustment: Adjustment) -> int:
    """The amount in pico-USD. Raises AdjustmentRefused."""
    whole = adjustment.amount.is_finite() and adjustment.amount.normalize().as_tuple().exponent >= -12
    amount = pico(adjustment.amount) if whole else None
    if adjustment.kind not in KINDS:
        raise AdjustmentRefused("adjustment_invalid", f"a kind is one of {', '.join(KINDS)}")
    if not amount or abs(amount) > MONEY_PICO_MAX:
        raise AdjustmentRefused("adjustment_invalid", "an amount is not zero and has at most 12 decimals and 12 digits")
    if adjustment.kind == CREDIT and amount > 0:
        raise AdjustmentRefused("adjustment_invalid", "a credit gives something back: its amount is below zero")
    for name, length_max in (("id", ID_LENGTH_MAX), ("reason", REASON_LENGTH_MAX)):
        text = getattr(adjustment, name)
        if not text.strip() or len(text) > length_max or not text.isprintable():
            raise AdjustmentRefused("adjustment_invalid", f"{name} has 1 to {length_max} printable characters")
    return amount


def _describe(adjustment: Adjustment, *, tenant_id: int, now: datetime) -> dict[str, Any]:
    """Whose amount it is and of when: as the entry that it corrects, or as it says itself."""
    if adjustment.corrects:
        corrected = get_entry(tenant_id=tenant_id, entry_id=adjustment.corrects)
        if corrected is None or corrected["kind"] == "admin_act":
            raise AdjustmentRefused("entry_unknown", f"no entry {adjustment.corrects} is charged")
        attribution = {name: corrected[name] for name in ATTRIBUTION}
        first = corrected["corrects"] or corrected["id"]  # a call's whole story hangs on its first entry
        return {"time": corrected["charge_period_start"], "corrects": first, **attribution}
    named = {name: getattr(adjustment, name) for name in ("cost_center", "feature", "provider", "model")}
    return {"time": adjustment.time or now, "environment": "production", **named}


def _keep(entry: NewEntry, adjustment: Adjustment, *, tenant_id: int, actor: str, now: datetime) -> str:
    batch = NewBatch(make_uuid7(now, os.urandom(8)), now, "", entry.kind, [entry])
    (result,) = append_batches(tenant_id=tenant_id, batches=[batch], topics=TOPICS)
    if result.kept:
        (known,) = result.kept
        return _find_same(f"{known.batch_id}.{known.first_line}", entry, tenant_id=tenant_id)
    entry_id = f"{batch.batch_id}.0"
    facts: Mapping[str, str] = {
        "entry": entry_id,
        "id": adjustment.id,
        "amount": f"{adjustment.amount:.12f}",
        "reason": adjustment.reason,
        "billing_period": f"{entry.billing_period:%Y-%m}",
        **({"corrects": adjustment.corrects} if adjustment.corrects else {}),
    }
    book_act(tenant_id=tenant_id, act=Act(name=f"{entry.kind}.booked", actor=actor, facts=facts), now=now)
    return entry_id


def _find_same(entry_id: str, entry: NewEntry, *, tenant_id: int) -> str:
    """The entry that holds the id already, if it says the same. Raises AdjustmentRefused."""
    stored = get_entry(tenant_id=tenant_id, entry_id=entry_id)
    assert stored is not None
    facts = ("kind", "corrects", *ATTRIBUTION)
    same = all(stored[name] == getattr(entry, name) for name in facts)
    reason = f"{OWN_TAGS}reason"
    if not same or pico(stored["billed_cost"]) != entry.billed_cost or stored["tags"][reason] != entry.tags[reason]:
        raise AdjustmentRefused("adjustment_conflict", f"{entry.event_id} is the id of another amount")
    return entry_id
