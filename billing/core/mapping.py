"""Which cost centre a call is charged to that names none: dated rules in their order, the first that matches. Pure.

A rule's conditions all hold, or it does not match; a condition holds where the call has one of its values. Features and
tags are compared flexibly, because people write them (`fold`); keys and users are references that nobody types.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time

import msgspec

from ledger.core.entries import RULE_TAG

DIMENSIONS = ("key", "feature", "user", "tag")
FACTS_MAX = 8_192  # kinds of calls whose rules are remembered
TAG_NAMES_MAX = 10_000

_LEFT_OUT = re.compile(r"[\s_-]+")
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)

_Tags = tuple[tuple[str, str], ...]  # folded name and value as it was sent, of the tags that rules ask for
_Facts = tuple[str, str, str, _Tags]  # key, feature, user where some rule names that one, tags


def fold(text: str) -> str:
    """The text without what people write one way or another: case, spaces, `_` and `-`.

    >>> fold("Cost_Center") == fold("cost-center") == fold("cost center")
    True
    """
    return _LEFT_OUT.sub("", text.casefold())


class Term(msgspec.Struct, frozen=True):
    """A condition. name: of the tag, '' for another dimension. values: of a user his reference in the ledger."""

    dimension: str
    values: tuple[str, ...]
    name: str = ""


class MappingRule(msgspec.Struct, frozen=True):
    """`terms` → `cost_center` for calls used on a UTC day in [`valid_from`, `valid_to`); None: without a bound."""

    id: int
    terms: tuple[Term, ...]
    cost_center: str
    valid_from: date | None = None
    valid_to: date | None = None


class _Turn(msgspec.Struct, frozen=True):
    """A rule that matches, and the moments at which it holds."""

    start: datetime
    end: datetime
    rule: MappingRule


class MappingBook:
    """A tenant's rules, first to last, compiled; safe to share between threads. False where there is none.

    stamps: the tag of an entry that a rule gave its cost centre, by the rule's id.
    """

    def __init__(self, rules: Iterable[MappingRule] = ()) -> None:
        self._rules = [_compile(rule) for rule in rules]
        terms = [term for turn, _ in self._rules for term in turn.rule.terms]
        self.user_refs = frozenset(value for term in terms if term.dimension == "user" for value in term.values)
        self.tag_names = frozenset(fold(term.name) for term in terms if term.dimension == "tag")
        self.stamps = {turn.rule.id: {RULE_TAG: str(turn.rule.id)} for turn, _ in self._rules}
        self._names: dict[str, str] = {}
        self._memo: dict[_Facts, tuple[_Turn, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def find(
        self, *, time: datetime, key: str, feature: str, user_ref: str, tags: Mapping[str, str]
    ) -> MappingRule | None:
        """The first rule that matches such a call at `time` (UTC). Whether it names a cost centre is not asked here."""
        asked = self._pick_tags(tags) if tags and self.tag_names else ()
        facts = (key, feature, user_ref if user_ref in self.user_refs else "", asked)
        turns = self._memo.get(facts)
        if turns is None:
            turns = self._remember(facts)
        for turn in turns:
            if turn.start <= time < turn.end:
                return turn.rule
        return None

    def _pick_tags(self, tags: Mapping[str, str]) -> _Tags:
        known, asked = self._names, []
        for name, value in tags.items():
            folded = known.get(name)
            if folded is None:
                folded = self._learn_name(name)
            if folded:
                asked.append((folded, value))
        return tuple(asked)

    def _learn_name(self, name: str) -> str:
        """The folded name of a tag that some rule asks for, '' of any other."""
        folded = fold(name)
        if len(self._names) >= TAG_NAMES_MAX:
            self._names = {}
        self._names[name] = answer = folded if folded in self.tag_names else ""
        return answer

    def _remember(self, facts: _Facts) -> tuple[_Turn, ...]:
        if len(self._memo) >= FACTS_MAX:
            self._memo = {}
        self._memo[facts] = turns = tuple(
            turn for turn, tests in self._rules if all(test.holds(facts) for test in tests)
        )
        return turns


class _Test(msgspec.Struct, frozen=True):
    """A condition as it is compared: folded where that dimension is."""

    dimension: str
    values: frozenset[str]
    name: str

    def holds(self, facts: _Facts) -> bool:
        key, feature, user_ref, tags = facts
        match self.dimension:
            case "key":
                return key in self.values
            case "feature":
                return fold(feature) in self.values
            case "user":
                return user_ref in self.values
        return any(name == self.name and fold(value) in self.values for name, value in tags)


def _compile(rule: MappingRule) -> tuple[_Turn, tuple[_Test, ...]]:
    tests = [
        _Test(
            term.dimension,
            frozenset(fold(value) if term.dimension in ("feature", "tag") else value for value in term.values),
            fold(term.name),
        )
        for term in rule.terms
    ]
    return _Turn(*find_bounds(rule.valid_from, rule.valid_to), rule), tuple(tests)


def find_bounds(valid_from: date | None, valid_to: date | None) -> tuple[datetime, datetime]:
    """The moments from which and up to which UTC days go."""
    start = _EARLIEST if valid_from is None else datetime.combine(valid_from, time.min, UTC)
    return start, _LATEST if valid_to is None else datetime.combine(valid_to, time.min, UTC)
