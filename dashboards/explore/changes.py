"""Why the answer differs from the period before, for whatever the question filters by."""

from collections.abc import Mapping
from dataclasses import dataclass

from billing.selectors import CHANGE_KINDS, get_cost_changes
from dashboards.core.periods import Period, find_previous_period
from dashboards.dimensions import NAMELESS, WORDS
from dashboards.explore.question import Question
from dashboards.frame import make_link
from dashboards.overview.changes import ChangeTable, make_change_table


@dataclass(frozen=True, slots=True)
class Bridge:
    """word: of the dimension that its lines are by."""

    previous: Period
    word: str
    table: ChangeTable


def read_bridge(question: Question, *, link_query: Mapping[str, str]) -> Bridge | None:
    """The bridge by the question's first group that a change is told by, else by feature; None about users.

    Raises QueryRefused.
    """
    dimension = next((name for name in question.groups if name in CHANGE_KINDS), "feature")
    previous = find_previous_period(question.period)
    query = question.make_query(question.period, groups=(dimension,))
    if query.is_about_users:
        return None
    changes = get_cost_changes(query, before=previous.get_bounds(question.tenant.timezone))
    asked = {**link_query, **question.environment_query, **question.period.get_query(), **question.filters}

    def link(value: str) -> str:
        return make_link("explore", {**asked, dimension: value, "by": "model"})

    return Bridge(previous, WORDS[dimension], make_change_table(changes.rows, nameless=NAMELESS[dimension], link=link))
