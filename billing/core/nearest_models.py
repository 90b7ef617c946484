"""The priced model that stands nearest to one without a price: a suggestion for a person, never a price by itself.

A dated snapshot is another model than its family and than every other snapshot of it, so a suggestion says which one
it is, and an alias that would let a snapshot pass for another one is refused.
"""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache

import msgspec

from billing.core.model_names import canonical_names

# 2024-08-06, 20241022; 09-2025; 05-20, 0613; 2407: the ways in which makers date a snapshot.
_SNAPSHOT = re.compile(
    r"[-@](?P<date>20\d\d-[01]\d-[0-3]\d|20\d\d[01]\d[0-3]\d|(?:0[1-9]|1[0-2])-20\d\d"
    r"|(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|2\d(?:0[1-9]|1[0-2]))"
    r"(?=$|[-:@])"
)
_PARTS = re.compile(r"[-_./:@\s]+")
NEAR = 0.6  # of SequenceMatcher, among one provider's names
SAME_ELSEWHERE = 0.9  # under another provider

# What the suggested model is to the one that was asked for.
SNAPSHOT, FAMILY, NEAREST, ELSEWHERE = "snapshot", "family", "nearest", "elsewhere"


class Suggestion(msgspec.Struct, frozen=True):
    """A priced model by its canonical names, and in which way it is near."""

    provider: str
    model: str
    kind: str

    @property
    def words(self) -> str:
        """What it is to the model without a price, as a sentence goes on."""
        family, _ = split_snapshot(self.model)
        return {
            SNAPSHOT: f"another snapshot of {family}",
            FAMILY: "its family, not this snapshot",
            NEAREST: "the nearest name of this provider",
            ELSEWHERE: f"the same name at {self.provider}",
        }[self.kind]


@lru_cache(maxsize=8192)
def split_snapshot(model: str) -> tuple[str, str]:
    """A model's family, and the date of its snapshot as digits, '' where it has none.

    >>> split_snapshot("gpt-4o-2024-08-06"), split_snapshot("gpt-4-1106-preview"), split_snapshot("claude-opus-4-5")
    (('gpt-4o', '20240806'), ('gpt-4-preview', '1106'), ('claude-opus-4-5', ''))
    """
    found = _SNAPSHOT.search(model)
    if found is None:
        return model, ""
    return model[: found.start()] + model[found.end() :], found["date"].replace("-", "")


def is_collapsed(sent: str, means: str) -> bool:
    """Whether calling `sent` by the name `means` would let a dated snapshot pass for its family or another snapshot."""
    (family, date), (family_meant, date_meant) = split_snapshot(_bare(sent)), split_snapshot(_bare(means))
    return bool(date) and family == family_meant and date != date_meant


def suggest_model(provider: str, model: str, priced: Iterable[tuple[str, str]]) -> Suggestion | None:
    """The nearest of `priced`, pairs of canonical provider and model; None where no name is near.

    Of the same provider: another snapshot of the family, the latest before it first; the family; the likest name.
    Then the same name at another provider.
    """
    canonical, (name, *_) = canonical_names(provider, model)
    family, date = split_snapshot(_bare(name))
    own: list[str] = []
    others: list[tuple[str, str]] = []
    for known_provider, known in priced:
        if known_provider == canonical:
            own.append(known)
        elif _begins_alike(_bare(known), family):
            others.append((known_provider, known))
    return (
        _find_relative(canonical, family, date, own)
        or _find_likest(canonical, name, own)
        or _find_elsewhere(_bare(name), others)
    )


def _find_relative(provider: str, family: str, date: str, names: list[str]) -> Suggestion | None:
    dated = {known: split_snapshot(_bare(known)) for known in names}
    snapshots = [known for known, (of, its) in dated.items() if of == family and its and its != date]
    is_family = next((known for known, (of, its) in dated.items() if of == family and not its), None)
    if snapshots and date:
        earlier = [known for known in snapshots if dated[known][1] < date and len(dated[known][1]) == len(date)]
        chosen = max(earlier or snapshots, key=lambda known: (dated[known][1], known))
        return Suggestion(provider, chosen, SNAPSHOT)
    if is_family is not None:
        return Suggestion(provider, is_family, FAMILY)
    if snapshots:
        return Suggestion(provider, max(snapshots, key=lambda known: (dated[known][1], known)), SNAPSHOT)
    return None


def _find_likest(provider: str, name: str, names: list[str]) -> Suggestion | None:
    shared = {known: _count_shared(known, name) for known in names if _begins_alike(known, name)}
    most = max(shared.values(), default=0)
    rated = _compare(name, [known for known, count in shared.items() if count == most], least=NEAR)
    return Suggestion(provider, max(rated)[1], NEAREST) if rated else None


def _find_elsewhere(name: str, others: list[tuple[str, str]]) -> Suggestion | None:
    by_name: dict[str, tuple[str, str]] = {}
    for provider, known in others:
        by_name.setdefault(_bare(known), (provider, known))
    rated = _compare(name, by_name, least=SAME_ELSEWHERE)
    return Suggestion(*by_name[max(rated)[1]], ELSEWHERE) if rated else None


@lru_cache(maxsize=8192)
def _bare(name: str) -> str:
    """Without whose it is: `meta-llama/llama-3-70b` and `llama-3-70b` are alike."""
    return name.strip().lower().rpartition("/")[2]


def _begins_alike(one: str, other: str) -> bool:
    return _find_first_part(one) == _find_first_part(other)


@lru_cache(maxsize=8192)
def _find_first_part(name: str) -> str:
    return _PARTS.split(name, maxsplit=1)[0]


def _count_shared(one: str, other: str) -> int:
    """The parts that both names begin with."""
    count = 0
    for left, right in zip(_PARTS.split(one), _PARTS.split(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def _compare(name: str, others: Iterable[str], *, least: float) -> list[tuple[float, str]]:
    """(likeness, other) of those that are at least so like; what is cheap to rule out is ruled out first."""
    matcher = SequenceMatcher(None, "", name, autojunk=False)
    found = []
    for other in others:
        matcher.set_seq1(other)
        if (
            matcher.real_quick_ratio() >= least
            and matcher.quick_ratio() >= least
            and (like := matcher.ratio()) >= least
        ):
            found.append((like, other))
    return found
