"""One field of a provider's object: what may stand there, and what is wrong with it, by name."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from billing.core.usage import QUANTITY_MAX, UsageInconsistent

Body = Mapping[str, object]


def read_count(usage: Body, *path: str) -> int:
    """The whole number at `path`; 0 where nothing or null stands there."""
    value: object = usage
    for name in path:
        if value is None:
            return 0
        if not isinstance(value, Mapping):
            raise UsageInconsistent(f"{'.'.join(path)}: expected an object before `{name}`")
        value = value.get(name)
    if value is None:
        return 0
    if type(value) is int and 0 <= value <= QUANTITY_MAX:
        return value
    number = read_number(value, ".".join(path))
    if number != int(number):
        raise UsageInconsistent(f"{'.'.join(path)} is {number}: expected a whole number")
    return int(number)


def read_seconds(usage: Body, name: str) -> int | Decimal:
    number = read_number(usage.get(name) or 0, name)
    return int(number) if number == int(number) else number


def read_number(value: object, field: str, *, most: int = QUANTITY_MAX) -> Decimal:
    """A finite number from 0 to `most`, by its digits: a float is what its shortest text says."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UsageInconsistent(f"{field} is a {type(value).__name__}: expected a number")
    number = Decimal(str(value))
    if not number.is_finite() or not 0 <= number <= most:
        raise UsageInconsistent(f"{field} is {value}: expected a number from 0 to {most}")
    return number


def read_text(record: Body, *names: str) -> str:
    """The first of `names` that holds text."""
    return next((value for name in names if isinstance(value := record.get(name), str)), "")


def get_mapping(record: Body, name: str) -> Body:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def list_mappings(record: Body, name: str) -> Sequence[Body]:
    value = record.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
