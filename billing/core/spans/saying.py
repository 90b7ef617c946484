"""What a span says, in one pass over its attributes: the best name of each thing that is read."""

from collections.abc import Mapping

import msgspec

from billing.core.spans.names import OWN, OWN_TAG, OWN_USAGE, SLOT_BY_NAME, SLOTS

AttributeValue = str | bool | int | float | bytes | None | list["AttributeValue"]
Attributes = Mapping[str, AttributeValue]


class Said(msgspec.Struct, gc=False):
    """The values of a span by slot of `names.SLOTS`; its own tags and meters by the caller's names."""

    attributes: Attributes
    values: dict[str, AttributeValue]
    tags: dict[str, AttributeValue]
    meters: dict[str, AttributeValue]

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
    said = Said(attributes, {}, {}, {})
    values = said.values
    ranks: dict[str, int] = {}
    for name, value in attributes.items():
        place = SLOT_BY_NAME.get(name)
        if place is None:
            if name.startswith(OWN):
                _gather_own(said, name, value)
        elif value is not None and value != "":
            slot, rank = place
            if slot not in values or rank < ranks[slot]:
                values[slot], ranks[slot] = value, rank
    return said


def _gather_own(said: Said, name: str, value: AttributeValue) -> None:
    if name.startswith(OWN_TAG):
        said.tags[name.removeprefix(OWN_TAG)] = value
    elif name.startswith(OWN_USAGE):
        said.meters[name.removeprefix(OWN_USAGE)] = value
