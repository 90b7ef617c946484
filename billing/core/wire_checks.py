"""The closer look at one event: what is wrong with its form, all of it at once, each with its field and cure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing.core.wire import (
    DEPTH_MAX,
    EVENT_BYTES_MAX,
    FIELDS,
    LATENCY_MS_MAX,
    REQUIRED,
    TAG_NAME_LENGTH_MAX,
    TAG_VALUE_LENGTH_MAX,
    TAGS_MAX,
    TEXT_LENGTH_MAX,
)

KINDS: dict[str, Any] = {
    "usage": dict, "provider_usage": dict, "tags": dict, "reported_cost": dict, "latency_ms": int, "cache_hit": bool,
}  # fmt: skip
TIME_EXAMPLE = "2026-11-22T05:00:00.123456Z"
KIND_NAMES = {dict: "an object", int: "a whole number", bool: "true or false", str: "text"}


@dataclass(frozen=True, slots=True)
class ItemProblem:
    """One thing wrong with one event: the field, a stable code, and the cure."""

    field: str
    code: str
    detail: str


class ItemRefused(ValueError):
    """An event that cannot be booked as it was sent; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[ItemProblem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)


def load_strictly(raw: bytes, *, bytes_max: int = EVENT_BYTES_MAX) -> Any:
    """JSON with each name once, no NaN, no endless nesting and no text that cannot be kept. Raises ItemRefused."""
    if len(raw) > bytes_max:
        raise ItemRefused([ItemProblem("", "event_too_large", f"an event has at most {bytes_max:,} bytes")])
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(sorted({name for name in names if names.count(name) > 1}))
        return members

    def refuse_constant(name: str) -> Any:
        raise ItemRefused([ItemProblem("", "malformed_json", f"{name} is no JSON number")])

    try:
        document = json.loads(raw, object_pairs_hook=collect, parse_float=Decimal, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ItemRefused([ItemProblem("", "too_deep", f"at most {DEPTH_MAX} levels of nesting")]) from error
    except UnicodeDecodeError as error:
        raise ItemRefused([ItemProblem("", "invalid_text", "the text is not UTF-8")]) from error
    except (ValueError, ArithmeticError) as error:
        raise ItemRefused([ItemProblem("", "malformed_json", f"not JSON: {error}")]) from error
    if repeated:
        raise ItemRefused(
            [
                ItemProblem(printable(name), "duplicate_field", "the name stands twice; send it once")
                for name in repeated
            ]
        )
    return document


def open_cloudevent(document: Any) -> Any:
    """The event inside a CloudEvents 1.0 envelope: `data`, with the envelope's id, source and time."""
    if not isinstance(document, dict):
        return document
    problems = []
    if document.get("specversion") != "1.0":
        problems.append(ItemProblem("specversion", "wrong_value", "must be “1.0”"))
    for name in ("id", "source", "type"):
        if not isinstance(document.get(name), str) or not document[name]:
            problems.append(ItemProblem(name, "missing_field", "a CloudEvent has it, as text"))
    data = document.get("data")
    if not isinstance(data, dict):
        problems.append(ItemProblem("data", "missing_field", "must be an object: the usage event"))
        data = {}
    problems += [
        ItemProblem(f"data.{name}", "duplicate_field", f"the envelope's {name} says it; leave it out")
        for name in ("id", "source", "time")
        if name in data and name in document
    ]
    if problems:
        raise ItemRefused(problems)
    envelope = {name: document[name] for name in ("id", "source", "time") if name in document}
    return data | envelope


def check_fields(document: Any) -> Iterator[ItemProblem]:
    """What is wrong with the names, kinds and lengths of an event's fields."""
    if not isinstance(document, dict):
        yield ItemProblem("", "wrong_type", "an event is an object")
        return
    if len(document) == 1 and isinstance(next(iter(document.values())), list):
        [name] = document
        yield ItemProblem(printable(name), "unknown_field", "is no field of an event: send the list itself")
        return
    for name in REQUIRED:
        if name not in document:
            yield ItemProblem(name, "missing_field", "is required")
    for name, value in document.items():
        if name not in FIELDS:
            yield ItemProblem(printable(name), "unknown_field", "is no field of an event; see /v1/docs")
        else:
            yield from _check_field(name, value)


def _check_field(name: str, value: Any) -> Iterator[ItemProblem]:
    kind = KINDS.get(name, str)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        cure = f"; write it as {TIME_EXAMPLE}" if name == "time" else ""
        yield ItemProblem(name, "wrong_type", f"must be {KIND_NAMES[kind]}, not {name_kind(value)}{cure}")
    elif kind is str:
        yield from check_text(name, value, TEXT_LENGTH_MAX)
        if name in REQUIRED and not value:
            yield ItemProblem(name, "missing_field", "must not be empty")
    elif kind is int and not 0 <= value <= LATENCY_MS_MAX:
        yield ItemProblem(name, "out_of_range", f"must be 0 to {LATENCY_MS_MAX:,}")
    elif name == "tags":
        yield from _check_tags(value)


def _check_tags(tags: Mapping[str, Any]) -> Iterator[ItemProblem]:
    if len(tags) > TAGS_MAX:
        yield ItemProblem("tags", "too_many", f"at most {TAGS_MAX} tags")
    for name, value in tags.items():
        field = f"tags.{printable(name)}"
        yield from check_text(field, name, TAG_NAME_LENGTH_MAX)
        if isinstance(value, str):
            yield from check_text(field, value, TAG_VALUE_LENGTH_MAX)
        else:
            yield ItemProblem(field, "wrong_type", f"must be text, not {name_kind(value)}")


def check_nested(field: str, value: Any, depth: int, *, length_max: int = EVENT_BYTES_MAX) -> Iterator[ItemProblem]:
    """Bounds on the depth and the texts of an object whose shape another function judges."""
    if depth > DEPTH_MAX:
        yield ItemProblem(field.split(".")[0], "too_deep", f"at most {DEPTH_MAX} levels of nesting")
    elif isinstance(value, str):
        yield from check_text(field, value, length_max)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from check_text(field, name, TEXT_LENGTH_MAX)
            yield from check_nested(f"{field}.{printable(name)}", member, depth + 1, length_max=length_max)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from check_nested(f"{field}[{index}]", member, depth + 1, length_max=length_max)


def check_text(field: str, value: str, length_max: int) -> Iterator[ItemProblem]:
    if len(value) > length_max:
        yield ItemProblem(field, "too_long", f"has {len(value):,} characters; at most {length_max:,}")
    if "\x00" in value:
        yield ItemProblem(field, "invalid_text", "holds a NUL character")
    elif any("\ud800" <= character <= "\udfff" for character in value):
        yield ItemProblem(field, "invalid_text", "holds half of a surrogate pair")


def name_kind(value: Any) -> str:
    match value:
        case None:
            return "null; leave the field out"
        case bool():
            return "true or false"
        case int() | Decimal():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def printable(name: str) -> str:
    return name[:80].encode("utf-8", "backslashreplace").decode().replace("\x00", "\\u0000")
