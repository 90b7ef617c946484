"""The form of a mapping rule: its texts as a document, and a document's problems beside their texts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.http import QueryDict

from billing.core.wire_checks import ItemProblem

LISTS = ("feature", "key", "user", "tag")  # of values, with commas between
TEXTS = (*LISTS, "tag_name", "cost_center", "valid_from", "valid_to", "place")
NOTHING = "Name a feature, a key, a user or a tag: a rule without a condition would take everything."

Texts = dict[str, str]


def start_texts() -> Texts:
    return dict.fromkeys(TEXTS, "")


def read_texts(query: QueryDict) -> Texts:
    """What was sent, trimmed."""
    return {name: query.get(name, "").strip() for name in TEXTS}


def make_document(texts: Texts) -> dict[str, Any]:
    """The document as `billing.core.mapping_terms.read_rule` takes it; what is no number stays text."""
    return {
        "terms": [
            {"dimension": name, "values": _split(texts[name])} | ({"name": texts["tag_name"]} if name == "tag" else {})
            for name in _list_named(texts)
        ],
        "cost_center": texts["cost_center"],
        "valid_from": texts["valid_from"] or None,
        "valid_to": texts["valid_to"] or None,
        "place": _read_whole(texts["place"]) if texts["place"] else None,
    }


def place_problems(texts: Texts, problems: Iterable[ItemProblem]) -> tuple[Mapping[str, str], list[str]]:
    """What is wrong, by the name of its text, and what belongs to none of them."""
    named = _list_named(texts)
    placed: dict[str, list[str]] = defaultdict(list)
    unplaced = []
    for problem in problems:
        first, _, rest = problem.field.partition(".")
        if first == "terms" and not named:
            unplaced.append(NOTHING)
        elif first == "terms" and rest:
            number, _, part = rest.partition(".")
            field = "tag_name" if part == "name" else named[int(number)]
            placed[field].append(problem.detail)
        elif first in TEXTS:
            placed[first].append(problem.detail)
        else:
            unplaced.append(f"{problem.field.capitalize()} {problem.detail}.".strip())
    return {name: "; ".join(told) for name, told in placed.items()}, unplaced


def _list_named(texts: Texts) -> list[str]:
    """The conditions that say something, in their order."""
    return [name for name in LISTS if texts[name] or (name == "tag" and texts["tag_name"])]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _read_whole(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
