"""How mapping rules and cost centres are written down: read from a document, or refused whole. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from billing.core.mapping import DIMENSIONS, Term, fold
from billing.core.wire import TAG_NAME_LENGTH_MAX, TEXT_LENGTH_MAX
from billing.core.wire_checks import ItemProblem, check_text, name_kind

TERMS_MAX = 10
VALUES_MAX = 100
RULES_MAX = 500  # of a tenant, that have not ended
NAME_LENGTH_MAX = 200
DAY = re.compile(r"[12]\d{3}-\d{2}-\d{2}")
RULE_FIELDS = ("terms", "cost_center", "valid_from", "valid_to", "place")
TERM_FIELDS = ("dimension", "name", "values")
CENTER_FIELDS = ("code", "name", "owner", "gl_account", "parent")


class MappingRefused(ValueError):
    """Something about a rule or a cost centre that cannot be as it is written; `problems` holds all that is wrong."""

    def __init__(self, problems: Sequence[ItemProblem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}".strip() for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTerms:
    """A rule before it is kept; a user is named as the engineers do. place: in the order, from 1; None: the last."""

    terms: tuple[Term, ...]
    cost_center: str
    valid_from: date | None = None
    valid_to: date | None = None
    place: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCenterTerms:
    """A cost centre before it is kept. code: what entries hold. parent_id: of the one that it stands below."""

    code: str
    name: str = ""
    owner: str = ""
    gl_account: str = ""
    parent_id: int | None = None


def read_rule(document: Any) -> RuleTerms:
    """The rule that a document states. Raises MappingRefused; what needs other rows is for the caller to check."""
    if problems := list(_check_rule(document)):
        raise MappingRefused(problems)
    return RuleTerms(
        terms=tuple(
            Term(term["dimension"], tuple(dict.fromkeys(term["values"])), term.get("name") or "")
            for term in document["terms"]
        ),
        cost_center=document["cost_center"],
        valid_from=_read_day(document.get("valid_from")),
        valid_to=_read_day(document.get("valid_to")),
        place=document.get("place"),
    )


def read_day(document: Any, field: str) -> date:
    """The one day that a document names, as `{"valid_to": "2026-12-01"}`. Raises MappingRefused."""
    if not isinstance(document, Mapping) or set(document) != {field} or document[field] is None:
        raise MappingRefused(
            [ItemProblem(field, "missing_field", "is a day, such as 2026-12-01, and all that is sent")]
        )
    if problems := list(_check_day(document, field)):
        raise MappingRefused(problems)
    return date.fromisoformat(document[field])


def read_place(document: Any) -> int:
    """The place that a document names, as `{"place": 1}`. Raises MappingRefused."""
    place = document.get("place") if isinstance(document, Mapping) and set(document) == {"place"} else None
    if type(place) is not int or not 1 <= place <= RULES_MAX:
        raise MappingRefused([ItemProblem("place", "wrong_value", "is a whole number from 1, and all that is sent")])
    return place


def read_question(document: Any) -> tuple[RuleTerms | None, date | None, date | None]:
    """A dry run: the rule that is tried, the first day and the day after the last, each where named."""
    problems = list(_check_days(document, ("rule", "from", "to")))
    if problems:
        raise MappingRefused(problems)
    draft = read_rule(document["rule"]) if document.get("rule") is not None else None
    return draft, _read_day(document.get("from")), _read_day(document.get("to"))


def read_reallocation(document: Any) -> tuple[date, date, str]:
    """A re-allocation: the first day, the day after the last, and why. Raises MappingRefused."""
    problems = list(_check_days(document, ("from", "to", "reason")))
    if isinstance(document, Mapping):
        problems += [
            ItemProblem(name, "missing_field", "is a day, such as 2026-12-01")
            for name in ("from", "to")
            if document.get(name) is None
        ]
        if not isinstance(document.get("reason"), str):
            problems.append(ItemProblem("reason", "missing_field", "says why, in a line"))
    if problems:
        raise MappingRefused(problems)
    return date.fromisoformat(document["from"]), date.fromisoformat(document["to"]), document["reason"]


def read_cost_center(document: Any) -> CostCenterTerms:
    """The cost centre that a document states. Raises MappingRefused."""
    if problems := list(_check_cost_center(document)):
        raise MappingRefused(problems)
    texts = {name: (document.get(name) or "").strip() for name in ("name", "owner", "gl_account")}
    return CostCenterTerms(code=document["code"], **texts, parent_id=document.get("parent"))


def write_cost_center(terms: CostCenterTerms) -> dict[str, Any]:
    """The document that `read_cost_center` reads to the same."""
    return {
        "code": terms.code,
        "name": terms.name,
        "owner": terms.owner,
        "gl_account": terms.gl_account,
        "parent": terms.parent_id,
    }


def describe_terms(terms: Sequence[Term]) -> str:
    """Conditions in words: “feature chat or search, tag team = growth”."""
    words = {"key": "API key"}
    return ", ".join(
        f"tag {term.name} = {' or '.join(term.values)}"
        if term.dimension == "tag"
        else f"{words.get(term.dimension, term.dimension)} {' or '.join(term.values)}"
        for term in terms
    )


def find_way_round(parents: Mapping[int, int | None], *, child: int, parent: int) -> list[int]:
    """The circle that `parent` above `child` would close, from the child up to itself again; empty for none.

    parents: of each cost centre the one above it.
    """
    way: list[int] = [child]
    above: int | None = parent
    while above is not None and above not in way:
        way.append(above)
        above = parents.get(above)
    return [*way, child] if above == child else []


def _check_rule(document: Any) -> Iterator[ItemProblem]:
    if not isinstance(document, Mapping):
        yield ItemProblem("", "wrong_type", "a rule is an object")
        return
    yield from _check_names(document, RULE_FIELDS, "")
    yield from _check_code(document, "cost_center")
    yield from _check_day(document, "valid_from")
    yield from _check_day(document, "valid_to")
    place = document.get("place")
    if place is not None and (type(place) is not int or not 1 <= place <= RULES_MAX):
        yield ItemProblem("place", "wrong_value", f"is a whole number from 1 to {RULES_MAX}")
    terms = document.get("terms")
    if not isinstance(terms, list) or not 1 <= len(terms) <= TERMS_MAX:
        yield ItemProblem("terms", "wrong_value", f"is a list of 1 to {TERMS_MAX} conditions, which all must hold")
        return
    for number, term in enumerate(terms):
        yield from _check_term(term, f"terms.{number}")


def _check_term(term: Any, field: str) -> Iterator[ItemProblem]:
    if not isinstance(term, Mapping):
        yield ItemProblem(field, "wrong_type", "a condition is an object")
        return
    yield from _check_names(term, TERM_FIELDS, f"{field}.")
    dimension, name, values = term.get("dimension"), term.get("name"), term.get("values")
    if dimension not in DIMENSIONS:
        yield ItemProblem(f"{field}.dimension", "wrong_value", f"is one of {', '.join(DIMENSIONS)}")
    if dimension == "tag":
        yield from _check_value(name, f"{field}.name", is_folded=True, length_max=TAG_NAME_LENGTH_MAX)
    elif name:
        yield ItemProblem(f"{field}.name", "not_together", "is of a tag alone")
    if not isinstance(values, list) or not 1 <= len(values) <= VALUES_MAX:
        yield ItemProblem(f"{field}.values", "wrong_value", f"is a list of 1 to {VALUES_MAX} texts, of which one fits")
        return
    for number, value in enumerate(values):
        yield from _check_value(value, f"{field}.values.{number}", is_folded=dimension in ("feature", "tag"))


def _check_value(
    value: Any, field: str, *, is_folded: bool, length_max: int = TEXT_LENGTH_MAX
) -> Iterator[ItemProblem]:
    if not isinstance(value, str):
        yield ItemProblem(field, "wrong_type", f"must be text and is {name_kind(value)}")
    elif not value.strip() or (is_folded and not fold(value)):
        yield ItemProblem(field, "wrong_value", "holds nothing that is compared: case, spaces, _ and - are left out")
    else:
        yield from check_text(field, value, length_max)


def _check_cost_center(document: Any) -> Iterator[ItemProblem]:
    if not isinstance(document, Mapping):
        yield ItemProblem("", "wrong_type", "a cost centre is an object")
        return
    yield from _check_names(document, CENTER_FIELDS, "")
    yield from _check_code(document, "code")
    for name in ("name", "owner", "gl_account"):
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            yield ItemProblem(name, "wrong_type", f"must be text and is {name_kind(value)}")
        elif value:
            yield from _check_line(name, value, NAME_LENGTH_MAX)
    parent = document.get("parent")
    if parent is not None and (type(parent) is not int or parent < 1):
        yield ItemProblem("parent", "wrong_type", "is the id of a cost centre, or null")


def _check_names(document: Mapping[str, Any], known: Sequence[str], where: str) -> Iterator[ItemProblem]:
    for name in document:
        if name not in known:
            yield ItemProblem(f"{where}{name}"[:80], "unknown_field", f"is none of {', '.join(known)}")


def _check_code(document: Mapping[str, Any], field: str) -> Iterator[ItemProblem]:
    code = document.get(field)
    if not isinstance(code, str) or not code or code != code.strip():
        yield ItemProblem(field, "wrong_value", "is the code of a cost centre, without spaces around it")
    else:
        yield from _check_line(field, code, TEXT_LENGTH_MAX)


def _check_line(field: str, value: str, length_max: int) -> Iterator[ItemProblem]:
    yield from check_text(field, value, length_max)
    if not value.isprintable():
        yield ItemProblem(field, "invalid_text", "holds a character that cannot be printed")


def _check_days(document: Any, known: Sequence[str]) -> Iterator[ItemProblem]:
    if not isinstance(document, Mapping):
        yield ItemProblem("", "wrong_type", f"is an object with {', '.join(known)}")
        return
    yield from _check_names(document, known, "")
    yield from _check_day(document, "from")
    yield from _check_day(document, "to")


def _check_day(document: Mapping[str, Any], field: str) -> Iterator[ItemProblem]:
    value = document.get(field)
    if value is None:
        return
    try:
        if not isinstance(value, str) or not DAY.fullmatch(value):
            raise ValueError
        date.fromisoformat(value)
    except ValueError:
        yield ItemProblem(field, "wrong_value", "is a day of UTC, such as 2026-12-01, or null")


def _read_day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)
