"""What an alert's page and messages show besides its title: one shape, whatever rule found it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A figure in words, as it stands in every message: “Spent”, “$1,349.33 of $3,000.00”."""

    label: str
    value: str


class Expected(msgspec.Struct, frozen=True):
    """What was expected of the whole, and what came, in `unit` ("USD", "tokens", "requests a minute", "%")."""

    low: Decimal
    middle: Decimal
    high: Decimal
    actual: Decimal
    unit: str = "USD"


class Point(msgspec.Struct, frozen=True):
    """One hour or day of the chart. low, high: None where nothing can be expected of it."""

    at: datetime
    actual: Decimal
    low: Decimal | None = None
    middle: Decimal | None = None
    high: Decimal | None = None


class Mover(msgspec.Struct, frozen=True):
    """Who moved: a value of a dimension ('' for the rest of them), in the unit of the impact."""

    dimension: str
    value: str
    expected: Decimal
    actual: Decimal
    note: str = ""


class Part(msgspec.Struct, frozen=True):
    """What kind of change: price, volume, mix, cache, new, ended."""

    name: str
    amount: Decimal
    words: str = ""


class Facts(msgspec.Struct, frozen=True):
    """All of it may be absent; then the page says nothing about it.

    sentence: what happened, with its figures. start, end: half-open, of what is judged. movers: those of one dimension
    after those of another; each dimension's, and the parts, add up to the impact, else they are shown without a sum.
    """

    sentence: str = ""
    figures: tuple[Figure, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    expected: Expected | None = None
    points: tuple[Point, ...] = ()
    points_are: Literal["hour", "day"] = "hour"
    movers: tuple[Mover, ...] = ()
    parts: tuple[Part, ...] = ()


def write_facts(facts: Facts) -> dict[str, Any]:
    """As JSON has it: what is absent left out, amounts as text."""
    written: dict[str, Any] = msgspec.to_builtins(facts)
    empty = msgspec.to_builtins(Facts())
    return {name: value for name, value in written.items() if value != empty[name]}


def read_facts(written: Mapping[str, Any]) -> Facts:
    """The facts that were written; further names are a rule's own. Raises msgspec.ValidationError for another shape."""
    return msgspec.convert(dict(written), Facts)
