"""How rules of chargeback are written down: read from a document, or refused with all that is wrong with it. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from billing.core.wire import TEXT_LENGTH_MAX
from chargeback.core.allocation import WHOLE, AllocationTerms, Split
from chargeback.core.charges import CHARGE_KINDS, PERCENT_KINDS, ChargeTerms
from chargeback.core.lines import UNALLOCATED
from chargeback.core.rule_fields import (
    EVERYONE,
    HUNDRED,
    NAME_LENGTH_MAX,
    PERCENT_DECIMALS_MAX,
    SPLIT_FIELDS,
    RuleProblem,
    RuleRefused,
    check_choice,
    check_fields,
    check_number,
    check_selector,
    check_split,
    check_text,
    load_selector,
    load_split,
    write_number,
    write_selector,
    write_split,
)
from chargeback.core.shares import to_money, to_pico

POSITION_MAX = 10_000
AMOUNT_MAX = Decimal(10) ** 12
AMOUNT_DECIMALS_MAX = 6
PERCENT_MAX = Decimal(1_000)
ALLOCATION_FIELDS = ("name", "position", "source", "percent", *SPLIT_FIELDS)
CHARGE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "markup": ("kind", "name", "percent", "match"),
    "discount": ("kind", "name", "percent", "match"),
    "fee": ("kind", "name", "amount", *SPLIT_FIELDS),
    "minimum": ("kind", "name", "amount", "targets"),
    "credit": ("kind", "name", "amount", "cost_center"),
}
Terms = AllocationTerms | ChargeTerms
MONTH_PATTERN = re.compile(r"(20|21)\d\d-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class DatedTerms:
    """Terms, and the months in which they count, by their first days: until before `valid_to`, None: for good."""

    terms: Terms
    valid_from: date
    valid_to: date | None


def read_dated(document: Any, *, family: str) -> DatedTerms:
    """The terms and months of a document as `POST /v1/chargeback/rules/<family>` takes it. Raises RuleRefused."""
    if not isinstance(document, Mapping):
        raise RuleRefused([RuleProblem("", "wrong_type", "a rule is an object")])
    months = {name: document.get(name) for name in ("valid_from", "valid_to")}
    problems = [*_check_month("valid_from", months["valid_from"]), *_check_month("valid_to", months["valid_to"])]
    rest = {name: value for name, value in document.items() if name not in months}
    try:
        terms: Terms = read_allocation(rest) if family == "allocation" else read_charge(rest)
    except RuleRefused as refused:
        raise RuleRefused([*problems, *refused.problems]) from None
    if problems:
        raise RuleRefused(problems)
    return DatedTerms(
        terms, read_month(str(months["valid_from"])), months["valid_to"] and read_month(months["valid_to"])
    )


def read_month(text: str) -> date:
    """A month such as 2026-11, by its first day. Raises ValueError that says the cure."""
    if not MONTH_PATTERN.fullmatch(text):
        raise ValueError("must be a month, such as 2026-11")
    return date(int(text[:4]), int(text[5:]), 1)


def _check_month(field: str, value: Any) -> Iterator[RuleProblem]:
    if value is None and field == "valid_from":
        yield RuleProblem(field, "missing_field", "is required: the month from which it counts, such as 2026-11")
    elif value is not None and not (isinstance(value, str) and MONTH_PATTERN.fullmatch(value)):
        yield RuleProblem(field, "wrong_value", "must be a month, such as 2026-11")


# --- allocation ---


def read_allocation(document: Any) -> AllocationTerms:
    """The terms that a document as `POST /v1/chargeback/rules/allocation` takes it states. Raises RuleRefused."""
    _refuse(_check_allocation(document))
    return load_allocation(document)


def load_allocation(document: Mapping[str, Any]) -> AllocationTerms:
    """The terms of a document that was found right before."""
    return AllocationTerms(
        name=document["name"].strip(),
        position=document.get("position", 0),
        source=load_selector(document["source"]),
        split=load_split(document),
        percent=Decimal(document.get("percent", WHOLE)),
    )


def write_allocation(terms: AllocationTerms) -> dict[str, Any]:
    """The document that `read_allocation` reads the same terms from."""
    return {
        "name": terms.name,
        "position": terms.position,
        "source": write_selector(terms.source),
        "percent": write_number(terms.percent),
        **write_split(terms.split),
    }


def _check_allocation(document: Any) -> Iterator[RuleProblem]:
    if not isinstance(document, Mapping):
        yield RuleProblem("", "wrong_type", "a rule is an object")
        return
    yield from check_fields(document, ALLOCATION_FIELDS, what="an allocation rule")
    yield from check_text("name", document.get("name"), length_max=NAME_LENGTH_MAX)
    position = document.get("position", 0)
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position <= POSITION_MAX:
        yield RuleProblem("position", "out_of_range", f"must be a whole number, 0 to {POSITION_MAX:,}")
    percent = document.get("percent", "100")
    yield from check_number("percent", percent, most=HUNDRED, decimals_max=PERCENT_DECIMALS_MAX, example="100")
    source_problems = [*check_selector("source", document.get("source"))]
    split_problems = [*check_split(document)]
    yield from (*source_problems, *split_problems)
    if document.get("source") is None:
        yield RuleProblem("source", "missing_field", 'is required, such as {"cost_centers": ["platform"]}')
    elif not source_problems and not split_problems:
        yield from _check_ways(document)


def _check_ways(document: Mapping[str, Any]) -> Iterator[RuleProblem]:
    """What is wrong between a source and its targets."""
    source, split = load_selector(document["source"]), load_split(document)
    if not any(write_selector(source).values()):
        yield RuleProblem("source", "missing_field", "selects everything; name cost centres, features or models")
    if not split.targets and not source.cost_centers:
        cure = "names no cost centre, which goes with named targets only: else there is nobody to take it from"
        yield RuleProblem("source.cost_centers", "missing_field", cure)
    if both := sorted(set(source.cost_centers) & set(split.targets)):
        cure = f"{', '.join(both)} would be sent its own cost; leave it out of the source or of the targets"
        yield RuleProblem("targets", "source_is_target", cure)


# --- charges ---


def read_charge(document: Any) -> ChargeTerms:
    """The terms that a document as `POST /v1/chargeback/rules/charge` takes it states. Raises RuleRefused."""
    _refuse(_check_charge(document))
    return load_charge(document)


def load_charge(document: Mapping[str, Any]) -> ChargeTerms:
    """The terms of a document that was found right before."""
    kind, name = document["kind"], document["name"].strip()
    if kind in PERCENT_KINDS:
        percent = Decimal(document["percent"])
        return ChargeTerms(kind, name, percent=percent, match=load_selector(document.get("match")))
    if kind == "fee":
        split = load_split(document)
    elif kind == "minimum":
        split = load_split({"method": "even", "targets": document["targets"]})
    else:
        split = Split("even", (document["cost_center"],))
    return ChargeTerms(kind, name, amount=to_pico(Decimal(document["amount"])), split=split)


def write_charge(terms: ChargeTerms) -> dict[str, Any]:
    """The document that `read_charge` reads the same terms from."""
    named = {"kind": terms.kind, "name": terms.name}
    if terms.kind in PERCENT_KINDS:
        return named | {"percent": write_number(terms.percent), "match": write_selector(terms.match)}
    document = named | {"amount": write_number(to_money(terms.amount))}
    if terms.kind == "fee":
        return document | write_split(terms.split)
    if terms.kind == "minimum":
        return document | {"targets": list(terms.split.targets) or EVERYONE}
    return document | {"cost_center": terms.split.targets[0]}


def _check_charge(document: Any) -> Iterator[RuleProblem]:
    if not isinstance(document, Mapping):
        yield RuleProblem("", "wrong_type", "a rule is an object")
        return
    kind = document.get("kind")
    kind_problems = [*check_choice("kind", kind, CHARGE_KINDS)]
    yield from (*kind_problems, *check_text("name", document.get("name"), length_max=NAME_LENGTH_MAX))
    if kind_problems:
        return
    yield from check_fields(document, CHARGE_FIELDS[str(kind)], what=f"a {kind}")
    if kind in PERCENT_KINDS:
        most = PERCENT_MAX if kind == "markup" else HUNDRED
        percent = document.get("percent")
        yield from check_number("percent", percent, most=most, decimals_max=PERCENT_DECIMALS_MAX, example="5")
        yield from check_selector("match", document.get("match"))
        return
    amount = document.get("amount")
    yield from check_number("amount", amount, most=AMOUNT_MAX, decimals_max=AMOUNT_DECIMALS_MAX, example="500.00")
    if kind == "fee":
        yield from check_split(document)
    elif kind == "minimum":
        yield from check_split({"method": "even", "targets": document.get("targets")})
    else:
        yield from check_text("cost_center", document.get("cost_center"), length_max=TEXT_LENGTH_MAX)


def _refuse(found: Iterator[RuleProblem]) -> None:
    if problems := list(found):
        raise RuleRefused(problems)


# --- both ---


def list_named_centers(terms: Terms) -> dict[str, str]:
    """Each cost centre that terms name, with the field that names it; what is unallocated is none."""
    selector = terms.source if isinstance(terms, AllocationTerms) else terms.match
    field = "source" if isinstance(terms, AllocationTerms) else "match"
    split_field = {"fixed": "shares", "driver": "drivers"}.get(terms.split.method, "targets")
    if isinstance(terms, ChargeTerms) and terms.kind == "credit":
        split_field = "cost_center"
    named = dict.fromkeys(terms.split.targets, split_field)
    return named | {name: f"{field}.cost_centers" for name in selector.cost_centers if name != UNALLOCATED}
