"""What is charged beside cost: markups and discounts, platform fees, least charges, and credits used up. Pure.

Percentages are all of the same base, what stands at a cost centre once shared cost is moved; none is of another's
result.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, get_args

from chargeback.core.allocation import (
    METHOD_WORDS,
    Grounds,
    Selector,
    Split,
    Standing,
    weigh,
    write_weight,
)
from chargeback.core.lines import NOWHERE, UNALLOCATED, Posting, RuleNote, RuleRef, write_usd
from chargeback.core.shares import split_amount, take_percent

ChargeKind = Literal["markup", "discount", "fee", "minimum", "credit"]
CHARGE_KINDS: tuple[ChargeKind, ...] = get_args(ChargeKind)
PERCENT_KINDS = ("markup", "discount")
EVEN = Split("even")


@dataclass(frozen=True, slots=True)
class ChargeTerms:
    """What somebody decides about a charge.

    percent of what `match` takes: of a markup and a discount. amount, in pico-USD: of a fee and a least charge by the
    month, of a credit all of it. split: who bears a fee, whose least charge it is (no target: everyone's), and, as its
    only target, whose credit.
    """

    kind: ChargeKind
    name: str
    percent: Decimal = Decimal(0)
    amount: int = 0
    match: Selector = field(default_factory=Selector)
    split: Split = EVEN


@dataclass(frozen=True, slots=True)
class ChargeRule:
    """One version of a rule. left: of a credit, what earlier months have not used, in pico-USD."""

    ref: RuleRef
    terms: ChargeTerms
    left: int = 0


def order_charges(rules: Iterable[ChargeRule]) -> list[ChargeRule]:
    """By their numbers: no result hangs on it but which of several credits is used first."""
    return sorted(rules, key=lambda rule: rule.ref)


def mark_up(standing: Standing, rules: Iterable[ChargeRule]) -> Iterator[Posting]:
    """One line a markup or discount and cost centre, rounded half-even to a pico-USD."""
    for rule in order_charges(rules):
        terms = rule.terms
        if terms.kind not in PERCENT_KINDS:
            continue
        for center in sorted(set(terms.match.cost_centers or standing) - {UNALLOCATED}):
            places = standing.get(center, {})
            base = sum(amount for place, amount in places.items() if terms.match.takes(place))
            if amount := take_percent(base, terms.percent):
                words = f"{terms.name}: {terms.percent.normalize():f} % of {write_usd(base)}"
                sign = 1 if terms.kind == "markup" else -1
                yield Posting(terms.kind, center, terms.match.place, sign * amount, rule.ref, words)


def charge_fees(rules: Iterable[ChargeRule], grounds: Grounds) -> tuple[list[Posting], list[RuleNote]]:
    """Each fee whole, split over those who bear it."""
    postings: list[Posting] = []
    notes: list[RuleNote] = []
    everyone = tuple(sorted(set(grounds.uses) - {UNALLOCATED}))
    for rule in order_charges(rules):
        terms = rule.terms
        if terms.kind != "fee":
            continue
        weights = weigh(terms.split, terms.split.targets or everyone, grounds)
        whole = sum(weights.values())
        if not whole:
            words = f"nobody is charged: no cost centre has any weight by {METHOD_WORDS[terms.split.method]}"
            notes.append(RuleNote(rule.ref, terms.name, words))
        for center, amount in split_amount(terms.amount, weights).items():
            share = "" if len(weights) == 1 else f" × {write_weight(terms.split, weights[center], whole)}"
            words = f"{terms.name}: {write_usd(terms.amount)}{share}"
            if amount:
                postings.append(Posting("fee", center, NOWHERE, amount, rule.ref, words))
    return postings, notes


def raise_to_minimums(charged: Mapping[str, int], rules: Iterable[ChargeRule]) -> Iterator[Posting]:
    """The difference up to the highest least charge of each cost centre; everyone's counts for those with a charge."""
    highest: dict[str, ChargeRule] = {}
    for rule in order_charges(rules):
        if rule.terms.kind == "minimum":
            for center in rule.terms.split.targets or sorted(charged):
                if center not in highest or rule.terms.amount > highest[center].terms.amount:
                    highest[center] = rule
    for center, rule in sorted(highest.items()):
        so_far = charged.get(center, 0)
        if (missing := rule.terms.amount - so_far) > 0:
            words = f"{rule.terms.name}: {write_usd(rule.terms.amount)} at least, less {write_usd(so_far)}"
            yield Posting("minimum", center, NOWHERE, missing, rule.ref, words)


def use_credits(charged: Mapping[str, int], rules: Iterable[ChargeRule]) -> Iterator[Posting]:
    """As much of each credit as its cost centre is charged, the earliest first; nobody is charged below nothing."""
    open_amounts = dict(charged)
    for rule in order_charges(rules):
        if rule.terms.kind != "credit":
            continue
        (center,) = rule.terms.split.targets
        used = min(rule.left, max(0, open_amounts.get(center, 0)))
        if used > 0:
            open_amounts[center] -= used
            words = f"{rule.terms.name}: {write_usd(used)} of {write_usd(rule.left)} that were left"
            yield Posting("credit", center, NOWHERE, -used, rule.ref, words)
