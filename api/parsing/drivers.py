"""Business drivers as `POST /v1/drivers` takes them: all of their problems at once, each with its item and field."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from api.problems import refuse_input
from billing.core.drivers import COLUMNS, DriverValue, read_day, read_name, read_quantity
from billing.core.wire_checks import ItemProblem, ItemRefused, load_strictly, name_kind, printable


def read_driver_items(items: Sequence[bytes]) -> list[DriverValue]:
    """The values of a request, each day of a name once. Raises Problem: driver_invalid."""
    values: list[DriverValue] = []
    problems: list[ItemProblem] = []
    seen: dict[tuple[str, date], int] = {}
    for index, raw in enumerate(items):
        value = _read_item(f"[{index}]", raw, problems)
        if value is None:
            continue
        first = seen.setdefault((value.name, value.day), index)
        if first != index:
            told = f"says {value.name} on {value.day} as item {first} does; send one of them"
            problems.append(ItemProblem(f"[{index}]", "duplicate_item", told))
        values.append(value)
    if problems:
        raise refuse_input("driver_invalid", problems)
    return values


def _read_item(place: str, raw: bytes, problems: list[ItemProblem]) -> DriverValue | None:
    try:
        document = load_strictly(raw)
    except ItemRefused as refused:
        problems.extend(ItemProblem(_join(place, p.field), p.code, p.detail) for p in refused.problems)
        return None
    found = list(_check_item(place, document))
    if found:
        problems.extend(found)
        return None
    return DriverValue(
        read_name(document["name"]), read_day(document["day"]), read_quantity(_write_number(document["quantity"]))
    )


def _check_item(place: str, document: Any) -> Iterator[ItemProblem]:
    if not isinstance(document, dict):
        yield ItemProblem(place, "wrong_type", f"must be an object, not {name_kind(document)}")
        return
    for name in document:
        if name not in COLUMNS:
            yield ItemProblem(_join(place, printable(name)), "unknown_field", f"is none of {', '.join(COLUMNS)}")
    for name in COLUMNS:
        field = _join(place, name)
        if name not in document:
            yield ItemProblem(field, "missing_field", "is required")
            continue
        problem = _check_value(name, document[name])
        if problem:
            yield ItemProblem(field, *problem)


def _check_value(name: str, value: Any) -> tuple[str, str] | None:
    """The code and the cure of what is wrong."""
    if name == "quantity":
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            return "wrong_type", f"must be a number, not {name_kind(value)}"
        text = _write_number(value)
    elif not isinstance(value, str):
        return "wrong_type", f"must be text, not {name_kind(value)}"
    else:
        text = value
    try:
        {"name": read_name, "day": read_day, "quantity": read_quantity}[name](text)
    except ValueError as error:
        return "invalid_value", str(error)
    return None


def _write_number(value: int | Decimal | str) -> str:
    """A number of JSON as it would stand in a file, without an exponent; one that is too long stays what it is."""
    if isinstance(value, Decimal):
        return f"{value:f}" if -10 <= value.adjusted() <= 20 else str(value)
    return str(value) if isinstance(value, str) or abs(value) < 10**20 else "too large"


def _join(place: str, field: str) -> str:
    return f"{place}.{field}" if field else place
