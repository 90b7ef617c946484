"""A prompt and its completion as `POST /v1/content` takes them: all of their problems at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.problems import Problem, refuse_input
from billing.core.wire import TEXT_LENGTH_MAX
from billing.core.wire_checks import (
    ItemProblem,
    ItemRefused,
    check_nested,
    check_text,
    load_strictly,
    name_kind,
    printable,
)
from content.core.messages import Message

CONTENT_BYTES_MAX = 1_000_000
MESSAGES_MAX = 1_000
PARTS_PER_MESSAGE_MAX = 100
ROLES = {"input": "user", "output": "assistant"}  # of a side that is sent as plain text
FIELDS = ("id", "source", "input", "output")
MESSAGE_FIELDS = ("role", "content", "parts", "name", "finish_reason")


@dataclass(frozen=True, slots=True)
class ContentRequest:
    """What is to be kept, and of which event: its `source` and `id`."""

    event_source: str
    event_id: str
    input: Sequence[Message]
    output: Sequence[Message]


def read_content_request(body: bytes) -> ContentRequest:
    """The content of a body. Raises Problem: body_too_large, content_invalid."""
    if len(body) > CONTENT_BYTES_MAX:
        raise Problem(
            "body_too_large", f"A prompt and its completion have at most {CONTENT_BYTES_MAX:,} bytes; keep a part."
        )
    try:
        document = load_strictly(body, bytes_max=CONTENT_BYTES_MAX)
        problems = list(_check_request(document))
    except ItemRefused as refused:
        problems = list(refused.problems)
    if problems:
        raise refuse_input("content_invalid", problems)
    return ContentRequest(
        event_source=document.get("source", ""),
        event_id=document["id"],
        input=_read_messages(document.get("input", []), role=ROLES["input"]),
        output=_read_messages(document.get("output", []), role=ROLES["output"]),
    )


def _check_request(document: Any) -> Iterator[ItemProblem]:
    if not isinstance(document, dict):
        yield ItemProblem("", "wrong_type", f"must be an object, not {name_kind(document)}")
        return
    for name in document:
        if name not in FIELDS:
            yield ItemProblem(printable(name), "unknown_field", f"is none of {', '.join(FIELDS)}")
    for name in ("id", "source"):
        yield from _check_name(name, document, is_required=name == "id")
    if not {"input", "output"} & set(document):
        yield ItemProblem("input", "missing_field", "is required, or output, or both")
    for side in ROLES:
        if side in document:
            yield from _check_side(side, document[side])


def _check_name(name: str, members: Mapping[str, Any], *, is_required: bool, field: str = "") -> Iterator[ItemProblem]:
    """A short text that is not redacted, or is nobody's words."""
    field = field or name
    value = members.get(name, "")
    if not isinstance(value, str):
        yield ItemProblem(field, "wrong_type", f"must be text, not {name_kind(value)}")
    elif is_required and not value:
        yield ItemProblem(field, "missing_field", "is required")
    else:
        yield from check_text(field, value, TEXT_LENGTH_MAX)


def _check_side(side: str, value: Any) -> Iterator[ItemProblem]:
    """A plain text, or a list of messages."""
    if isinstance(value, str):
        yield from _check_words(side, value)
    elif not isinstance(value, list):
        yield ItemProblem(side, "wrong_type", f"must be text or a list of messages, not {name_kind(value)}")
    elif len(value) > MESSAGES_MAX:
        yield ItemProblem(side, "too_many", f"at most {MESSAGES_MAX:,} messages")
    else:
        for index, message in enumerate(value):
            yield from _check_message(f"{side}[{index}]", message)


def _check_message(field: str, message: Any) -> Iterator[ItemProblem]:
    if not isinstance(message, dict):
        yield ItemProblem(field, "wrong_type", f"must be an object with role and content, not {name_kind(message)}")
        return
    for name in message:
        if name not in MESSAGE_FIELDS:
            yield ItemProblem(f"{field}.{printable(name)}", "unknown_field", f"is none of {', '.join(MESSAGE_FIELDS)}")
    yield from _check_name("role", message, is_required=True, field=f"{field}.role")
    for name in ("name", "finish_reason"):
        yield from _check_name(name, message, is_required=False, field=f"{field}.{name}")
    if "content" in message and "parts" in message:
        yield ItemProblem(f"{field}.parts", "duplicate_field", "stands beside content; send one")
    for name in ("content", "parts"):
        if message.get(name) is not None:
            yield from _check_parts(f"{field}.{name}", message[name])


def _check_parts(field: str, value: Any) -> Iterator[ItemProblem]:
    if isinstance(value, str):
        yield from _check_words(field, value)
        return
    if not isinstance(value, list):
        yield ItemProblem(field, "wrong_type", f"must be text or a list of parts, not {name_kind(value)}")
        return
    if len(value) > PARTS_PER_MESSAGE_MAX:
        yield ItemProblem(field, "too_many", f"at most {PARTS_PER_MESSAGE_MAX} parts")
        return
    for index, part in enumerate(value):
        place = f"{field}[{index}]"
        if not isinstance(part, str | dict):
            yield ItemProblem(place, "wrong_type", f"must be text or an object with a type, not {name_kind(part)}")
        elif isinstance(part, dict) and not (isinstance(part.get("type"), str) and part["type"]):
            yield ItemProblem(f"{place}.type", "missing_field", "is required, as text: text, tool_call, …")
        else:
            yield from _check_words(place, part)


def _check_words(field: str, value: Any) -> Iterator[ItemProblem]:
    return check_nested(field, value, 1, length_max=CONTENT_BYTES_MAX)


def _read_messages(value: Any, *, role: str) -> list[Message]:
    """The messages of one side, whichever way they were written."""
    if isinstance(value, str):
        return [Message(role, [_make_text(value)])]
    return [
        Message(
            role=message["role"],
            parts=_read_parts(message.get("parts") or message.get("content") or []),
            name=message.get("name", ""),
            finish_reason=message.get("finish_reason", ""),
        )
        for message in value
    ]


def _read_parts(value: Any) -> list[Mapping[str, Any]]:
    """The parts of a message; a text stands in `content`, where OpenTelemetry puts it, also if it came in `text`."""
    if isinstance(value, str):
        return [_make_text(value)]
    parts: list[Mapping[str, Any]] = []
    for part in value:
        if isinstance(part, str):
            parts.append(_make_text(part))
        elif part["type"] == "text" and "content" not in part and isinstance(part.get("text"), str):
            parts.append({**{name: part[name] for name in part if name != "text"}, "content": part["text"]})
        else:
            parts.append(part)
    return parts


def _make_text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}
