"""What a person should know of a new price list before it is published: faults, questions, and what changes. Pure.

A fault keeps a rate from being submitted; a question is answered by confirming it. Everything is found at once, and
quickly enough to be asked at each key that is pressed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.core.price_lists import ALWAYS
from billing.core.rate_documents import Problem, RateDocument
from billing.core.rate_plans import Version
from billing.core.rates import Tie

FAR_AWAY = 10  # times dearer or cheaper: more often a slip of the decimal point than a price
ERROR, QUESTION = "error", "question"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong (`error`) or to be confirmed (`question`). `id` names it when it is confirmed."""

    kind: str
    code: str
    meter: str  # or the path within the document; '' where it is about the whole
    text: str

    @property
    def id(self) -> str:
        return f"{self.code}:{self.meter}" if self.meter else self.code


@dataclass(frozen=True, slots=True)
class PriceDiff:
    """One price of a list beside the one in force; None where there is none. `tier` '' is the base list.

    Prices are USD for `per` units, as the lists write them; where they differ in `per`, both are per unit.
    `factor` is after / before, None where either is missing or zero.
    """

    meter: str
    tier: str
    per: int
    before: Decimal | None
    after: Decimal | None
    list_before: Decimal | None
    list_after: Decimal | None
    factor: Decimal | None

    @property
    def kind(self) -> str:
        """new, gone, same, dearer, cheaper, or list: where the list price alone differs."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        if self.before != self.after:
            return "dearer" if self.after > self.before else "cheaper"
        return "same" if self.list_before == self.list_after else "list"


def find_in_force(versions: Sequence[Version], at: datetime) -> Version | None:
    """Of one set of conditions' versions the one that prices `at`."""
    return next((version for version in versions if version.start <= at < version.end), None)


