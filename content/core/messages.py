"""A prompt and its completion: one shape of messages, redacted, and the bytes whose hash is the content's digest.

The shape is OpenTelemetry's of generative AI (`gen_ai.input.messages`): a message has a role and parts, a part a type.
`docs/content.md` states the bytes.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from content.core.redaction import redact_text

CONTENT_VERSION = "tokenledger/content/1"
DIGEST_PREFIX = "sha256:"
DIGITS_OF_A_NUMBER = 7  # fewer identify nobody


@dataclass(frozen=True, slots=True)
class Message:
    """One message: parts are JSON objects with a `type`. name and finish_reason: '' where none was said."""

    role: str
    parts: Sequence[Mapping[str, Any]]
    name: str = ""
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class RedactedContent:
    """What may be kept of a prompt and its completion. redactions: how many of each kind were taken out."""

    input: Sequence[Mapping[str, Any]]
    output: Sequence[Mapping[str, Any]]
    redactions: Mapping[str, int]


_encode = msgspec.json.Encoder().encode


def redact_content(*, input: Sequence[Message], output: Sequence[Message]) -> RedactedContent:
    """Every text of both, at any depth, redacted: names of members too, and numbers, which are texts from here on."""
    counts: Counter[str] = Counter()
    redacted_input = [_redact_message(message, counts) for message in input]
    redacted_output = [_redact_message(message, counts) for message in output]
    return RedactedContent(redacted_input, redacted_output, dict(sorted(counts.items())))


def _redact_message(message: Message, counts: Counter[str]) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "parts": list(message.parts)}
    if message.name:
        written["name"] = message.name
    if message.finish_reason:
        written["finish_reason"] = message.finish_reason
    redacted: dict[str, Any] = _redact_value(written, counts)
    return redacted


def _redact_value(value: Any, counts: Counter[str]) -> Any:
    match value:
        case str():
            text, found = redact_text(value)
            counts.update(found)
            return text
        case bool() | None:
            return value
        case int() | Decimal():
            text = str(value)
            return _redact_value(text, counts) if len(text) >= DIGITS_OF_A_NUMBER else text
        case Mapping():
            return _redact_members(value, counts)
    return [_redact_value(member, counts) for member in value]


def _redact_members(members: Mapping[str, Any], counts: Counter[str]) -> dict[str, Any]:
    """In the order in which RFC 8785 sorts names; of names that redaction makes equal, the later get a stroke."""
    redacted: dict[str, Any] = {}
    for name, value in members.items():
        name = _redact_value(name, counts)
        while name in redacted:
            name += "'"
        redacted[name] = _redact_value(value, counts)
    return {name: redacted[name] for name in sorted(redacted, key=lambda name: name.encode("utf-16-be"))}


def write_content(content: RedactedContent, *, salt: str) -> bytes:
    """The canonical bytes: a subset of RFC 8785, one object without white space or numbers.

    salt: random, hexadecimal, kept with the content and gone with it, so that the digest that stays behind in the
    ledger tells nobody whether he guessed right.
    """
    return _encode({"input": content.input, "output": content.output, "salt": salt, "v": CONTENT_VERSION})


def digest_content(written: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return DIGEST_PREFIX + hashlib.sha256(written).hexdigest()


def read_salt(written: bytes) -> str:
    """The salt of canonical bytes."""
    return str(msgspec.json.decode(written)["salt"])
