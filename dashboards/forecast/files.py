"""The page's tables as rows of a file: just what it shows, with every digit."""

from collections.abc import Sequence
from decimal import Decimal

from alerts.core.budgets import describe_scope
from alerts.core.forecasts.track_records import RECORDED_DAYS
from dashboards.exports import make_facts
from dashboards.forecast.page import ForecastPage
from tenants.selectors import TenantInfo

TABLES = ("days", "parts", "record", "events", "budgets")
Table = tuple[list[str], list[Sequence[object]]]


def list_table(page: ForecastPage, table: str) -> Table:
    """The heading and the rows of one of TABLES."""
    match table:
        case "days":
            return _list_days(page)
        case "parts":
            return _list_parts(page)
        case "record":
            heading = ["month", "actual", *(f"missed_from_day_{day}_percent" for day in RECORDED_DAYS), "nights"]
            return heading, [
                [one.month, one.actual, *(miss for _, miss in one.misses), one.nights] for one in page.record.months
            ]
        case "events":
            return ["day", "amount", "note", "cost_center", "feature", "added_by"], [
                [
                    one.terms.day,
                    one.terms.amount,
                    one.terms.note,
                    one.terms.cost_center,
                    one.terms.feature,
                    one.added_by,
                ]
                for one in page.events
            ]
    return ["budget", "scope", "limit", "spent", "expected", "used_up_on", "forecast_made_on"], [
        [
            line.budget.name, describe_scope(line.budget.scope), line.spending.limit, line.spending.spent,
            line.expected, line.used_up_on, line.made_on,
        ]
        for line in page.budgets
    ]  # fmt: skip


def _list_days(page: ForecastPage) -> Table:
    rows: list[Sequence[object]] = [[day.day, day.booked, day.expected, day.low, day.high] for day in page.days]
    figures = page.figures
    rest = [figures.rest, figures.rest_low, figures.rest_high] if figures else [None] * 3
    rows.append(["Total", page.booked, *rest])
    if figures:
        rows.append(["Month", None, figures.expected, figures.low, figures.high])
    return ["day", "booked", "expected", "low", "high"], rows


def _list_parts(page: ForecastPage) -> Table:
    lines = [*page.parts, *([page.other] if page.other else [])]
    rows: list[Sequence[object]] = [
        [part.name, part.booked, part.expected, part.low, part.high, part.growth] for part in lines
    ]
    booked = sum((part.booked for part in lines), Decimal(0))
    rows.append(["Together", booked, page.parts_expected, None, None, None])
    if figures := page.figures:
        rows.append(["Forecast as one", page.booked, figures.expected, figures.low, figures.high, figures.growth])
    return [page.parts_by, "booked", "expected", "low", "high", "growth_percent"], rows


def list_facts(page: ForecastPage, *, tenant: TenantInfo) -> dict[str, str]:
    """What a file is about, for whoever finds it without its page."""
    figures, record = page.figures, page.record
    about = {name: value or "none" for name, value in page.filters.items() if name != "environment"}
    return (
        make_facts(
            tenant=tenant.slug,
            timezone=tenant.timezone,
            environment=page.filters.get("environment", ""),
            period=page.period,
        )
        | about
        | {
            "Measure": "Cost, USD; what is expected is an estimate",
            "Method": figures.method if figures else page.reason,
            "Range": "eight months of ten should end within it",
            "Coverage measured": "not yet" if record.coverage is None else f"{record.coverage} %",
            "Bias": "not yet known" if record.bias is None else f"{record.bias} %",
            "Complete to": page.complete_to.isoformat(),
        }
    )
