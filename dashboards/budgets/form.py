"""The form of a budget: its texts as a document, and a document's problems beside their texts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.http import QueryDict

from alerts.core.budgets import DIMENSIONS, BudgetProblem, BudgetTerms, write_amount

ACTION_ROWS_MIN, ACTION_ROWS_SPARE = 4, 1
TEXTS = ("name", "amount", "window", "owner", "parent", "input_tokens", "output_tokens", "cost")
ACTION_TEXTS = ("percent", "on", "do", "model")
FIRST_ACTIONS = (("50", "actual", "notify", ""), ("80", "actual", "notify", ""), ("100", "actual", "notify", ""))
WHOLE = ("input_tokens", "output_tokens")

Texts = dict[str, Any]


def start_texts() -> Texts:
    """Of an empty form."""
    texts: Texts = {**dict.fromkeys(TEXTS, ""), **{f"scope_{name}": "" for name in DIMENSIONS}}
    return texts | {
        "window": "month",
        "rollover": False,
        "channels": [],
        "actions": _fill_rows([dict(zip(ACTION_TEXTS, row, strict=True)) for row in FIRST_ACTIONS]),
    }


def write_texts(terms: BudgetTerms) -> Texts:
    """Of a form that says what the terms say."""
    limits = terms.per_request
    return {
        "name": terms.name,
        "amount": write_amount(terms.amount),
        "window": terms.window,
        "owner": terms.owner,
        "parent": str(terms.parent_id or ""),
        "input_tokens": str(limits.input_tokens or ""),
        "output_tokens": str(limits.output_tokens or ""),
        "cost": "" if limits.cost is None else write_amount(limits.cost),
        **{f"scope_{name}": terms.scope.get(name, "") for name in DIMENSIONS},
        "rollover": terms.rollover,
        "channels": list(terms.channel_ids),
        "actions": _fill_rows(
            [
                {"percent": str(action.at_percent), "on": action.on, "do": action.do, "model": action.model}
                for action in terms.actions
            ]
        ),
    }


def read_texts(query: QueryDict) -> Texts:
    """What was sent, trimmed. A line of an action without a percentage is none."""
    lists = [query.getlist(f"action_{name}") for name in ACTION_TEXTS]
    rows = [dict(zip(ACTION_TEXTS, (text.strip() for text in row), strict=True)) for row in zip(*lists, strict=False)]
    return {
        **{name: query.get(name, "").strip() for name in (*TEXTS, *(f"scope_{name}" for name in DIMENSIONS))},
        "rollover": "rollover" in query,
        "channels": [int(text) for text in query.getlist("channel") if text.isascii() and text.isdigit()][:100],
        "actions": _fill_rows([row for row in rows if row["percent"] or row["model"]]),
    }


def make_document(texts: Texts) -> dict[str, Any]:
    """The document as `read_terms` takes it; what is no number stays text, and is found there."""
    limits = {name: texts[name] for name in ("input_tokens", "output_tokens", "cost") if texts[name]}
    return {
        "name": texts["name"],
        "scope": {name: texts[f"scope_{name}"] for name in DIMENSIONS if texts[f"scope_{name}"]},
        "window": texts["window"],
        "amount": _read_amount(texts["amount"]),
        "actions": [
            {"at_percent": _read_whole(row["percent"]), "on": row["on"], "do": row["do"]}
            | ({"model": row["model"]} if row["model"] else {})
            for row in texts["actions"]
            if row["percent"] or row["model"]
        ],
        "per_request": {
            name: _read_whole(text) if name in WHOLE else _read_amount(text) for name, text in limits.items()
        },
        "parent": _read_whole(texts["parent"]) if texts["parent"] else None,
        "rollover": texts["rollover"],
        "owner": texts["owner"],
        "channels": texts["channels"],
    }


def place_problems(problems: Iterable[BudgetProblem]) -> tuple[Mapping[str, str], list[str]]:
    """What is wrong, by the name of its text, and what belongs to none of them. Of an action: `action_0`."""
    placed: dict[str, list[str]] = defaultdict(list)
    unplaced = []
    for problem in problems:
        first, _, rest = problem.field.partition(".")
        if first == "actions":
            number, _, part = rest.partition(".")
            placed[f"action_{number}"].append(f"{part} {problem.detail}".strip())
        elif first in ("scope", "per_request") and rest:
            placed[f"scope_{rest}" if first == "scope" else rest].append(problem.detail)
        elif first in TEXTS:
            placed[first].append(problem.detail)
        else:
            unplaced.append(f"{problem.field.capitalize()} {problem.detail}".strip())
    return {name: "; ".join(told) for name, told in placed.items()}, unplaced


def _fill_rows(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """With empty lines for more."""
    missing = max(ACTION_ROWS_MIN - len(rows), ACTION_ROWS_SPARE)
    return rows + [{"percent": "", "on": "actual", "do": "notify", "model": ""} for _ in range(missing)]


def _read_amount(text: str) -> str | None:
    """Without the commas and the sign that people write: “$3,000.00” is 3000.00."""
    return text.removeprefix("$").replace(",", "").strip() or None


def _read_whole(text: str) -> int | str:
    plain = text.removesuffix("%").replace(",", "").strip()
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) <= 18 else text