def diff_prices(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[PriceDiff]:
    """Meter by meter, base list first, then each context tier and each tier on a month's quantity."""
    old, new = _list_prices(before or {}), _list_prices(after)
    return [_diff(*place, old.get(place), new.get(place)) for place in {**old, **new}]


def check_rate(
    document: RateDocument,
    *,
    versions: Sequence[Version],
    in_force: Mapping[str, Any] | None = None,
    beside: Sequence[Version] = (),
    ties: Sequence[Tie] = (),
) -> list[Finding]:
    """Every finding on a document that was read without problems, errors first.

    versions: what is published under its conditions, by time. in_force: the content that prices such calls where it
    begins, whoever's that is. beside: what prices them wherever none of `versions` does, and gives way to those: an
    import beside rates of our own, everybody's beside a tenant's. ties: of the rate table with the document in it.
    """
    before = find_in_force(versions, document.effective_from)
    found = [
        *_check_ties(ties),
        *_check_interval(document, versions, before, beside),
        *_check_meters(document.content, before.content if before else in_force),
        *_check_contract(document.content),
    ]
    once = {finding.id: finding for finding in found}
    return sorted(once.values(), key=lambda finding: finding.kind != ERROR)


def describe_problems(problems: Sequence[Problem]) -> list[Finding]:
    """What reading a document found, as findings: each is an error."""
    return [Finding(ERROR, "unreadable", problem.path, f"{problem.problem}. {problem.cure}.") for problem in problems]


def _check_ties(ties: Sequence[Tie]) -> Iterator[Finding]:
    for tie in ties:
        yield Finding(
            ERROR,
            "ambiguous",
            "",
            f"{tie.one} ties with {tie.other}: give one pattern a higher priority, or part their times",
        )


def _check_interval(
    document: RateDocument, versions: Sequence[Version], before: Version | None, beside: Sequence[Version]
) -> Iterator[Finding]:
    start, end = document.effective_from, document.effective_to or ALWAYS
    if before is not None and before.start == start:
        yield Finding(QUESTION, "replaces", "", f"takes the place of version {before.rate_version_id}, whole")
    later = [version for version in versions if version.start > start]
    if later and later[0].start < end:
        yield Finding(
            QUESTION, "overlap", "", f"ends already on {later[0].start:%Y-%m-%d %H:%M} UTC, where the next one begins"
        )
    earlier = [version for version in versions if version.end <= start]
    if before is None and earlier and earlier[-1].end < start and not find_in_force(beside, earlier[-1].end):
        yield Finding(
            QUESTION, "gap", "", f"leaves the time from {earlier[-1].end:%Y-%m-%d %H:%M} UTC to its start unpriced"
        )
    follows = before is not None and before.end > end or any(version.start <= end for version in later)
    if document.effective_to and not follows and not find_in_force(beside, end):
        yield Finding(QUESTION, "gap_after", "", f"nothing prices what comes after {end:%Y-%m-%d %H:%M} UTC")
    hidden = next((each for each in beside if start < each.start < end and _differs(each, beside, start)), None)
    if hidden:
        yield Finding(
            QUESTION,
            "stands_before",
            "",
            f"stands before version {hidden.rate_version_id}, whose prices would begin on {hidden.start:%Y-%m-%d}",
        )


def _differs(version: Version, beside: Sequence[Version], start: datetime) -> bool:
    """Whether it has other prices than what stands beside at `start`: a change that somebody would miss."""
    at_start = find_in_force(beside, start)
    return any(price.kind != "same" for price in diff_prices(at_start.content if at_start else None, version.content))


def _check_meters(content: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[Finding]:
    meters = content.get("meters", {})
    if "input" in meters and "output" not in meters:
        yield Finding(QUESTION, "missing_meter", "output", "prices input and not output: such calls stay unpriced")
    if before is None:
        return
    if content.get("price_from") != before.get("price_from"):
        yield Finding(QUESTION, "price_from", "", "changes between prices of our own and the provider's own figure")
        return
    for price in diff_prices(before, content):
        named = f"{price.meter} {price.tier}".strip()
        if price.kind == "gone" and not price.tier:
            yield Finding(
                QUESTION, "missing_meter", named, f"no longer prices {named}: calls that use it become unpriced"
            )
        elif price.kind in ("dearer", "cheaper") and _is_far(price):
            yield Finding(
                QUESTION, "far_away", named, f"{named} goes from {price.before} to {price.after} USD per {price.per:,}"
            )


def _is_far(price: PriceDiff) -> bool:
    """Also from something to nothing, and back."""
    if price.factor is None:
        return True
    return price.factor >= FAR_AWAY or price.factor * FAR_AWAY <= 1


def _check_contract(content: Mapping[str, Any]) -> Iterator[Finding]:
    for (meter, tier), (price, listed, per) in _list_prices(content).items():
        if listed < price:
            named = f"{meter} {tier}".strip()
            yield Finding(
                QUESTION,
                "above_list",
                named,
                f"{named} is agreed at {_say(price, per)} and listed at {_say(listed, per)} USD per {per:,}",
            )


# meter and tier → price and list price of one unit, and the `per` of the list
_Prices = dict[tuple[str, str], tuple[Fraction, Fraction, int]]


def _list_prices(content: Mapping[str, Any]) -> _Prices:
    prices: _Prices = {}
    for name, meter in content.get("meters", {}).items():
        prices[name, ""] = _read_price(meter)
    for tier in content.get("context_tiers", ()):
        label = f"{tier['compare']} {tier['input_tokens']}"
        for name, meter in tier["meters"].items():
            prices[name, label] = _read_price(meter)
    for name, meter in content.get("meters", {}).items():
        for step in meter.get("quantity_tiers", ()):
            label = f"above {step['above']} a month"
            price = Fraction(step["price"]) / step.get("size", meter["per"])
            prices[name, label] = (price, price, meter["per"])
    return prices


def _read_price(meter: Mapping[str, Any]) -> tuple[Fraction, Fraction, int]:
    price = Fraction(meter["price"]) / meter["per"]
    return price, Fraction(meter.get("list_price", meter["price"])) / meter["per"], meter["per"]


def _diff(
    meter: str, tier: str, old: tuple[Fraction, Fraction, int] | None, new: tuple[Fraction, Fraction, int] | None
) -> PriceDiff:
    pers = {each[2] for each in (old, new) if each}
    per = pers.pop() if len(pers) == 1 else 1
    factor = None
    if old and new and old[0] and new[0]:
        factor = _decimal(new[0] / old[0])
    return PriceDiff(
        meter=meter,
        tier=tier,
        per=per,
        before=_say(old[0], per) if old else None,
        after=_say(new[0], per) if new else None,
        list_before=_say(old[1], per) if old else None,
        list_after=_say(new[1], per) if new else None,
        factor=factor,
    )


def _say(price: Fraction, per: int) -> Decimal:
    """A unit's price as the list writes it, for `per` units."""
    return _decimal(price * per)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)
