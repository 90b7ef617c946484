"""What a tenant has set of its thresholds, as a document: only what differs from the defaults stands in it. Pure.

By kind and name, as `Thresholds` has them; amounts of money are US dollars as text, times seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_type_hints

from alerts.core.anomalies import KINDS, Thresholds
from ledger.core.entries import PICO

MONEY = ("cost_min", "bill_difference_max")  # kept in pico-USD, written in USD
NUMBER_MAX = 1_000_000
DECIMALS_MAX = 9
TYPES: dict[str, Any] = {kind.name: kind.type for kind in fields(Thresholds)}
OFF = "off"  # the kinds that are not looked for

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ThresholdProblem:
    """One thing wrong. field: as `new.cost_min`; detail: what to send instead."""

    field: str
    detail: str


class ThresholdsRefused(ValueError):
    """Changes that cannot be made; `problems` are all of them."""

    def __init__(self, problems: list[ThresholdProblem]) -> None:
        super().__init__("; ".join(f"{one.field}: {one.detail}" for one in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class WatchSetting:
    """What is looked for, and from where on. off: kinds that are not."""

    thresholds: Thresholds
    off: frozenset[str] = frozenset()


def read_setting(document: Document) -> WatchSetting:
    """The setting of a document that `change_document` made; an empty one has the defaults."""
    kinds = {
        kind: type_(**{name: _to_core(name, value, get_type_hints(type_)[name]) for name, value in numbers.items()})
        for kind, type_ in TYPES.items()
        if (numbers := document.get(kind))
    }
    return WatchSetting(Thresholds(**kinds), frozenset(document.get(OFF, ())))


def write_setting(setting: WatchSetting) -> dict[str, Any]:
    """The whole of it, defaults included."""
    written: dict[str, Any] = {
        kind: {number.name: _write(number.name, getattr(part, number.name)) for number in fields(part)}
        for kind in TYPES
        if is_dataclass(part := getattr(setting.thresholds, kind))
    }
    return written | {OFF: sorted(setting.off, key=KINDS.index)}


def change_document(document: Document, changes: Document) -> dict[str, Any]:
    """The document with changes made to it: a number, or null for its default. Raises ThresholdsRefused."""
    problems: list[ThresholdProblem] = []
    changed = {kind: value if kind == OFF else dict(value) for kind, value in document.items()}
    for kind, numbers in changes.items():
        if kind == OFF:
            problems += _check_off(numbers)
            changed[OFF] = numbers
        elif kind not in TYPES:
            problems.append(ThresholdProblem(kind, f"is no kind that has thresholds; there are {', '.join(TYPES)}"))
        elif not isinstance(numbers, Mapping):
            problems.append(ThresholdProblem(kind, "is an object of thresholds by name"))
        else:
            changed[kind] = _change_kind(kind, changed.get(kind, {}), numbers, problems)
    if problems:
        raise ThresholdsRefused(problems)
    return {kind: value for kind, value in changed.items() if value}


def _change_kind(
    kind: str, known: Mapping[str, Any], changes: Mapping[str, Any], problems: list[ThresholdProblem]
) -> dict[str, Any]:
    types = get_type_hints(TYPES[kind])
    changed = dict(known)
    for name, value in changes.items():
        if name not in types:
            problems.append(ThresholdProblem(f"{kind}.{name}", f"is no threshold; there are {', '.join(types)}"))
        elif value is None:
            changed.pop(name, None)
        elif problem := _find_problem(name, value, types[name]):
            problems.append(ThresholdProblem(f"{kind}.{name}", problem))
        else:
            changed[name] = _write(name, _to_core(name, value, types[name]))
    return changed


def _check_off(kinds: Any) -> list[ThresholdProblem]:
    if isinstance(kinds, list) and all(kind in KINDS for kind in kinds):
        return []
    return [ThresholdProblem(OFF, f"is a list of kinds that are not looked for: {', '.join(KINDS)}")]


def _find_problem(name: str, value: Any, kind: Any) -> str:
    """What is wrong with one number, '' for nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return "is a number"
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return "is a number"
    if not number.is_finite() or not 0 <= number <= _find_most(name, kind):
        return f"is a number from 0 to {_find_most(name, kind):,}"
    if number.normalize().as_tuple().exponent < -DECIMALS_MAX:  # type: ignore[operator]
        return f"is a number with at most {DECIMALS_MAX} decimals"
    if name == "sensitivity" and number == 0:
        return "is a number above 0; 1 is the default, 2 tells more, 0.5 less"
    if kind is int and name not in MONEY and number != int(number):
        return "is a whole number"
    return ""


def _find_most(name: str, kind: Any) -> int:
    if name.endswith(("share_max", "share_min", "budget_share_max", "remaining_max")):
        return 1
    if kind is timedelta:
        return 30 * 86_400
    return 10**9 if name == "tokens_min" else NUMBER_MAX


def _to_core(name: str, value: Any, kind: Any) -> Any:
    number = Decimal(str(value))
    if name in MONEY:
        return int(number * PICO)
    return timedelta(microseconds=int(number * 1_000_000)) if kind is timedelta else kind(number)


def _write(name: str, value: Any) -> Any:
    if name in MONEY:
        return f"{(Decimal(value) / PICO).normalize():f}"
    if isinstance(value, timedelta):
        return round(value.total_seconds())
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value
