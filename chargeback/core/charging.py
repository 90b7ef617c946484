"""A month's charge, whole: direct cost and rules in, lines by cost centre and a proof of conservation out. Pure.

The steps stand in `charge`, in their order: shared cost is moved, markups and discounts, fees, least charges, credits;
at the end all of it is put in the billing currency. Within, money is whole pico-USD, and nothing is lost.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chargeback.core.allocation import AllocationRule, Grounds, allocate, stand_direct_costs, weigh_direct_costs
from chargeback.core.charges import ChargeRule, charge_fees, mark_up, raise_to_minimums, use_credits
from chargeback.core.exchange import Exchange, round_to_payable
from chargeback.core.lines import KINDS, NOWHERE, UNALLOCATED, DirectCost, Line, Place, Posting, RuleNote


class Sums(NamedTuple):
    """Pico-USD by kind of line, each with the sign that it is charged with."""

    direct: int = 0
    allocated_out: int = 0
    allocated_in: int = 0
    markup: int = 0
    discount: int = 0
    fee: int = 0
    minimum: int = 0
    credit: int = 0

    @property
    def charged(self) -> int:
        return sum(self)


@dataclass(frozen=True, slots=True)
class CenterCharge:
    """What one cost centre is charged, and what for: its direct costs, and what rules made of them.

    charged, payable: in units of 10⁻¹² of the billing currency, before and after rounding to what can be paid.
    """

    cost_center: str
    sums: Sums
    charged: int
    payable: int
    costs: tuple[DirectCost, ...]
    postings: tuple[Posting, ...]

    @property
    def rounding(self) -> int:
        return self.payable - self.charged


@dataclass(frozen=True, slots=True)
class Conservation:
    """Both sides of Σ charged + unallocated = Σ cost + markups + fees + minimums − discounts − credits, in pico-USD."""

    charged: int
    unallocated: int
    cost: int
    markups: int
    fees: int
    minimums: int
    discounts: int
    credits: int

    @property
    def difference(self) -> int:
        made = self.cost + self.markups + self.fees + self.minimums - self.discounts - self.credits
        return self.charged + self.unallocated - made


@dataclass(frozen=True, slots=True)
class Charge:
    """A month's charge. unallocated: the cost that nobody is charged; credits_used: by the credit's rule."""

    centers: tuple[CenterCharge, ...]
    unallocated: CenterCharge
    conservation: Conservation
    exchange: Exchange
    notes: tuple[RuleNote, ...]
    credits_used: Mapping[int, int]

    @property
    def sums(self) -> Sums:
        """Of all that are charged."""
        return add_sums(center.sums for center in self.centers)


def charge(
    costs: Iterable[DirectCost],
    *,
    allocations: Sequence[AllocationRule] = (),
    charges: Sequence[ChargeRule] = (),
    drivers: Mapping[str, int] | None = None,
    exchange: Exchange | None = None,
) -> Charge:
    """Charge a month's direct cost by the rules in force. drivers: millionths of a unit by name.

    The order of what comes in says nothing, and one cost may come in several pieces.
    """
    direct = _add_pieces(costs)
    own: dict[str, list[DirectCost]] = defaultdict(list)
    for cost in direct:
        own[cost.cost_center].append(cost)
    standing, grounds = stand_direct_costs(own), Grounds(weigh_direct_costs(own), drivers or {})
    moved, moving_notes = allocate(standing, allocations, grounds)
    fees, fee_notes = charge_fees(charges, grounds)
    postings = [*moved, *mark_up(standing, charges), *fees]
    postings += list(raise_to_minimums(_sum_by_center(grounds, postings), charges))
    postings += list(use_credits(_sum_by_center(grounds, postings), charges))
    return _set_out(own, postings, (*moving_notes, *fee_notes), exchange or Exchange())


def _add_pieces(costs: Iterable[DirectCost]) -> list[DirectCost]:
    """One cost a cost centre, feature, provider and model, in this order."""
    sums: dict[tuple[str, ...], DirectCost] = {}
    for cost in costs:
        before = sums.setdefault(cost[:4], cost)
        if before is not cost:
            added = (a + b for a, b in zip(before[4:], cost[4:], strict=True))
            sums[cost[:4]] = DirectCost(*cost[:4], *added)
    return sorted(sums.values())


def _sum_by_center(grounds: Grounds, postings: Iterable[Posting]) -> dict[str, int]:
    """What each cost centre is charged so far; nobody is charged what is unallocated."""
    sums = defaultdict(int, {name: use.amount for name, use in grounds.uses.items()})
    for posting in postings:
        sums[posting.cost_center] += posting.amount
    sums.pop(UNALLOCATED, None)
    return sums


def _set_out(
    own: Mapping[str, Sequence[DirectCost]],
    postings: Sequence[Posting],
    notes: tuple[RuleNote, ...],
    exchange: Exchange,
) -> Charge:
    made: dict[str, list[Posting]] = defaultdict(list)
    used: dict[int, int] = defaultdict(int)
    for posting in postings:
        made[posting.cost_center].append(posting)
        if posting.kind == "credit" and posting.rule:
            used[posting.rule.rule_id] -= posting.amount
    centers = [
        _set_out_center(name, own.get(name, ()), made.get(name, ()), exchange)
        for name in sorted({*own, *made} - {UNALLOCATED})
    ]
    unallocated = _set_out_center(UNALLOCATED, own.get(UNALLOCATED, ()), made.get(UNALLOCATED, ()), exchange)
    totals = add_sums(center.sums for center in centers)
    conservation = Conservation(
        charged=totals.charged,
        unallocated=unallocated.sums.charged,
        cost=sum(cost.amount for costs in own.values() for cost in costs),
        markups=totals.markup,
        fees=totals.fee,
        minimums=totals.minimum,
        discounts=-totals.discount,
        credits=-totals.credit,
    )
    return Charge(tuple(centers), unallocated, conservation, exchange, notes, dict(used))


def _set_out_center(
    name: str, costs: Sequence[DirectCost], postings: Sequence[Posting], exchange: Exchange
) -> CenterCharge:
    by_kind: dict[str, int] = defaultdict(int, direct=sum(cost.amount for cost in costs))
    for posting in postings:
        by_kind[posting.kind] += posting.amount
    sums = Sums(**by_kind)
    charged = exchange.convert(sums.charged)
    payable = round_to_payable(charged, exchange.currency)
    return CenterCharge(name, sums, charged, payable, tuple(costs), tuple(postings))


def list_lines(center: CenterCharge, exchange: Exchange) -> list[Line]:
    """The lines of one charge in the billing currency, and what rounding them one by one leaves beside the whole."""
    lines: list[Line] = []
    for posting in _list_postings(center):
        lines.append(_write_line(len(lines) + 1, posting, exchange.convert(posting.amount), exchange))
    if remainder := center.charged - sum(line.amount for line in lines):
        words = "what the lines, each rounded to twelve decimals, leave beside the total × the rate"
        posting = Posting("remainder", center.cost_center, NOWHERE, 0, None, words)
        lines.append(_write_line(len(lines) + 1, posting, remainder, exchange))
    return lines


def _list_postings(center: CenterCharge) -> Iterator[Posting]:
    for cost in center.costs:
        words = f"{cost.calls:,} {'call' if cost.calls == 1 else 'calls'}, {cost.tokens:,} tokens"
        yield Posting("direct", cost.cost_center, Place(*cost[1:4]), cost.amount, None, words)
    yield from sorted(center.postings, key=lambda one: (KINDS.index(one.kind), one.place, one.rule or (), one.words))


def _write_line(number: int, posting: Posting, amount: int, exchange: Exchange) -> Line:
    place, rule = posting.place, posting.rule
    return Line(
        number=number,
        kind=posting.kind,
        cost_center=posting.cost_center,
        feature=place.feature,
        provider=place.provider,
        model=place.model,
        amount_usd=posting.amount,
        amount=amount,
        currency=exchange.currency,
        fx_rate=exchange.rate,
        fx_day=exchange.day,
        rule_id=rule.rule_id if rule else None,
        rule_version=rule.version if rule else None,
        words=posting.words,
    )


def add_sums(sums: Iterable[Sums]) -> Sums:
    """Several, kind by kind."""
    return Sums(*(sum(column) for column in zip(*sums, strict=True))) if (sums := list(sums)) else Sums()
