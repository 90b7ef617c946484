"""What a span says: the best name of each thing that is read."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from billing.core.spans.names import OWN_TAG, OWN_USAGE, PROVIDER, SLOT_BY_NAME, SLOTS

# Beyond these no instrumentation goes, and nothing is remembered: a tag's name may be as long as a body.
USUAL_NAMES_MAX, USUAL_LENGTH_MAX = 64, 200

AttributeValue = str | bool | int | float | bytes | None | list["AttributeValue"]
Attributes = Mapping[str, AttributeValue]


class Arrangement(NamedTuple):
    """Under which names of a span its values, tags and meters stand: pairs of what a thing is to us and its name."""

    values: list[tuple[str, str]]
    tags: list[tuple[str, str]]
    meters: list[tuple[str, str]]
    providers: list[str]


class Said(msgspec.Struct, gc=False):
    """The values of a span by slot of `names.SLOTS`; its own tags and meters by the caller's names."""

    attributes: Attributes
    values: dict[str, AttributeValue]
    tags: dict[str, AttributeValue]
    meters: dict[str, AttributeValue]
    providers: list[AttributeValue]  # in the order of `names.PROVIDER`

    def text(self, slot: str) -> str:
        """A text, or a whole number as one; '' for everything else."""
        value = self.values.get(slot)
        if value.__class__ is str:
            return value
        return str(value) if value.__class__ is int else ""

    def first_text(self, slot: str) -> str:
        """The same where a list may stand, as finish reasons do; `["stop"]` may come as text, too."""
        value = self.values.get(slot)
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, str) and item), "")
        if not isinstance(value, str) or not value:
            return ""
        return value.strip("[]()\"' ,").partition('"')[0] if value[0] in "[(" else value

    def name(self, slot: str) -> str:
        """Under which name it is said."""
        return next((name for name in SLOTS[slot] if self.attributes.get(name) not in (None, "")), slot)


def gather(attributes: Attributes) -> Said:
    """Of several names of one thing the first that `names` lists; an empty text says nothing."""
    if None in attributes.values() or "" in attributes.values():
        attributes = {
            name: value for name, value in attributes.items() if value not in (None, "") or name not in SLOT_BY_NAME
        }
    is_usual = len(attributes) <= USUAL_NAMES_MAX and max(map(len, attributes), default=0) <= USUAL_LENGTH_MAX
    slots, tags, meters, providers = (_recall_arrangement if is_usual else _arrange)(tuple(attributes))
    return Said(
        attributes,
        {slot: attributes[name] for slot, name in slots},
        {tag: attributes[name] for tag, name in tags} if tags else {},
        {meter: attributes[name] for meter, name in meters} if meters else {},
        [attributes[name] for name in providers],
    )


def _arrange(names: tuple[str, ...]) -> Arrangement:
    """What stands under which of `names`. An instrumentation says the same names in each of its spans."""
    best: dict[str, tuple[int, str]] = {}
    for name in names:
        if place := SLOT_BY_NAME.get(name):
            slot, rank = place
            best[slot] = min(best.get(slot, (rank, name)), (rank, name))
    return Arrangement(
        [(slot, name) for slot, (_, name) in best.items()],
        [(name.removeprefix(OWN_TAG), name) for name in names if name.startswith(OWN_TAG)],
        [(name.removeprefix(OWN_USAGE), name) for name in names if name.startswith(OWN_USAGE)],
        [name for name in PROVIDER if name in names],
    )


_recall_arrangement = lru_cache(maxsize=512)(_arrange)
