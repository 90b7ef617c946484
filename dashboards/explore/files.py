"""The tables of an answer as rows of a file: just what the page shows, with every digit."""

from collections.abc import Sequence

from dashboards.explore.lines import Line
from dashboards.explore.page import Exploration
from dashboards.exports import make_facts, write_filters


def list_table(answer: Exploration, name: str) -> tuple[list[str], list[Sequence[object]]]:
    """The heading and the rows of the table by time, or by groups."""
    return _list_by_time(answer) if name == "time" else _list_by_group(answer)


def list_facts(answer: Exploration) -> dict[str, str]:
    """What a file is about, for whoever finds it without its page."""
    question = answer.question
    return make_facts(
        tenant=question.tenant.slug,
        timezone=question.tenant.timezone,
        environment=question.environment,
        period=question.period,
    ) | {
        "Compared with": f"{answer.previous.first} to {answer.previous.last}",
        "Filters": write_filters(question.filters),
        "Measure": f"{question.measure.word}, {question.measure.unit}",
        "Calls without a price": str(answer.totals.unpriced_calls),
        "Complete to": answer.complete_to.isoformat(),
    }


def _list_by_time(answer: Exploration) -> tuple[list[str], list[Sequence[object]]]:
    heading = [answer.question.granularity, "to", *(series.name for series in answer.series), "Total"]
    rows: list[Sequence[object]] = [
        [
            row.bucket.key if answer.question.granularity == "hour" else row.bucket.days.first,
            row.bucket.days.last,
            *(cell.amount for cell in row.cells),
            row.total.amount,
        ]
        for row in answer.rows
    ]
    totals = [series.total.amount for series in answer.series]
    return heading, [*rows, ["Total", "", *totals, answer.total.amount]]


def _list_by_group(answer: Exploration) -> tuple[list[str], list[Sequence[object]]]:
    groups = answer.question.groups
    heading = [
        *groups, "calls", "unpriced_calls", "tokens", "cost", "cost_per_call", "share", "before", "difference",
    ]  # fmt: skip
    lines = [*answer.lines, *([answer.other] if answer.other else []), *([answer.line_total] if groups else [])]
    return heading, [_write_line(line, len(groups)) for line in lines if line]


def _write_line(line: Line, width: int) -> list[object]:
    return [
        *line.names,
        *([""] * (width - len(line.names))),
        line.calls,
        line.unpriced_calls,
        line.tokens,
        line.cost,
        line.per_call,
        line.share,
        line.before,
        line.change.difference if line.change else None,
    ]
