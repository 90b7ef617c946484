"""An act of a person as a row of the ledger: who did what to which, and nothing that is counted or charged."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from ledger.core.entries import NewEntry
from ledger.core.identity import fingerprint_facts, identify_booking
from ledger.core.rows import first_of_month

ACT_SOURCE = "tokenledger"


class Act(msgspec.Struct, frozen=True):
    """`name` says what was done (`rate.approved`), `actor` who did it, `facts` whatever else is to be kept.

    rate_version_id: the rate that it was done to, if one. Its provider and model belong among the facts: in their own
    columns they would stand among the model's calls.
    """

    name: str
    actor: str
    facts: Mapping[str, str] = {}
    rate_version_id: int | None = None


def make_act_entry(act: Act, *, place: str, now: datetime, rate_version_hash: str) -> NewEntry:
    """The row of an act. Its money is zero and not unknown, its calls are none; `place` makes it one of a kind."""
    return NewEntry(
        key=identify_booking("act", place),
        fingerprint=fingerprint_facts((act.name, act.actor, sorted(act.facts.items()), act.rate_version_id)),
        line=0,
        charge_period_start=now,
        billing_period=first_of_month(now),
        event_source=ACT_SOURCE,
        event_id=place,
        response_id="",
        environment="",
        feature="",
        user_ref="",
        cost_center="",
        customer_tier="",
        session_id="",
        trace_id="",
        span_id="",
        parent_span_id="",
        tags={"actor": act.actor, **act.facts},
        operation=act.name,
        provider="",
        model="",
        requested_model="",
        service_tier="",
        region="",
        status="ok",
        finish_reason="",
        latency_ms=None,
        cache_hit=False,
        prompt_hash="",
        input_tokens=0,
        cache_read_tokens=0,
        cache_write_tokens=0,
        cache_write_1h_tokens=0,
        output_tokens=0,
        reasoning_tokens=0,
        other_usage={},
        pricing_status="priced",
        pricing_reason="",
        rate_version_id=act.rate_version_id,
        rate_version_hash=rate_version_hash,
        context_tier=0,
        input_cost=0,
        cache_read_cost=0,
        cache_write_cost=0,
        output_cost=0,
        other_cost=0,
        billed_cost=0,
        list_cost=0,
        saved_cost=0,
        reported_cost=None,
        kind="admin_act",
        calls=0,
    )
