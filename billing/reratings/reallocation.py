"""A page of calls without a cost centre against the mapping rules: which rule takes which, and their entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from billing.core.impacts import Impact
from billing.core.mapping import MappingBook, MappingRule
from billing.core.reratings import Correction, reallocate_entry
from billing.reratings.pages import book_pairs
from billing.tenant_rules import TenantRules
from ledger.calls import CallPlace
from ledger.core.rows import pico
from ledger.unallocated import UnallocatedCall, list_unallocated_calls

REALLOCATION = "re-allocation"  # begins the reason of what is booked so


@dataclass(frozen=True, slots=True)
class Moves:
    """Calls, each with the rule that takes it, None for one that stays. read: how many entries were looked at.

    `last` is None at the end.
    """

    calls: Sequence[tuple[UnallocatedCall, MappingRule | None]]
    read: int
    last: CallPlace | None

    @property
    def taken(self) -> list[tuple[UnallocatedCall, MappingRule]]:
        return [(call, rule) for call, rule in self.calls if rule is not None]


def read_moves(
    mapping: MappingBook,
    *,
    tenant_id: int,
    start: datetime,
    end: datetime,
    after: CallPlace | None,
    limit: int,
    using: str = "default",
) -> Moves:
    """The next calls used in [start, end) that stand without a cost centre. Call it inside the tenant's scope."""
    page = list_unallocated_calls(tenant_id=tenant_id, start=start, end=end, after=after, limit=limit, using=using)
    found = [
        (
            call,
            mapping.find(
                time=call.place.time,
                key=call.api_key_id,
                feature=call.feature,
                user_ref=call.user_ref,
                tags=call.tags,
            ),
        )
        for call in page.calls
    ]
    return Moves(found, page.read, page.last)


def book_moves(
    moves: Moves, *, tenant_id: int, rules: TenantRules, correction: Correction, recorded_at: datetime
) -> None:
    """Restate the calls that rules take; see `billing.reratings.pages.book_pairs`."""
    pairs = {
        call.entry_id: partial(reallocate_entry, root_id=call.root_id, rule=rule, correction=correction)
        for call, rule in moves.taken
    }
    book_pairs(pairs, tenant_id=tenant_id, rules=rules, recorded_at=recorded_at)


def measure_moves(moves: Moves, *, tenant_id: int) -> Impact:
    """How many calls of which months get a cost centre, and what they cost; that stays what it is."""
    impact = Impact()
    for call, _ in moves.taken:
        cost = pico(call.billed_cost)
        impact.add(tenant_id=tenant_id, period=call.billing_period, before=cost, after=cost)
    return impact
