"""What a subscription says: who gets which report, about what. Read from a document, all that is wrong at once."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.core.budgets import describe_scope
from chargeback.core.reports.periods import CADENCES, Cadence

DIMENSIONS = ("cost_center", "feature")
FIELDS = ("cadence", "person", "address", "scope")
NAME_LENGTH_MAX = 200
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")


@dataclass(frozen=True, slots=True)
class SubscriptionTerms:
    """person: the number of one who signs in; address: '' where there is one. scope: {}, or one of DIMENSIONS."""

    cadence: Cadence
    person: int | None
    address: str
    scope: Mapping[str, str]

    @property
    def scope_words(self) -> str:
        """“everything”, “cost centre support”."""
        return describe_scope(self.scope)


@dataclass(frozen=True, slots=True)
class SubscriptionProblem:
    """One thing wrong with a subscription: the field of its document, a stable code, and the cure."""

    field: str
    code: str
    detail: str


class SubscriptionRefused(ValueError):
    """A subscription that cannot be as it is written; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[SubscriptionProblem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}" for problem in problems))
        self.problems = tuple(problems)


def read_terms(document: object) -> SubscriptionTerms:
    """The terms of a document. Raises SubscriptionRefused."""
    if not isinstance(document, Mapping):
        raise SubscriptionRefused([SubscriptionProblem("", "wrong_type", "the subscription must be an object")])
    problems = list(_check(document))
    if problems:
        raise SubscriptionRefused(problems)
    return SubscriptionTerms(
        document["cadence"], document.get("person"), document.get("address") or "", dict(document.get("scope") or {})
    )


def _check(document: Mapping[str, Any]) -> Iterator[SubscriptionProblem]:
    for name in document:
        if name not in FIELDS:
            yield SubscriptionProblem(str(name), "unknown_field", f"is none of {', '.join(FIELDS)}")
    if document.get("cadence") not in CADENCES:
        yield SubscriptionProblem("cadence", "wrong_value", f"must be {' or '.join(CADENCES)}")
    yield from _check_recipient(document.get("person"), document.get("address") or "")
    yield from _check_scope(document.get("scope") or {})


def _check_recipient(person: object, address: object) -> Iterator[SubscriptionProblem]:
    if (person is None) == (address == ""):
        yield SubscriptionProblem("address", "wrong_value", "must be given, or a person in its place, not both")
    elif person is not None and (not isinstance(person, int) or isinstance(person, bool)):
        yield SubscriptionProblem("person", "wrong_type", "must be the number of a person who signs in")
    elif address and not (isinstance(address, str) and ADDRESS.fullmatch(address)):
        yield SubscriptionProblem("address", "wrong_value", "is no e-mail address such as finance@example.com")


def _check_scope(scope: object) -> Iterator[SubscriptionProblem]:
    if not isinstance(scope, Mapping) or len(scope) > 1 or not set(scope) <= set(DIMENSIONS):
        allowed = " or ".join(DIMENSIONS)
        yield SubscriptionProblem("scope", "wrong_value", f"must be {{}} for everything, or name one {allowed}")
        return
    for name, value in scope.items():
        if not isinstance(value, str) or not 0 < len(value) <= NAME_LENGTH_MAX or not value.isprintable():
            detail = f"must be a name of 1 to {NAME_LENGTH_MAX} printable characters"
            yield SubscriptionProblem(f"scope.{name}", "wrong_value", detail)
