"""What mapping rules would do to calls that stand without a cost centre: counted, and nothing is written.

Rules that ask for keys and features alone are answered from the rollups. Those that ask for users or tags are answered
from the entries, a page at a time and CALLS_READ_MAX of them at most: what came later is then not counted, and told.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from billing.core.mapping import MappingBook, MappingRule, Term, find_bounds
from billing.core.mapping_terms import MappingRefused, RuleTerms
from billing.core.wire_checks import ItemProblem
from billing.mapping import list_rules
from billing.reratings.reallocation import read_moves
from billing.selectors import CostQuery, get_costs
from ledger.selectors import find_user_refs
from tenants.scope import tenant_scope

TRIAL_DAYS = 30
TRIAL_DAYS_MAX = 400
DRAFT_ID = 0  # the rule that is tried and not kept
LEFT_MAX = 100
CALLS_READ_MAX = 250_000
CALLS_PER_PAGE = 5_000


@dataclass(slots=True)
class Share:
    """Calls, how many of them have no price, and what the others cost; USD."""

    calls: int = 0
    unpriced_calls: int = 0
    billed_cost: Decimal = Decimal(0)

    def add(self, other: "Share") -> None:
        self.calls += other.calls
        self.unpriced_calls += other.unpriced_calls
        self.billed_cost += other.billed_cost


def add_shares(shares: Iterable[Share]) -> Share:
    total = Share()
    for share in shares:
        total.add(share)
    return total


class RuleShare(NamedTuple):
    """What a rule would take; rule_id is DRAFT_ID for the one that is tried."""

    rule_id: int
    cost_center: str
    share: Share


class LeftShare(NamedTuple):
    """What would stay unallocated of a feature and a key."""

    feature: str
    api_key_id: str
    share: Share


@dataclass(frozen=True, slots=True)
class MappingTrial:
    """What rules would do to the unallocated calls used in [start, counted_to), which is `end` where all were counted.

    rules: in their order, those that take nothing too. left: the dearest LEFT_MAX of what stays; left_total: all of it.
    """

    start: datetime
    end: datetime
    counted_to: datetime
    rules: list[RuleShare]
    left: list[LeftShare]
    left_total: Share
    is_from_entries: bool


@dataclass(slots=True)
class _Tally:
    taken: defaultdict[int, Share] = field(default_factory=lambda: defaultdict(Share))
    left: defaultdict[tuple[str, str], Share] = field(default_factory=lambda: defaultdict(Share))

    def add(self, rule: MappingRule | None, *, feature: str, key: str, share: Share) -> None:
        (self.taken[rule.id] if rule else self.left[feature, key]).add(share)


def try_mapping(
    draft: RuleTerms | None, *, tenant_id: int, start: datetime, end: datetime, using: str = "default"
) -> MappingTrial:
    """What a re-allocation of [start, end), days of UTC, would do by the rules that there are.

    draft: a rule as if it stood at its place, and had held on all of these days. Raises MappingRefused.
    """
    if not timedelta(0) < end - start <= timedelta(days=TRIAL_DAYS_MAX):
        raise MappingRefused([ItemProblem("to", "wrong_value", f"is after `from`, by {TRIAL_DAYS_MAX} days at most")])
    rules = _list_tried(draft, tenant_id=tenant_id, using=using)
    is_from_entries = any(term.dimension in ("user", "tag") for rule in rules for term in rule.terms)
    count = _count_entries if is_from_entries else _count_rollups
    tally, counted_to = count(rules, tenant_id=tenant_id, start=start, end=end, using=using)
    left = [LeftShare(feature, key, share) for (feature, key), share in tally.left.items()]
    left.sort(key=lambda one: (-one.share.billed_cost, -one.share.calls, one.feature, one.api_key_id))
    return MappingTrial(
        start=start,
        end=end,
        counted_to=counted_to,
        rules=[RuleShare(rule.id, rule.cost_center, tally.taken[rule.id]) for rule in rules],
        left=left[:LEFT_MAX],
        left_total=add_shares(one.share for one in left),
        is_from_entries=is_from_entries,
    )


def find_trial_days(now: datetime, days: int = TRIAL_DAYS) -> tuple[datetime, datetime]:
    """The last days of UTC up to now, today among them."""
    end = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    return end - timedelta(days=days), end


def _list_tried(draft: RuleTerms | None, *, tenant_id: int, using: str) -> list[MappingRule]:
    rules = [kept.rule for kept in list_rules(tenant_id=tenant_id, using=using)]
    if draft is None:
        return rules
    terms = tuple(
        Term("user", tuple(find_user_refs(tenant_id=tenant_id, users=term.values, using=using)))
        if term.dimension == "user"
        else term
        for term in draft.terms
    )
    rules.insert(
        len(rules) if draft.place is None else draft.place - 1, MappingRule(DRAFT_ID, terms, draft.cost_center)
    )
    return rules


def _count_rollups(
    rules: Sequence[MappingRule], *, tenant_id: int, start: datetime, end: datetime, using: str
) -> tuple[_Tally, datetime]:
    """By key and feature, for each stretch of days in which the same rules hold. A fee is no call, and is left out."""
    book, tally = MappingBook(rules), _Tally()
    for first, after in _part(rules, start, end):
        query = CostQuery(
            tenant_id=tenant_id,
            start=first,
            end=after,
            granularity="total",
            group_by=("key", "feature"),
            filters={"cost_center": ("",)},
        )
        for row in get_costs(query, using=using).rows:
            (key, feature), sums = row.group, row.quantities
            if sums.calls:
                rule = book.find(time=first, key=key, feature=feature, user_ref="", tags={})
                tally.add(
                    rule, feature=feature, key=key, share=Share(sums.calls, sums.unpriced_calls, sums.billed_cost)
                )
    return tally, end


def _part(rules: Sequence[MappingRule], start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) cut where a rule begins or ends."""
    turns = {moment for rule in rules for moment in find_bounds(rule.valid_from, rule.valid_to)}
    edges = [start, *sorted(moment for moment in turns if start < moment < end), end]
    yield from zip(edges, edges[1:], strict=False)


def _count_entries(
    rules: Sequence[MappingRule], *, tenant_id: int, start: datetime, end: datetime, using: str
) -> tuple[_Tally, datetime]:
    """Call by call."""
    book, tally, after, read = MappingBook(rules), _Tally(), None, 0
    while True:
        with tenant_scope(tenant_id, using=using):
            moves = read_moves(
                book, tenant_id=tenant_id, start=start, end=end, after=after, limit=CALLS_PER_PAGE, using=using
            )
        for call, rule in moves.calls:
            share = Share(1, call.billed_cost is None, call.billed_cost or Decimal(0))
            tally.add(rule, feature=call.feature, key=call.api_key_id, share=share)
        after, read = moves.last, read + moves.read
        if after is None:
            return tally, end
        if read >= CALLS_READ_MAX:
            return tally, after.time
