"""The form of a rule: its texts as a document, and a document's problems beside their texts."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from django.http import QueryDict

from chargeback.core.rule_fields import EVERYONE, SELECTOR_FIELDS, RuleProblem
from chargeback.core.rule_terms import CHARGE_FIELDS, Terms
from chargeback.rules import KeptRule, write_terms

TEXTS = (
    "name",
    "kind",
    "valid_from",
    "valid_to",
    "position",
    "percent",
    "amount",
    "method",
    "targets",
    *SELECTOR_FIELDS,
)
UNALLOCATED_WORD = "(unallocated)"  # as a line of the form says ''
PLACES = {"shares": "targets", "drivers": "targets", "cost_center": "targets"}
Texts = dict[str, str]


def start_texts(month: date, *, family: str) -> Texts:
    """Of an empty form: a rule from a month on."""
    started = {"valid_from": f"{month:%Y-%m}", "method": "cost" if family == "allocation" else "even"}
    return dict.fromkeys(TEXTS, "") | started | {"percent": "100" if family == "allocation" else "", "kind": "markup"}


def write_texts(rule: KeptRule) -> Texts:
    """Of a form that says what a rule says."""
    document = write_terms(rule.terms)
    selector: Mapping[str, Any] = document.get("source") or document.get("match") or {}
    targets = document.get("targets") or document.get("cost_center") or ""
    pairs = document.get("shares") or document.get("drivers")
    if pairs:
        targets = [f"{name} = {value}" for name, value in pairs.items()]
    return {
        **dict.fromkeys(TEXTS, ""),
        **{
            name: str(document[name])
            for name in ("name", "kind", "position", "percent", "amount", "method")
            if name in document
        },
        **{name: _join(selector.get(name, [])) for name in SELECTOR_FIELDS},
        "targets": _join(targets) if isinstance(targets, list) else "" if targets == EVERYONE else str(targets),
        "valid_from": f"{rule.valid_from:%Y-%m}",
        "valid_to": f"{rule.valid_to:%Y-%m}" if rule.valid_to and not rule.is_ended else "",
    }


def read_texts(query: QueryDict) -> Texts:
    """What was sent, trimmed."""
    return {name: query.get(name, "").strip() for name in TEXTS}


def make_document(texts: Texts, *, family: str) -> dict[str, Any]:
    """The document as `read_dated` takes it; what is no number stays text, and is found there."""
    selector = {name: _cut(texts[name]) for name in SELECTOR_FIELDS}
    document: dict[str, Any] = {
        "name": texts["name"],
        "percent": texts["percent"].rstrip("% ") or None,
        "amount": texts["amount"].replace(",", "").removeprefix("$") or None,
        **_make_split(texts),
    }
    if family == "allocation":
        position = texts["position"]
        document |= {
            "position": int(position) if position.isdecimal() and len(position) < 9 else position or 0,
            "source": selector,
        }
        document.pop("amount")
    else:
        document |= {"kind": texts["kind"], "match": selector, "cost_center": texts["targets"]}
        fields = CHARGE_FIELDS.get(texts["kind"], ("kind", "name"))
        if texts["kind"] == "minimum":
            document["targets"] = _cut(texts["targets"]) or EVERYONE
        document = {name: value for name, value in document.items() if name in fields}
    months = {"valid_from": texts["valid_from"], "valid_to": texts["valid_to"] or None}
    return document | months


def _make_split(texts: Texts) -> dict[str, Any]:
    """Lines “who = how much” where the method asks for it, else names; no line: everyone."""
    method, lines = texts["method"], _cut(texts["targets"])
    if method in ("fixed", "driver"):
        pairs = [line.rpartition("=") for line in lines]
        named = {(name or value).strip(): value.strip(" %") if name else "" for name, _, value in pairs}
        return {"method": method, "shares" if method == "fixed" else "drivers": named}
    return {"method": method, "targets": lines or EVERYONE}


def _cut(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ["" if line == UNALLOCATED_WORD else line for line in lines]


def _join(names: Iterable[str]) -> str:
    return "\n".join(name or UNALLOCATED_WORD for name in names)


def place_problems(problems: Iterable[RuleProblem]) -> tuple[dict[str, str], list[str]]:
    """Each problem beside its text, and those that belong beside none."""
    placed: dict[str, str] = {}
    others = []
    for problem in problems:
        first, _, rest = problem.field.partition(".")
        name = rest.partition(".")[0] if first in ("source", "match") and rest else PLACES.get(first, first)
        if first in ("source", "match") and not rest:
            name = "cost_centers"
        said = problem.detail if "." not in problem.field else f"{_name_line(problem.field)}{problem.detail}"
        if name in (*TEXTS, "end"):
            placed[name] = f"{placed[name]}; {said}" if name in placed else said
        else:
            others.append(f"{problem.field} {problem.detail}".strip())
    return placed, others


def _name_line(field: str) -> str:
    last = field.rpartition(".")[2]
    return f"line {int(last) + 1} " if last.isdecimal() else "" if last in SELECTOR_FIELDS else f"{last} "


def describe_terms(terms: Terms) -> str:
    """A rule in a sentence, for the list of all of them."""
    document = write_terms(terms)
    bearers = document.get("targets") or list(document.get("shares") or document.get("drivers") or [])
    to = (
        "everyone"
        if bearers == EVERYONE
        else ", ".join(bearers[:4]) + (f" and {len(bearers) - 4} more" if len(bearers) > 4 else "")
    )
    by = {"even": "evenly", "fixed": "by fixed shares", "driver": "by drivers"}.get(
        document.get("method", ""), f"by {document.get('method')}"
    )
    of = _describe_selector(document.get("source") or document.get("match") or {})
    match document.get("kind"):
        case None:
            return f"{document['percent']} % of {of} to {to}, {by}"
        case "markup" | "discount" as kind:
            return f"{'+' if kind == 'markup' else '−'}{document['percent']} % of {of}"
        case "fee":
            return f"{document['amount']} USD a month, borne by {to}, {by}"
        case "minimum":
            return f"{document['amount']} USD a month at least, of {to}"
    return f"{document['amount']} USD, to {document['cost_center']}"


def _describe_selector(selector: Mapping[str, Any]) -> str:
    said = []
    for name in SELECTOR_FIELDS:
        values = [value or "what is unallocated" for value in selector.get(name, [])]
        if values:
            said.append(", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else ""))
    return " · ".join(said) or "everything"
