"""A rate document's content, its canonical JSON and its hash.

A document's *content* is everything it says but its interval; the SHA-256 of the content's canonical JSON is what an
entry's leaf names, so that closing a rate at its successor's start changes no leaf.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# A usage name on the left is priced by the meter on its right; every other usage name is its own meter.
METER_BY_USAGE = {
    "input_tokens": "input",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "audio_input_tokens": "audio_input",
    "image_input_tokens": "image_input",
    "video_input_tokens": "video_input",
    "audio_cache_read_tokens": "audio_cache_read",
    "image_cache_read_tokens": "image_cache_read",
    "video_cache_read_tokens": "video_cache_read",
    "audio_output_tokens": "audio_output",
    "image_output_tokens": "image_output",
    "video_output_tokens": "video_output",
    "images": "image",
    "searches": "search",
    "web_searches": "web_search",
    "social_searches": "social_search",
    "storage_searches": "storage_search",
    "rerank_searches": "rerank_search",
    "code_executions": "code_execution",
    "characters": "character",
    "input_characters": "input_character",
    "messages": "message",
    "pages": "page",
    "annotated_pages": "annotated_page",
    "pixels": "pixel",
    "seconds": "second",
    "audio_seconds": "audio_second",
    "audio_input_seconds": "audio_input_second",
    "audio_output_seconds": "audio_output_second",
    "video_seconds": "video_second",
    "gpu_seconds": "gpu_second",
    "storage_gb_hours": "gb_hour",
    "gb_hours": "gb_hour",
    "requests": "request",
}  # fmt: skip

_LITERAL_STOPS = set(".^$*+?{}[]\\|()")


@dataclass(frozen=True, slots=True)
class RateDocument:
    """One model's price list during [`effective_from`, `effective_to`) under one set of conditions."""

    effective_from: datetime
    effective_to: datetime | None
    content: Mapping[str, Any]

    @property
    def conditions(self) -> tuple[str, str, str, str, str, str, str]:
        """provider, model, match, tenant slug, service tier, region, time window: one price at a time for each."""
        say = self.content
        return (
            say["provider"], say["model"], say["match"], say.get("tenant", ""), say["service_tier"],
            say["region"], say.get("time_window", ""),
        )  # fmt: skip

    @property
    def terms(self) -> str:
        """What it charges, without where that was read: equal terms are the same price."""
        return canonical_json({name: value for name, value in self.content.items() if name != "source"})

    @property
    def content_hash(self) -> bytes:
        return hash_content(self.content)

    @property
    def mark(self) -> str:
        """Names all of it, the interval too, in 64 digits: who acts on a rate says by it what he looked at."""
        interval = [self.effective_from.isoformat(), self.effective_to.isoformat() if self.effective_to else ""]
        return hash_content({"content": self.content, "interval": interval}).hex()


def canonical_json(value: Any) -> str:
    """JSON with sorted names and no spaces; a content holds text, integers, lists and objects only."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def hash_content(content: Mapping[str, Any]) -> bytes:
    """SHA-256 of the canonical JSON, in UTF-8."""
    return hashlib.sha256(canonical_json(content).encode()).digest()


def window_minutes(window: str) -> tuple[int, int]:
    """The first minute of the day inside `HH:MM-HH:MM`, and the first after it."""
    start, end = window.split("-")
    return int(start[:2]) * 60 + int(start[3:]), int(end[:2]) * 60 + int(end[3:])


def leading_literal(pattern: str) -> str:
    """What every name that fully matches `pattern` begins with, as far as that can be read off; may be ''."""
    if "|" in pattern:
        return ""
    literal = ""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and position + 1 < len(pattern) and not pattern[position + 1].isalnum():
            character = pattern[position + 1]
            position += 1
        elif character in _LITERAL_STOPS:
            break
        position += 1
        if pattern[position : position + 1] in ("*", "?", "{"):
            break
        literal += character
    return literal


_REPEAT = re.compile(r"[*+]|\{([0-9]*)(,?)([0-9]*)\}")


def has_nested_repeats(pattern: str) -> bool:
    """Whether a group that repeats something is repeated, as in `([a-z]+-?)*`: the time to see that a name does not
    match such a pattern doubles with each of its letters."""
    groups = [False]  # of each open group, whether something in it repeats
    atom = False  # whether what was read last is a group in which something repeats
    position = 0
    while position < len(pattern):
        character = pattern[position]
        repeat = _REPEAT.match(pattern, position)
        if character == "\\":
            position, atom = position + 2, False
        elif character == "[":
            position, atom = _end_class(pattern, position), False
        elif repeat:
            if atom:
                return True
            fixed = repeat[1] and not repeat[2]
            groups[-1] = groups[-1] or not fixed
            position = repeat.end()
        else:
            if character == "(":
                groups.append(False)
            atom = character == ")" and groups.pop()
            if atom:
                groups[-1] = True
            position += 1
    return False


def _end_class(pattern: str, start: int) -> int:
    """The place after the `]` of the class that begins at `start`; one that stands first is a member."""
    position = start + 1 + pattern.startswith("^", start + 1)
    position += pattern.startswith("]", position)
    while position < len(pattern) and pattern[position] != "]":
        position += 2 if pattern[position] == "\\" else 1
    return position + 1
