"""A price list beside the one in force: line by line, what else applies, and what is to be mended or confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.core.changes import Change, compare_amounts
from billing.core.rate_checks import ERROR, Finding, PriceDiff, diff_prices
from billing.core.rate_documents import RateDocument
from billing.core.rate_words import (
    MAIN_METERS,
    TOKEN_METERS,
    WHOLE_METERS,
    describe_conditions,
    list_own_prices,
    name_meter,
    write_price,
)
from billing.rates import examine_rate
from billing.selectors.rate_versions import RateRecord, read_rate_versions

WORDS_MAX = 3
METER_ORDER = tuple(dict.fromkeys([*MAIN_METERS, *TOKEN_METERS]))
IDS_APART = " | "  # of the findings that one box answers


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One price beside the one in force. where: '' in the base list, else the tier in words."""

    meter: str
    where: str
    price: PriceDiff
    change: Change | None

    @property
    def words(self) -> str:
        """`input 1.00 → 0.20`."""
        before, after = (
            write_price(each) if each is not None else "none" for each in (self.price.before, self.price.after)
        )
        name = f"{name_meter(self.meter)} {self.where}".strip()
        return f"{name} {after}" if self.price.before is None else f"{name} {before} → {after}"


@dataclass(frozen=True, slots=True)
class RateDiff:
    """A price list beside the one in force; kinds of tokens that cost what contains them have no line of their own.

    conditions_new and conditions_gone: sentences of the one and not of the other.
    """

    lines: Sequence[DiffLine]
    conditions_new: Sequence[str]
    conditions_gone: Sequence[str]
    has_before: bool

    @property
    def changed(self) -> list[DiffLine]:
        return [line for line in self.lines if line.price.kind != "same"]

    @property
    def same(self) -> list[DiffLine]:
        return [line for line in self.lines if line.price.kind == "same"]

    @property
    def words(self) -> str:
        """The first changes in a few words."""
        changed = self.changed
        if not changed:
            return "other conditions, the same prices" if self.conditions_new or self.conditions_gone else "no price"
        rest = len(changed) - WORDS_MAX
        more = f" and {rest} more" if rest > 0 else ""
        return ", ".join(line.words for line in changed[:WORDS_MAX]) + more

    @property
    def main(self) -> DiffLine | None:
        """The price that a sentence tells: of output, else of input, else the first that changes."""
        base = {line.meter: line for line in self.changed if not line.where}
        return base.get("output") or base.get("input") or next(iter(self.changed), None)


def make_diff(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> RateDiff:
    """Lines of everything that either list prices by itself."""
    own = _list_own_places(before or {}) | _list_own_places(after)
    lines = [
        DiffLine(price.meter, name_tier(price.tier), price, _compare(price))
        for price in diff_prices(before, after)
        if (price.meter, price.tier) in own or "month" in price.tier
    ]
    old, new = (describe_conditions(_leave_out_listed(content)) for content in (before or {}, after))
    return RateDiff(
        lines=_sort_lines(lines),
        conditions_new=[sentence for sentence in new if sentence not in old],
        conditions_gone=[sentence for sentence in old if sentence not in new] if before else [],
        has_before=before is not None,
    )


def _leave_out_listed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without list prices: the lines say them."""
    meters = {
        name: {key: value for key, value in meter.items() if key != "list_price"}
        for name, meter in content.get("meters", {}).items()
    }
    return {**content, "meters": meters}


def _sort_lines(lines: Sequence[DiffLine]) -> list[DiffLine]:
    """The base list first, then each tier; in each the tokens first."""
    tiers = list(dict.fromkeys(["", *(line.price.tier for line in lines)]))

    def place(line: DiffLine) -> tuple[int, int]:
        order = METER_ORDER.index(line.meter) if line.meter in METER_ORDER else len(METER_ORDER)
        return tiers.index(line.price.tier), order

    return sorted(lines, key=place)


def _list_own_places(content: Mapping[str, Any]) -> set[tuple[str, str]]:
    places = {(name, "") for name in list_own_prices(content)}
    for tier in content.get("context_tiers", ()):
        label = f"{tier['compare']} {tier['input_tokens']}"
        places |= {(name, label) for name in list_own_prices(tier)}
    return places


def name_tier(tier: str) -> str:
    """A tier's label (`> 272000`, `above 1000 a month`) in words; '' of the base list."""
    compare, _, count = tier.partition(" ")
    if compare == ">":
        return f"above {int(count):,} input tokens"
    if compare == ">=":
        return f"from {int(count):,} input tokens on"
    if compare == "above":  # of a month's quantity, which may be a fraction
        number, _, rest = count.partition(" ")
        return f"above {Decimal(number):,f} {rest}"
    return tier


def _compare(price: PriceDiff) -> Change | None:
    if price.before is None or price.after is None or price.before == price.after:
        return None
    return compare_amounts(price.after, price.before)


# --- what is found ---


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be confirmed by one box. ids: of the findings that it answers, apart by IDS_APART."""

    ids: str
    text: str
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class RateCheck:
    """What a document would do: beside what it is compared with, and what is found in it."""

    before: RateRecord | None
    diff: RateDiff
    errors: Sequence[Finding]
    questions: Sequence[Question]
    is_backdated: bool


def check_document(
    document: RateDocument,
    *,
    origin: str = "custom",
    rate_id: int | None = None,
    confirmed: frozenset[str] = frozenset(),
    now: datetime,
) -> RateCheck:
    """Examine it as submitting would. Raises RatesRefused for a tenant that is not known."""
    found = examine_rate(document, origin=origin, now=now, rate_id=rate_id)
    before = read_rate_versions([found.in_force_id]).get(found.in_force_id) if found.in_force_id else None
    return RateCheck(
        before=before,
        diff=make_diff(before.content if before else None, document.content),
        errors=[finding for finding in found.findings if finding.kind == ERROR],
        questions=_ask(found.findings, before.content if before else {}, document.content, confirmed),
        is_backdated=document.effective_from < now,
    )


def _ask(
    findings: Sequence[Finding], before: Mapping[str, Any], after: Mapping[str, Any], confirmed: frozenset[str]
) -> list[Question]:
    """A question about a kind of tokens that costs what contains it is asked together with that one's."""
    own = _list_own_places(before) | _list_own_places(after)
    asked: dict[str, list[Finding]] = {finding.id: [finding] for finding in findings if finding.kind != ERROR}
    for finding in findings:
        meter, _, tier = finding.meter.partition(" ")
        whole = f"{finding.code}:{WHOLE_METERS.get(meter, '')} {tier}".strip()
        if (meter, tier) not in own and finding.kind != ERROR and whole in asked:
            asked[whole] += asked.pop(finding.id)
    return [
        Question(
            ids=IDS_APART.join(each.id for each in together),
            text=_say_question(together),
            is_confirmed=all(each.id in confirmed for each in together),
        )
        for together in asked.values()
    ]


def _say_question(together: Sequence[Finding]) -> str:
    first, *others = together
    meter, _, tier = first.meter.partition(" ")
    text = first.text
    if first.meter and text.startswith(first.meter):
        text = f"the price of {name_meter(meter)} {name_tier(tier)}".strip() + text.removeprefix(first.meter)
    if others:
        names = [name_meter(each.meter.partition(" ")[0]) for each in others]
        text += f", and with it {' and '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}"
    return f"{text[:1].upper()}{text[1:]}."
