"""What a question can be changed to, each choice an address."""

from dataclasses import dataclass

from django.http import QueryDict

from dashboards.core.buckets import GRANULARITIES, HOUR, HOURS_SHOWN_DAYS
from dashboards.dimensions import WORDS
from dashboards.explore.measures import MEASURES
from dashboards.explore.question import (
    CHARTS,
    GROUP_PARAMETER,
    GROUPS_MAX,
    OPERATOR_WORDS,
    Question,
)
from dashboards.frame import Option
from ledger.matches import split_match

CHART_WORDS = {"bars": "Bars", "lines": "Lines", "share": "Share"}


@dataclass(frozen=True, slots=True)
class FilterChip:
    """A filter in force in words, and the address without it."""

    words: str
    value: str
    href: str


@dataclass(frozen=True, slots=True)
class Controls:
    """groups: those in force, each leading to the page without it; more: those that may be added."""

    groups: list[Option]
    more: list[Option]
    granularities: list[Option]
    charts: list[Option]
    measures: list[Option]


def list_chips(path: str, query: QueryDict, question: Question) -> list[FilterChip]:
    """A chip for each value of each filter."""
    chips = []
    for parameter, value in question.list_parameters():
        name, operator = split_match(parameter)
        rest = query.copy()
        rest.setlist(parameter, [other for other in query.getlist(parameter) if other != value])
        words = f"{WORDS[name]} {OPERATOR_WORDS[operator]}"
        chips.append(FilterChip(words, value or "none", f"{path}?{rest.urlencode()}"))
    return chips


def list_controls(path: str, query: QueryDict, question: Question) -> Controls:
    """The choices of the page's head."""

    def choose(**changes: str | list[str]) -> str:
        changed = query.copy()
        changed.pop("rows", None)
        for name, value in changes.items():
            changed.setlist(name, value if isinstance(value, list) else [value])
        return f"{path}?{changed.urlencode()}"

    groups = list(question.groups)
    return Controls(
        groups=[
            Option(WORDS[name], choose(**{GROUP_PARAMETER: [each for each in groups if each != name]}), True)
            for name in groups
        ],
        more=[
            Option(word, choose(**{GROUP_PARAMETER: [*groups, name]}), False)
            for name, word in WORDS.items()
            if name not in groups
        ]
        if len(groups) < GROUPS_MAX
        else [],
        granularities=[
            Option(name.capitalize(), choose(granularity=name), name == question.granularity)
            for name in GRANULARITIES
            if name != HOUR or question.period.days <= HOURS_SHOWN_DAYS
        ],
        charts=[
            Option(CHART_WORDS[name], choose(chart=name), name == question.chart)
            for name in CHARTS
            if question.measure.adds_up or name == question.chart
        ],
        measures=[
            Option(measure.word, choose(measure=name), name == question.measure.name)
            for name, measure in MEASURES.items()
        ],
    )
