"""An act of a person as a row of the ledger: who did what to which, and nothing that is counted or charged."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from ledger.core.entries import NewEntry
from ledger.core.identity import fingerprint_facts, identify_booking
from ledger.core.no_calls import make_no_call


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
    return make_no_call(
        key=identify_booking("act", place),
        fingerprint=fingerprint_facts((act.name, act.actor, sorted(act.facts.items()), act.rate_version_id)),
        time=now,
        event_id=place,
        tags={"actor": act.actor, **act.facts},
        operation=act.name,
        rate_version_id=act.rate_version_id,
        rate_version_hash=rate_version_hash,
        kind="admin_act",
    )
