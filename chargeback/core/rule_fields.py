"""The fields that documents of rules share: each checked for itself, with the cure; then read. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from billing.core.wire import TEXT_LENGTH_MAX
from chargeback.core.allocation import METHODS, Selector, Split

NAME_LENGTH_MAX = 120
NAMES_MAX = 500  # in one list, as the clouds take them
EVERYONE = "all"
HUNDRED = Decimal(100)
PERCENT_DECIMALS_MAX = 6
SELECTOR_FIELDS = ("cost_centers", "features", "providers", "models")
SPLIT_FIELDS = ("method", "targets", "shares", "drivers")


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """One thing wrong with a rule: the field of its document, a stable code, and the cure."""

    field: str
    code: str
    detail: str


class RuleRefused(ValueError):
    """A rule that cannot be as it is written; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}" for problem in problems))
        self.problems = tuple(problems)


def check_fields(
    document: Mapping[str, Any], fields: Sequence[str], *, what: str, place: str = ""
) -> Iterator[RuleProblem]:
    for name in document:
        if name not in fields:
            cure = f"is no field of {what}; those are {', '.join(fields)}"
            yield RuleProblem(f"{place}{str(name)[:64]}", "unknown_field", cure)


def check_text(field: str, value: Any, *, length_max: int, may_be_empty: bool = False) -> Iterator[RuleProblem]:
    if value is None or (isinstance(value, str) and not value.strip() and not may_be_empty):
        yield RuleProblem(field, "missing_field", "is required")
    elif not isinstance(value, str):
        yield RuleProblem(field, "wrong_type", "must be text")
    elif len(value) > length_max:
        yield RuleProblem(field, "too_long", f"has at most {length_max} characters")
    elif not value.isprintable():
        yield RuleProblem(field, "invalid_text", "must stand on one line, without control characters")


def check_choice(field: str, value: Any, choices: Sequence[str]) -> Iterator[RuleProblem]:
    if value is None:
        yield RuleProblem(field, "missing_field", f"is required: {', '.join(choices)}")
    elif value not in choices:
        yield RuleProblem(field, "wrong_value", f"must be one of {', '.join(choices)}")


def check_number(
    field: str, value: Any, *, most: Decimal, decimals_max: int, example: str, may_be_zero: bool = False
) -> Iterator[RuleProblem]:
    """A decimal as text, or a whole number: a float is none, as it is not what was written."""
    number = read_number(value)
    if value is None:
        yield RuleProblem(field, "missing_field", f"is required, as text such as “{example}”")
    elif number is None:
        yield RuleProblem(field, "wrong_type", f"must be a decimal as text, such as “{example}”")
    elif not (0 <= number <= most if may_be_zero else 0 < number <= most):
        yield RuleProblem(field, "out_of_range", f"must be {'0 or ' * may_be_zero}above 0, and at most {most:,f}")
    elif -int(number.normalize().as_tuple().exponent) > decimals_max:
        yield RuleProblem(field, "too_precise", f"has at most {decimals_max} decimals")


def read_number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 40 else None


def check_names(field: str, value: Any, *, with_unallocated: bool = False) -> Iterator[RuleProblem]:
    """A list of texts, each once. with_unallocated: '' is one of them, of what no cost centre is known."""
    if not isinstance(value, list | tuple):
        yield RuleProblem(field, "wrong_type", 'must be a list of texts, such as ["sales", "support"]')
        return
    if len(value) > NAMES_MAX:
        yield RuleProblem(field, "too_many", f"has at most {NAMES_MAX}")
        return
    for number, name in enumerate(value):
        yield from check_text(
            f"{field}.{number}", name, length_max=TEXT_LENGTH_MAX, may_be_empty=with_unallocated and name == ""
        )
        if isinstance(name, str) and name in value[:number]:
            yield RuleProblem(f"{field}.{number}", "duplicate", "stands twice; leave one of them out")


def check_selector(field: str, value: Any) -> Iterator[RuleProblem]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield RuleProblem(field, "wrong_type", 'must be an object such as {"cost_centers": ["platform"]}')
        return
    yield from check_fields(value, SELECTOR_FIELDS, what="a selection", place=f"{field}.")
    for name in SELECTOR_FIELDS:
        if value.get(name) is not None:
            with_unallocated = (field, name) == ("source", "cost_centers")
            yield from check_names(f"{field}.{name}", value[name], with_unallocated=with_unallocated)


