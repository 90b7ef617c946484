"""What an entry's page says of its prompt and completion, to those who may read them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from content.contents import read_content
from content.selectors import ContentAct, LoggedContent, get_content, get_content_of_event, list_acts
from dashboards.access import Seat

EXCERPT_LENGTH = 160
# One and several of each kind that redaction takes out.
REDACTION_WORDS = {
    "private_key": ("private key", "private keys"),
    "token": ("web token", "web tokens"),
    "api_key": ("API key", "API keys"),
    "data": ("picture or file", "pictures or files"),
    "email": ("e-mail address", "e-mail addresses"),
    "iban": ("bank account", "bank accounts"),
    "card": ("card number", "card numbers"),
    "phone": ("phone number", "phone numbers"),
}


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A piece of a message: its text, or what else it is, under a label."""

    label: str
    text: str
    is_structure: bool = False


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """One message. is_open: unfolded at first, which are the last of the prompt and the completion.

    excerpt: how it begins.
    """

    side: str
    role: str
    note: str
    excerpt: str
    parts: Sequence[ShownPart]
    is_open: bool


@dataclass(frozen=True, slots=True)
class ContentSection:
    """state: kept; deleted (on request: see `deletion`); over (its time is); absent (it never came, or was deleted).

    digest: the one that the entry names, or where it names none the content's. binding: bound (the stored content has
    the entry's digest), unbound (the entry names none), broken (it is not what the entry names).
    messages: none until they are asked for.
    """

    state: str
    digest: str
    binding: str
    content: LoggedContent | None
    redactions: Sequence[str]
    reads: Sequence[ContentAct]
    deletion: ContentAct | None
    kept_days: int
    messages: Sequence[ShownMessage] = ()


def describe_content(seat: Seat, entry: Mapping[str, Any], *, now: datetime) -> ContentSection | None:
    """Without the words. None where there is nothing to say: not for this person, not kept, never sent."""
    if not seat.may_read_content or not seat.tenant.content_kept_days:
        return None
    event = {"tenant_id": seat.tenant.id, "event_source": entry["event_source"], "event_id": entry["event_id"]}
    digest = entry["content_digest"]
    content = get_content(tenant_id=seat.tenant.id, digest=digest, now=now) if digest else None
    content = content or get_content_of_event(**event, now=now)
    if content is None and not digest:
        return None
    acts = list_acts(**event)
    deletion = next((act for act in acts if act.act == "deleted"), None)
    return ContentSection(
        state=_find_state(entry, content, deletion, kept_days=seat.tenant.content_kept_days, now=now),
        digest=digest or (content.digest if content else ""),
        binding=_find_binding(digest, content),
        content=content,
        redactions=_say_redactions(content.redactions if content else {}),
        reads=[act for act in acts if act.act == "read"],
        deletion=deletion,
        kept_days=seat.tenant.content_kept_days,
    )


def read_entry_content(seat: Seat, entry: Mapping[str, Any], *, now: datetime) -> ContentSection | None:
    """With the words; that the person read them is kept."""
    section = describe_content(seat, entry, now=now)
    if section is None or section.content is None:
        return section
    content = read_content(tenant_id=seat.tenant.id, digest=section.content.digest, reader=seat.email, now=now)
    section = describe_content(seat, entry, now=now)
    if section is None or content is None:
        return section
    return replace(section, messages=_show_messages(content.document))


def _find_state(
    entry: Mapping[str, Any],
    content: LoggedContent | None,
    deletion: ContentAct | None,
    *,
    kept_days: int,
    now: datetime,
) -> str:
    if content is not None:
        return "kept"
    if deletion is not None:
        return "deleted"
    return "over" if (now - entry["recorded_at"]).days >= kept_days else "absent"


def _find_binding(digest: str, content: LoggedContent | None) -> str:
    if content is None or not digest:
        return "unbound"
    return "bound" if content.digest == digest and content.is_intact else "broken"


def _say_redactions(counts: Mapping[str, int]) -> list[str]:
    return [f"{counts[kind]:,} {words[counts[kind] > 1]}" for kind, words in REDACTION_WORDS.items() if kind in counts]


def _show_messages(document: Mapping[str, Any]) -> list[ShownMessage]:
    shown = []
    for side, name in (("input", "Prompt"), ("output", "Completion")):
        last = len(document[side]) - 1
        for place, message in enumerate(document[side]):
            parts = [_show_part(part) for part in message["parts"]]
            notes = [message.get("name", ""), message.get("finish_reason") and f"finished: {message['finish_reason']}"]
            shown.append(
                ShownMessage(
                    side=name,
                    role=message["role"],
                    note=", ".join(note for note in notes if note),
                    excerpt=_write_excerpt(parts),
                    parts=parts,
                    is_open=side == "output" or place == last,
                )
            )
    return shown


def _write_excerpt(parts: Sequence[ShownPart]) -> str:
    """How a message begins: its first words, or what it is where those are no words."""
    if not parts:
        return "no text"
    first = parts[0]
    return first.label if first.is_structure else " ".join(first.text[:EXCERPT_LENGTH].split())


def _show_part(part: Mapping[str, Any]) -> ShownPart:
    """A part that is a text and nothing else as it is, any other as what it holds."""
    label = "" if part["type"] == "text" else part["type"].replace("_", " ")
    rest = {name: value for name, value in part.items() if name != "type"}
    if set(rest) == {"content"} and isinstance(rest["content"], str):
        return ShownPart(label, rest["content"])
    if isinstance(rest.get("name"), str):
        label = f"{label} {rest.pop('name')}"
    return ShownPart(label, json.dumps(rest, indent=2, ensure_ascii=False), is_structure=True)
