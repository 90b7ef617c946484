"""What the rows of one group were charged, meter by meter: quantities multiplied by the price list that they name.

A group's rows share one price list and one context tier, so their quantities may be added before they are multiplied.
Where rows were rounded, or a quantity was charged in parts, the caller brings the parts row by row (`RowSums.parts`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from billing.core.rate_documents import METER_BY_USAGE

TOKENS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip
COSTS = ("billed_cost", "list_cost", "saved_cost")
CALLS = ("usage", "rating", "correction")  # kinds of rows that a price list multiplies
REPORTED, NO_USAGE, REMAINDER = "reported_cost", "no_usage", "remainder"


class Place(NamedTuple):
    """Where, when and how the rows of a group were used: what a statement adds up over, and FOCUS tells apart."""

    day: date | None = None
    environment: str = ""
    cost_center: str = ""
    service_tier: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A quantity at one price. amount and list_amount are quantity × price / per, exactly.

    price: None for what has no unit price. rows: that have any of it. tier: of the price list, with these prices.
    """

    usage: str  # as the ledger names the quantity
    quantity: Decimal
    price: Decimal | None
    list_price: Decimal | None
    per: int
    amount: Fraction
    list_amount: Fraction
    rows: int
    tier: int = 0
    note: str = ""

    @property
    def meter(self) -> str:
        return METER_BY_USAGE.get(self.usage, self.usage)


@dataclass(frozen=True, slots=True)
class RowSums:
    """The rows of one group, added up. tokens, token_rows and costs stand in the order of TOKENS and COSTS.

    charge_month: in which they were used, by its first day. subject: what a row that is no call is about, and why a
    correction was made. requests: the calls that a price per request counts. other: by usage name, quantity and rows.
    parts: of those whose price list charges in parts, for these rows together.
    """

    kind: str
    pricing_status: str
    feature: str
    provider: str
    model: str
    rate_version_id: int | None
    context_tier: int
    cache_hit: bool
    charge_month: date
    subject: Mapping[str, str]
    place: Place
    rows: int
    booked_until: datetime
    calls: int
    requests: int
    tokens: tuple[int, ...]
    token_rows: tuple[int, ...]
    costs: tuple[Decimal | None, ...]
    other: Mapping[str, tuple[Decimal, int]] = field(default_factory=dict)
    parts: tuple[Part, ...] | None = None

    @property
    def billed_cost(self) -> Decimal:
        return self.costs[0] or Decimal(0)

    @property
    def list_cost(self) -> Decimal:
        return self.costs[1] or Decimal(0)

    @property
    def saved_cost(self) -> Decimal:
        return self.costs[2] or Decimal(0)


def split_costs(sums: RowSums, content: Mapping[str, Any] | None) -> list[Part]:
    """What the group's rows were charged, by meter and price; of unpriced rows their quantities. One part at least.

    content: of the price list that the rows name; None where they name none. Where rows were rounded one by one, the
    parts come to less or more than the group's costs: that is the caller's to say.
    """
    if sums.kind not in CALLS:
        return [_price_fee(sums, content)]
    parts = [part for part in _list_parts(sums, content) if part.quantity or part.amount or part.list_amount]
    return parts or [_count_calls(sums)]


def _list_parts(sums: RowSums, content: Mapping[str, Any] | None) -> Iterator[Part]:
    if sums.parts is not None:
        yield from sums.parts
    elif sums.pricing_status == "reported":
        amount = Fraction(sums.billed_cost)
        yield Part(REPORTED, Decimal(sums.calls), None, None, 1, amount, Fraction(sums.list_cost), sums.rows)
    elif content is None or sums.pricing_status == "unpriced":
        for usage, quantity, rows in _list_quantities(sums, has_reasoning=False):
            yield Part(usage, quantity, None, None, 1, Fraction(0), Fraction(0), rows)
    else:
        meters = list_meters(content, tier=sums.context_tier)
        for usage, quantity, rows in _list_quantities(sums, has_reasoning="reasoning" in meters):
            yield _multiply(usage, quantity, rows, meters, sums)
        if "request" in meters and sums.requests:
            yield _multiply("requests", Decimal(sums.requests), abs(sums.requests), meters, sums)


def _multiply(usage: str, quantity: Decimal, rows: int, meters: Mapping[str, Mapping[str, Any]], sums: RowSums) -> Part:
    """The part of one meter. What a cache of responses answered costs nothing, and lists nothing."""
    meter = meters.get(METER_BY_USAGE.get(usage, usage))
    if meter is None:
        return Part(usage, quantity, None, None, 1, Fraction(0), Fraction(0), rows, sums.context_tier)
    price, per = Decimal(0 if sums.cache_hit else meter["price"]), int(meter["per"])
    list_price = Decimal(0) if sums.cache_hit else Decimal(meter.get("list_price", meter["price"]))
    amount, at_list = (Fraction(quantity) * Fraction(each) / per for each in (price, list_price))
    return Part(usage, quantity, price, list_price, per, amount, at_list, rows, sums.context_tier)


def list_meters(content: Mapping[str, Any], *, tier: int) -> dict[str, Mapping[str, Any]]:
    """The meters in force in a context tier: each tier names those that differ from the one below it."""
    meters = dict(content.get("meters", {}))
    for reached in content.get("context_tiers", [])[:tier]:
        meters |= reached["meters"]
    return meters


def _list_quantities(sums: RowSums, *, has_reasoning: bool) -> Iterator[tuple[str, Decimal, int]]:
    """(usage, quantity, rows): reasoning apart where it has a price of its own, for it stands inside output."""
    tokens = dict(zip(TOKENS, zip(sums.tokens, sums.token_rows, strict=True), strict=True))
    reasoning, reasoning_rows = tokens.pop("reasoning_tokens")
    if has_reasoning:
        output, output_rows = tokens["output_tokens"]
        tokens["output_tokens"] = output - reasoning, output_rows
        tokens["reasoning_tokens"] = reasoning, reasoning_rows
    for usage, (quantity, rows) in tokens.items():
        if rows:
            yield usage, Decimal(quantity), rows
    for usage, (amount, rows) in sorted(sums.other.items()):
        yield usage, amount, rows


def _price_fee(sums: RowSums, content: Mapping[str, Any] | None) -> Part:
    """A fee by the day as so many days; any other as the amount that it is."""
    amount = Fraction(sums.billed_cost)
    listed = Fraction(sums.list_cost)
    usage = sums.subject.get("meter") or sums.kind
    if content and "daily_fee" in content and sums.subject.get("operation") == "day" and amount == listed:
        fee = Decimal(content["daily_fee"])
        days = amount / Fraction(fee) if fee else Fraction(0)
        if days.denominator == 1:
            return Part("days", Decimal(days.numerator), fee, fee, 1, amount, listed, sums.rows)
    return Part(usage, Decimal(sums.rows), None, None, 1, amount, listed, sums.rows)


def _count_calls(sums: RowSums) -> Part:
    """Calls that used nothing: they have no meter, and still are rows of the statement."""
    return Part(NO_USAGE, Decimal(sums.calls), None, None, 1, Fraction(0), Fraction(0), sums.rows)


def is_rounding(left: Fraction, *, rows: int) -> bool:
    """Whether a remainder is what rounding each row at 12 decimals may leave, ten meters to a row, and each line."""
    return abs(left) <= (rows + 1) * 10 * Fraction(1, 2 * 10**12)
