"""A JSON text by lines, each with the path of its value: doubled names and the digits of numbers as they were sent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

INDENT = "  "


@dataclass(frozen=True, slots=True)
class SentLine:
    """One line; `path` is the field as problems name it, `usage.input_tokens`, '' for the event itself."""

    text: str
    path: str


class _Number(str):
    """A number, NaN included, by its digits."""


class _Members(list):
    """The members of an object, in order, a name as often as it stands there."""


def list_sent_lines(text: str) -> list[SentLine] | None:
    """The lines of a text, two spaces for each level; None for what is no JSON, or nested without end.

    >>> [line.text for line in list_sent_lines('{"id": "r-1", "usage": {"input_tokens": 1.50}}')]
    ['{', '  "id": "r-1",', '  "usage": {', '    "input_tokens": 1.50', '  }', '}']
    """
    try:
        document = json.loads(
            text, object_pairs_hook=_Members, parse_float=_Number, parse_int=_Number, parse_constant=_Number
        )
        return list(_write(document, path="", before="", after="", level=0))
    except (ValueError, RecursionError):
        return None


def _write(value: object, *, path: str, before: str, after: str, level: int) -> Iterator[SentLine]:
    start = INDENT * level + before
    if not isinstance(value, list) or not value:
        yield SentLine(f"{start}{_write_plain(value)}{after}", path)
        return
    is_object = isinstance(value, _Members)
    yield SentLine(start + ("{" if is_object else "["), path)
    for number, member in enumerate(value):
        name, inner = member if is_object else (None, member)
        yield from _write(
            inner,
            path=f"{path}[{number}]" if name is None else f"{path}.{name}" if path else name,
            before="" if name is None else f"{_write_text(name)}: ",
            after="," if number < len(value) - 1 else "",
            level=level + 1,
        )
    yield SentLine(INDENT * level + ("}" if is_object else "]") + after, "")


def _write_plain(value: object) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, _Members):
        return "{}"
    return _write_text(value) if isinstance(value, str) else json.dumps(value)


def _write_text(text: str) -> str:
    """Escaped only where it has to be: half a surrogate pair has no other form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False)
