"""What a charge is made of: direct cost, and the lines that explain what became of it. Pure."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

UNALLOCATED = ""  # as an entry's cost centre says it
Kind = Literal[
    "direct", "allocated_out", "allocated_in", "markup", "discount", "fee", "minimum", "credit", "remainder"
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)


class DirectCost(NamedTuple):
    """What one cost centre's calls of one model for one feature cost. amount: in pico-USD; tokens: in and out."""

    cost_center: str
    feature: str
    provider: str
    model: str
    amount: int
    calls: int = 0
    tokens: int = 0


class Place(NamedTuple):
    """Where cost stands within a cost centre; '' where it is of several, or of none."""

    feature: str = ""
    provider: str = ""
    model: str = ""


NOWHERE = Place()


class RuleRef(NamedTuple):
    """The version of a rule that made a line; of allocation rules and of charge rules the kind of the line tells."""

    rule_id: int
    version: int


class Posting(NamedTuple):
    """A line before it has its number and its currency. amount: in pico-USD."""

    kind: Kind
    cost_center: str
    place: Place
    amount: int
    rule: RuleRef | None
    words: str


class RuleNote(NamedTuple):
    """What a rule has to say where it did nothing."""

    rule: RuleRef
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cost centre's charge; `number` counts from 1 within it.

    amount_usd, amount: whole units of 10⁻¹², of USD and of `currency`. fx_day: the day of `fx_rate`, None where the
    currency is USD. rule_id, rule_version: the version that made it, None for direct cost and remainders.
    """

    number: int
    kind: Kind
    cost_center: str
    feature: str
    provider: str
    model: str
    amount_usd: int
    amount: int
    currency: str
    fx_rate: Decimal
    fx_day: date | None
    rule_id: int | None
    rule_version: int | None
    words: str


def write_usd(pico: int) -> str:
    """An amount in words: every digit that says something, and two decimals at least."""
    whole, decimals = divmod(abs(pico), 10**12)
    sign = "\N{MINUS SIGN}" if pico < 0 else ""
    return f"{sign}{whole:,}.{f'{decimals:012d}'.rstrip('0').ljust(2, '0')} USD"
