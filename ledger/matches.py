"""Filters of text: is, is not, contains, starts with; any of several values, upper and lower case alike in a part.

A filter is named by what it is about, and by its operator behind a dot where it is not `is`: `feature`, `feature.not`.
"""

import re
from collections.abc import Sequence

from psycopg.sql import SQL, Composed, Identifier, Placeholder

IS, NOT, CONTAINS, STARTS = "is", "not", "contains", "starts"
OPERATORS = (NOT, CONTAINS, STARTS)  # those that a name says
CONDITIONS = {
    IS: SQL("{} = ANY({})"),
    NOT: SQL("{} <> ALL({})"),
    CONTAINS: SQL("lower({}) LIKE ANY({})"),
    STARTS: SQL("lower({}) LIKE ANY({})"),
}


def split_match(name: str) -> tuple[str, str]:
    """What a filter is about, and its operator."""
    subject, _, operator = name.partition(".")
    return subject, operator or IS


def write_condition(column: str, operator: str, parameter: str) -> Composed:
    """A condition on a text column; `parameter` names its values, which are `make_values`'s."""
    return CONDITIONS[operator].format(Identifier(column), Placeholder(parameter))


def make_values(operator: str, texts: Sequence[str]) -> list[str]:
    """The values as the condition compares them: patterns of LIKE for a part of a text."""
    if operator in (IS, NOT):
        return list(texts)
    escaped = (re.sub(r"([\\%_])", r"\\\1", text.lower()) for text in texts)
    return [f"%{text}%" if operator == CONTAINS else f"{text}%" for text in escaped]
