"""Showback's tables as rows of a file: just what the pages show, with every digit."""

from collections.abc import Sequence
from decimal import Decimal

from dashboards.exports import make_facts
from dashboards.showback.drivers import DriverCost
from dashboards.showback.question import Question
from dashboards.showback.subject import Part, Split, Subject
from dashboards.showback.subjects import Line, Subjects

Table = tuple[list[str], list[Sequence[object]]]
DRIVER_HEADING = ["driver", "days", "days_missing", "days_unknown", "quantity", "cost", "per_unit", "p50", "p95"]


def list_subjects(page: Subjects) -> Table:
    """The page's table: the subjects in its order, Other, the total."""
    question = page.question
    heading = [
        question.by, "cost", "share", "before", "difference", "calls", "unpriced_calls", "per_call", "per_call_p50",
        "per_call_p95", "users", *(day.isoformat() for day in question.period.list_days()),
    ]  # fmt: skip
    lines = [*page.lines, *([page.other] if page.other else []), page.total]
    return heading, [_write_line(line) for line in lines]


def list_drivers(drivers: Sequence[DriverCost]) -> Table:
    """Cost per driver, a row for each, then one for each of its days."""
    rows: list[Sequence[object]] = []
    for driver in drivers:
        spread = driver.spread
        rows.append(
            [
                driver.name, driver.known, driver.missing, driver.unknown, driver.quantity, driver.cost, spread.mean,
                spread.p50, spread.p95,
            ]
        )  # fmt: skip
        rows += [
            [driver.name, each.day, "", "", each.quantity, each.cost, each.per_unit, "", ""] for each in driver.days
        ]
    return DRIVER_HEADING, rows


def list_subject(page: Subject, table: str) -> Table:
    """A table of the subject's page: days, users, drivers, units, or the parts by a dimension."""
    if table == "days":
        rows: list[Sequence[object]] = [[each.day, each.calls, each.tokens, each.cost] for each in page.days]
        tokens = sum(each.tokens for each in page.days)
        return ["day", "calls", "tokens", "cost"], [*rows, ["Total", page.totals.calls, tokens, page.cost]]
    if table == "drivers":
        return list_drivers(page.drivers)
    if table == "users":
        parts = [*page.users.dearest, *([page.users.other] if page.users.other else [])]
        return _list_parts("user", [*parts, *([page.users.total] if page.users.total else [])])
    split = next(each for each in (page.environments, *page.splits) if each.dimension == table)
    return _list_split(split)


def list_facts(question: Question, *, value: str | None, complete_to: str, unpriced: int) -> dict[str, str]:
    """What a file is about, for whoever finds it without its page."""
    of = {} if value is None else {question.word: value or "none"}
    return make_facts(
        tenant=question.tenant.slug,
        timezone=question.tenant.timezone,
        environment=question.environment,
        period=question.period,
    ) | {
        "Compared with": f"{question.previous.first} to {question.previous.last}",
        **of,
        "Measure": "Cost, USD",
        "Calls without a price": str(unpriced),
        "Complete to": complete_to,
    }


def _write_line(line: Line) -> list[object]:
    days: Sequence[Decimal] = line.days or ()
    return [
        line.name,
        line.cost,
        line.share,
        line.before,
        line.change.difference if line.change else None,
        line.calls,
        line.unpriced_calls,
        line.per_call,
        line.percentiles.get(50),
        line.percentiles.get(95),
        line.users,
        *days,
    ]


def _list_split(split: Split) -> Table:
    return _list_parts(split.dimension, [*split.parts, split.total])


def _list_parts(dimension: str, parts: Sequence[Part]) -> Table:
    heading = [dimension, "cost", "share", "calls", "unpriced_calls", "per_call", "per_call_p50", "per_call_p95"]
    return heading, [
        [
            part.name, part.cost, part.share, part.calls, part.unpriced_calls, part.per_call,
            part.percentiles.get(50), part.percentiles.get(95),
        ]
        for part in parts
    ]  # fmt: skip