def check_split(document: Mapping[str, Any]) -> Iterator[RuleProblem]:
    """Who bears it and by what: `targets` with a method of its own weights, else the targets' shares or drivers."""
    method, targets = document.get("method"), document.get("targets")
    yield from check_choice("method", method, METHODS)
    for name, wanted in (("shares", "fixed"), ("drivers", "driver")):
        if document.get(name) and method != wanted:
            yield RuleProblem(name, "wrong_value", f"goes with the method {wanted} only; leave it out")
    if method in ("fixed", "driver"):
        if targets:
            named = "shares" if method == "fixed" else "drivers"
            yield RuleProblem("targets", "wrong_value", f"are named by {named}; leave them out here")
        yield from (
            _check_shares(document.get("shares")) if method == "fixed" else _check_drivers(document.get("drivers"))
        )
    elif targets is None:
        yield RuleProblem("targets", "missing_field", f"is required: “{EVERYONE}”, or a list of cost centres")
    elif targets != EVERYONE:
        yield from check_names("targets", targets)
        if isinstance(targets, list | tuple) and not targets:
            yield RuleProblem("targets", "missing_field", f"names nobody; name cost centres, or “{EVERYONE}”")


def _check_shares(shares: Any) -> Iterator[RuleProblem]:
    if not isinstance(shares, Mapping) or not shares:
        cure = 'is required, such as {"sales": "60", "support": "40"}'
        yield RuleProblem("shares", "missing_field", cure)
        return
    problems = [
        problem
        for name, share in shares.items()
        for problem in (
            *check_text(f"shares.{str(name)[:64]}", name, length_max=TEXT_LENGTH_MAX),
            *check_number(
                f"shares.{str(name)[:64]}",
                share,
                most=HUNDRED,
                decimals_max=PERCENT_DECIMALS_MAX,
                example="60",
                may_be_zero=True,
            ),
        )
    ]
    yield from problems
    if not problems and (total := sum(map(_read_sure, shares.values()), Decimal(0))) != HUNDRED:
        yield RuleProblem("shares", "wrong_sum", f"come to {total.normalize():f} and have to come to 100")


def _check_drivers(drivers: Any) -> Iterator[RuleProblem]:
    if not isinstance(drivers, Mapping) or not drivers:
        cure = 'is required, each cost centre with its driver, such as {"sales": "seats of sales"}'
        yield RuleProblem("drivers", "missing_field", cure)
        return
    for name, driver in drivers.items():
        yield from check_text(f"drivers.{str(name)[:64]}", name, length_max=TEXT_LENGTH_MAX)
        yield from check_text(f"drivers.{str(name)[:64]}", driver, length_max=NAME_LENGTH_MAX)


def load_selector(value: Mapping[str, Any] | None) -> Selector:
    return Selector(*(tuple(sorted((value or {}).get(name) or ())) for name in SELECTOR_FIELDS))


def write_selector(selector: Selector) -> dict[str, list[str]]:
    return {name: list(getattr(selector, name)) for name in SELECTOR_FIELDS}


def load_split(document: Mapping[str, Any]) -> Split:
    """The split of a document that was found right before."""
    method = document["method"]
    shares = {name: _read_sure(share) for name, share in sorted((document.get("shares") or {}).items())}
    drivers = {name: driver.strip() for name, driver in sorted((document.get("drivers") or {}).items())}
    targets = document.get("targets")
    if targets == EVERYONE or not targets:
        targets = [*shares, *drivers]
    return Split(method, tuple(sorted(targets)), shares, drivers)


def write_split(split: Split) -> dict[str, Any]:
    if split.method == "fixed":
        return {"method": "fixed", "shares": {name: write_number(share) for name, share in split.shares.items()}}
    if split.method == "driver":
        return {"method": "driver", "drivers": dict(split.drivers)}
    return {"method": split.method, "targets": list(split.targets) or EVERYONE}


def write_number(number: Decimal) -> str:
    """Every digit that says something, and no others."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read_sure(value: Any) -> Decimal:
    return Decimal(value)
