"""One field of a provider's object: what may stand there, and what is wrong with it, by name."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from billing.core.usage import QUANTITY_MAX, UsageInconsistent

Body = Mapping[str, object]  # as JSON is read: dicts and lists inside


class FieldRefused(UsageInconsistent):
    """A value that cannot stand where it does: `field` is its path inside the provider's object."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail


def read_count(usage: Body, *path: str) -> int:
    """The whole number at `path`; 0 where nothing or null stands there."""
    value: object = usage
    for name in path:
        if value is None:
            return 0
        if not isinstance(value, dict):
            raise FieldRefused(".".join(path), f"is not there: expected an object before `{name}`")
        value = value.get(name)
    if value is None:
        return 0
    if type(value) is int and 0 <= value <= QUANTITY_MAX:
        return value
    number = read_number(value, ".".join(path))
    if number != int(number):
        raise FieldRefused(".".join(path), f"is {number}: expected a whole number")
    return int(number)


def read_either(usage: Body, *paths: str) -> int:
    """One count that stands at one of these dotted paths or at several: the first that is above zero."""
    counts = [read_count(usage, *path.split(".")) for path in paths]
    return next((count for count in counts if count), 0)


def read_seconds(usage: Body, name: str) -> int | Decimal:
    number = read_number(usage.get(name) or 0, name)
    return int(number) if number == int(number) else number


def read_number(value: object, field: str, *, most: int = QUANTITY_MAX) -> Decimal:
    """A finite number from 0 to `most`, by its digits: a float is what its shortest text says."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise FieldRefused(field, f"is {_name_kind(value)}: expected a number")
    number = Decimal(str(value))
    if not number.is_finite() or not 0 <= number <= most:
        raise FieldRefused(field, f"is {str(value)[:40]}: expected a number from 0 to {most}")
    return number


def _name_kind(value: object) -> str:
    """What JSON calls it."""
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case dict():
            return "an object"
    return "a list"


def read_text(record: Body, *names: str) -> str:
    """The first of `names` that holds text."""
    return next((value for name in names if isinstance(value := record.get(name), str)), "")


def get_mapping(record: Body, name: str) -> Body:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def list_mappings(record: Body, name: str) -> Sequence[Body]:
    value = record.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
