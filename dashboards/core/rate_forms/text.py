"""A rate as a text that a person edits: JSON, as a file of rates holds it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from billing.core.rate_documents import RateDocument, RatesRefused, find_repeated_names, read_rates
from dashboards.core.rate_forms.fields import DOCUMENT_LENGTH_MAX
from dashboards.core.rate_forms.reading import FieldProblem, strip_path


def write_rate_text(rate: Mapping[str, Any]) -> str:
    """The rate as a person edits it: JSON, two spaces deep."""
    return json.dumps(rate, ensure_ascii=False, indent=2)


def read_rate_text(text: str) -> tuple[RateDocument | None, list[FieldProblem]]:
    """The document of a rate that was written as JSON, or what is wrong with it, each by its path.

    Numbers with a point stay text, lest a price lose a digit.
    """
    if len(text) > DOCUMENT_LENGTH_MAX:
        return None, [FieldProblem("document", "document", f"has at most {DOCUMENT_LENGTH_MAX:,} characters.")]
    repeated: list[str] = []

    def note_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(find_repeated_names(pairs))
        return dict(pairs)

    try:
        rate = json.loads(text, parse_float=str, object_pairs_hook=note_repetition)
    except (ValueError, RecursionError) as error:
        return None, [FieldProblem("document", "document", f"is not JSON: {error}. Write one object in braces.")]
    if repeated:
        told = f"{', '.join(repeated)} stands twice in one object. Keep one of them."
        return None, [FieldProblem("document", "document", told)]
    if not isinstance(rate, dict):
        return None, [FieldProblem("document", "document", "is no object. Write one rate in braces.")]
    try:
        (document,) = read_rates({"rates": [rate]})
    except RatesRefused as refused:
        told = [(strip_path(each.path), f"{each.problem}. {each.cure}.") for each in refused.problems]
        return None, [FieldProblem("document", path, text) for path, text in told]
    return document, []


def write_rate(document: RateDocument) -> dict[str, Any]:
    """A document as a rate of a file: its content and its interval."""
    return {
        **document.content,
        "effective_from": _write_moment(document.effective_from),
        "effective_to": _write_moment(document.effective_to) if document.effective_to else None,
    }


def _write_moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
