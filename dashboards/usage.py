"""One entry's usage by meter: quantities, shares, and the bars that show them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing.explanations import Explanation
from dashboards.core.shares import split_shares

# A bucket's column, its word, its cost's column, and its colour.
BUCKETS = (
    ("input_tokens", "Input", "input_cost", "1"),
    ("cache_read_tokens", "Cache read", "cache_read_cost", "2"),
    ("cache_write_tokens", "Cache write, 5 min", "cache_write_cost", "3"),
    ("cache_write_1h_tokens", "Cache write, 1 h", "cache_write_cost", "4"),
    ("output_tokens", "Output", "output_cost", "5"),
)
BAR_WIDTH = 600
BAR_GAP = Decimal("1.5")


@dataclass(frozen=True, slots=True)
class UsageLine:
    """A meter. tokens: None for what is not counted in tokens; cost: None while unknown, or where the cost of two
    meters is kept together.
    """

    word: str
    color: str
    quantity: Decimal | int
    is_tokens: bool
    token_share: Decimal | None
    cost: Decimal | None
    cost_share: Decimal | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a bar, in units of its 600 wide drawing."""

    color: str
    x: Decimal
    width: Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """The meters that were used; tokens: of the disjoint buckets; cost: of the entry, None while unknown."""

    lines: Sequence[UsageLine]
    tokens: int
    cache_share: Decimal | None
    cost: Decimal | None
    token_bar: Sequence[Segment]
    cost_bar: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """A line of the explanation with its meter in words."""

    word: str
    quantity: Decimal
    price: Decimal
    per: int
    cost: Decimal
    is_exact: bool
    note: str


def describe_lines(explanation: Explanation) -> list[ExplainedLine]:
    """The explanation's lines as the page shows them."""
    return [
        ExplainedLine(_name_meter(line.usage), line.quantity, line.price, line.per, line.cost, line.is_exact, line.note)
        for line in explanation.lines
    ]


def find_not_charged(explanation: Explanation) -> Decimal | None:
    """What the lines say above what is billed, as a negative amount: a call that our own cache answered."""
    if explanation.total is None or not explanation.lines:
        return None
    return explanation.total - sum((line.cost for line in explanation.lines), Decimal(0)) or None


def _name_meter(usage: str) -> str:
    words = {column: word for column, word, _, _ in BUCKETS} | {"reasoning_tokens": "Reasoning"}
    return words.get(usage) or usage.removesuffix("_tokens").replace("_", " ").capitalize()


def describe_usage(entry: Mapping[str, Any], explanation: Explanation) -> Usage:
    """The usage of an entry as `ledger.selectors` gives it, each meter with what the explanation says it cost."""
    used = [bucket for bucket in BUCKETS if entry[bucket[0]]]
    costs = _split_costs(entry, used, explanation)
    quantities = [entry[column] for column, *_ in used]
    shares = split_shares([Decimal(quantity) for quantity in quantities]) if used else []
    other_cost = entry["other_cost"]
    cost_shares = (
        split_shares([*(cost or Decimal(0) for cost in costs), other_cost or Decimal(0)])
        if entry["billed_cost"] is not None
        else [None] * (len(used) + 1)
    )
    lines = [
        UsageLine(
            word,
            color,
            quantity,
            True,
            share,
            cost,
            cost_share,
            f"{entry['reasoning_tokens']:,d} of them reasoning"
            if column == "output_tokens" and entry["reasoning_tokens"]
            else "",
        )
        for (column, word, _, color), quantity, share, cost, cost_share in zip(
            used, quantities, shares, costs, cost_shares, strict=False
        )
    ]
    lines += [
        UsageLine(_name_meter(meter), "other", quantity, False, None, None, None)
        for meter, quantity in entry["other_usage"].items()
    ]
    if other_cost:
        lines.append(UsageLine("Other meters", "other", 0, False, None, other_cost, cost_shares[-1]))
    tokens = sum(quantities)
    return Usage(
        lines=lines,
        tokens=tokens,
        cache_share=Decimal(entry["cache_read_tokens"]) * 100 / tokens if tokens else None,
        cost=entry["billed_cost"],
        token_bar=_make_bar([(line.color, Decimal(line.quantity)) for line in lines if line.is_tokens]),
        cost_bar=_make_bar([(line.color, line.cost) for line in lines if line.cost]),
    )


def _describe_reasoning(entry: Mapping[str, Any]) -> str:
    return f"{entry['reasoning_tokens']:,d} of them reasoning" if entry["reasoning_tokens"] else ""


def _split_costs(
    entry: Mapping[str, Any], used: Sequence[tuple[str, str, str, str]], explanation: Explanation
) -> list[Decimal | None]:
    """Each used bucket's cost. The columns keep one cost for both cache writes: the explanation, where it agrees,
    tells them apart; else it stands on the first of them.
    """
    if explanation.agrees and explanation.lines and find_not_charged(explanation) is None:
        explained: dict[str, Decimal] = defaultdict(Decimal)
        for line in explanation.lines:
            explained["output_tokens" if line.usage == "reasoning_tokens" else line.usage] += line.cost
        return [explained[column] for column, *_ in used]
    costs: list[Decimal | None] = []
    taken: set[str] = set()
    for _, _, column, _ in used:
        costs.append(None if column in taken else entry[column])
        taken.add(column)
    return costs


def _make_bar(parts: Sequence[tuple[str, Decimal]]) -> list[Segment]:
    """The parts side by side, a gap of paper between; none where one of them is negative."""
    total = sum((amount for _, amount in parts), Decimal(0))
    if total <= 0 or any(amount < 0 for _, amount in parts):
        return []
    width = BAR_WIDTH - BAR_GAP * (len(parts) - 1)
    segments, x = [], Decimal(0)
    for color, amount in parts:
        part = width * amount / total
        segments.append(Segment(color, round(x, 1), round(part, 1)))
        x += part + BAR_GAP
    return segments
