"""The Overview: what was spent, on what, and how far that can be believed."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from billing.selectors import CHANGE_STEPS
from dashboards.access import Seat, member_required
from dashboards.core.periods import ONE_DAY, PERIOD_NAMES, Period
from dashboards.dateline import make_dateline
from dashboards.exports import answer_file, make_facts
from dashboards.frame import (
    ALL_ENVIRONMENTS,
    make_frame,
    make_link,
    read_environment,
    read_page_period,
)
from dashboards.overview.budget import read_whole_budget
from dashboards.overview.days import make_chart_data
from dashboards.overview.outlook import MonthEnd, read_month_end
from dashboards.overview.page import Overview, read_overview
from dashboards.overview.tables import DIMENSIONS, SORTS
from dashboards.saved_views import list_views
from ledger.selectors import EntryFilters, list_entries
from tenants.selectors import list_api_keys

ALL_LINES = "all"
USED = EntryFilters(kinds=("usage",))  # an act on a key, or a fee, is no first event


@require_safe
@member_required
def show_overview(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The page, or why there is nothing to show and what to do next."""
    now = timezone.now()
    period, environment, problem = _read_address(request, seat, now=now)
    overview = _read_overview(request, seat, period, environment)
    newest = None
    if not overview.totals.calls:
        newest = list_entries(tenant_id=seat.tenant.id, filters=USED, limit=1).entries
    context = {
        "frame": make_frame(seat, current="overview"),
        "overview": overview,
        "period_words": PERIOD_NAMES.get(period.name) or period.write(),
        "links": {
            "all": overview.links.make(),
            "unpriced": overview.links.make(pricing_status="unpriced"),
            "errors": overview.links.make(status="error"),
        },
        "environment": environment,
        "problem": problem,
        "dateline": make_dateline(
            request,
            seat,
            period=period,
            environment=environment,
            totals=overview.totals,
            complete_to=overview.complete_to,
            unpriced_href=overview.links.make(pricing_status="unpriced"),
            environment_costs=overview.environment_costs,
        ),
        "timezone": seat.tenant.timezone,
        "is_today_in_it": period.last >= seat.get_today(now),
        "views": list_views(seat, page="overview"),
        "link_query": urlencode(seat.link_query),
    }
    if newest == []:
        return render(request, "overview/nothing_sent.html", context | _make_first_step(seat, now=now))
    if newest:
        used = newest[0]["charge_period_start"].astimezone(ZoneInfo(seat.tenant.timezone)).date()
        month = Period(used.replace(day=1), used + ONE_DAY).get_dates()
        query = seat.link_query | {"environment": ALL_ENVIRONMENTS} | month
        return render(
            request,
            "overview/nothing_here.html",
            context | {"newest": newest[0], "newest_href": make_link("overview", query)},
        )
    month_end = _read_month_end(seat, period, environment, now=now)
    return render(
        request,
        "overview/page.html",
        context
        | {
            "chart_data": make_chart_data(overview.daily, month_end.days if month_end else ()),
            "month_end": month_end,
            "budget": read_whole_budget(seat, now=now) if _is_month_to_date(seat, period, now=now) else None,
            "subject": PERIOD_NAMES[period.name] if period.name in ("month", "last-month") else period.write(),
            "by_word": DIMENSIONS[overview.daily.by],
            "other_href": f"{request.path}?{_with_all_lines(request)}",
            "dimensions": DIMENSIONS,
            "sort": _read_sort(request),
            "shows_all_lines": request.GET.get("rows") == ALL_LINES,
        },
    )


@require_safe
@member_required
def export_overview(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A table of the page as a file: `table` is a dimension, days, ahead, changes or savings, `format` csv or xlsx."""
    now = timezone.now()
    period, environment, _ = _read_address(request, seat, now=now)
    overview = _read_overview(request, seat, period, environment)
    name = request.GET.get("table", "")
    month_end = _read_month_end(seat, period, environment, now=now) if name == "ahead" else None
    heading, rows = _list_days_ahead(month_end) if month_end and month_end.days else _list_table(overview, name)
    facts = make_facts(
        tenant=seat.tenant.slug, timezone=seat.tenant.timezone, environment=environment, period=period
    ) | {
        "Compared with": f"{overview.previous.first} to {overview.previous.last}",
        "Measure": "Cost, USD",
        "Calls without a price": str(overview.totals.unpriced_calls),
        "Complete to": overview.complete_to.isoformat(),
    }
    return answer_file(
        request,
        f"{name}-{seat.tenant.slug}-{period.first}-{period.last}",
        page="overview",
        heading=heading,
        rows=rows,
        facts=facts,
    )


def _read_address(request: HttpRequest, seat: Seat, *, now: datetime) -> tuple[Period, str, str]:
    period, problem = read_page_period(request.GET, today=seat.get_today(now))
    environment = read_environment(request.GET)
    if "\0" in environment:
        raise BadRequest("an environment with a NUL character")
    return period, environment, problem


def _read_month_end(seat: Seat, period: Period, environment: str, *, now: datetime) -> MonthEnd | None:
    """Where the page is about the month that goes on, up to today."""
    if not _is_month_to_date(seat, period, now=now):
        return None
    return read_month_end(seat, environment=environment, now=now)


def _is_month_to_date(seat: Seat, period: Period, *, now: datetime) -> bool:
    today = seat.get_today(now)
    return (period.first, period.last) == (today.replace(day=1), today)


def _with_all_lines(request: HttpRequest) -> str:
    query = request.GET.copy()
    query["rows"] = ALL_LINES
    return query.urlencode()


def _read_sort(request: HttpRequest) -> str:
    sort = request.GET.get("sort", "")
    return sort if sort in SORTS else "cost"


def _read_overview(request: HttpRequest, seat: Seat, period: Period, environment: str) -> Overview:
    return read_overview(
        tenant=seat.tenant,
        period=period,
        environment=environment,
        link_query=seat.link_query,
        by=request.GET.get("by", ""),
        sort=_read_sort(request),
        all_lines=request.GET.get("rows") == ALL_LINES,
    )


def _list_days_ahead(month_end: MonthEnd) -> tuple[list[str], Iterable[list[object]]]:
    rest = month_end.rest
    return ["day", "low", "expected", "high"], [
        *([day.day.isoformat(), day.low, day.expected, day.high] for day in month_end.days),
        ["From today on", rest.low, rest.expected, rest.high],
    ]


def _list_table(overview: Overview, name: str) -> tuple[list[str], Iterable[list[object]]]:
    """The heading and the rows of a table as the page shows it. Raises BadRequest for one that it has not."""
    if name == "days":
        heading = ["day", *(series.value or series.name for series in overview.daily.series), "total"]
        rows = [
            [day.day.isoformat(), *(amount.cost for amount in day.amounts), day.total.cost]
            for day in overview.daily.days
        ]
        totals = [series.total for series in overview.daily.series]
        return heading, [*rows, ["Total", *totals, overview.daily.total]]
    if name == "changes" and overview.changes:
        heading = ["feature", "before", "after", "unpriced_calls", "difference", *CHANGE_STEPS]
        changes = overview.changes
        lines = [*changes.lines, *([changes.other] if changes.other else []), changes.total]
        return heading, [[c.name, c.before, c.after, c.unpriced_calls, c.difference, *c.steps] for c in lines]
    if name == "savings" and overview.savings:
        heading = ["model", "provider", "cache_read_tokens", "at_full_rate", "paid", "saved"]
        return heading, [
            [s.name, s.provider, s.cache_read_tokens, s.at_full_rate, s.paid, s.saved] for s in overview.savings.rows
        ]
    for table in overview.tables:
        if table.dimension == name:
            heading = [name, "provider", "calls", "unpriced_calls", "cost", "share", "before", "difference"]
            lines = [*table.lines, *([table.other] if table.other else []), table.total]
            return heading, [
                [
                    *(line.name, line.under, line.calls, line.unpriced_calls, line.cost, line.share, line.before),
                    line.change.difference if line.change else None,
                ]
                for line in lines
            ]
    raise BadRequest("the page has no such table")


def _make_first_step(seat: Seat, *, now: datetime) -> dict[str, object]:
    """What a tenant without an event needs: its keys, and the line that sends a first one."""
    keys = [key for key in list_api_keys(seat.tenant.id) if key.is_live(now) and "ingest" in key.scopes]
    return {
        "keys": keys,
        "address": settings.PUBLIC_URL,
        "now_text": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "waits_href": make_link("first_entry", seat.link_query),
        "keys_href": make_link("keys", seat.link_query) if seat.may_send else "",
    }


@require_safe
@member_required
def await_first_entry(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A fragment: still waiting, or a header that loads the page anew once an entry is there."""
    if list_entries(tenant_id=seat.tenant.id, filters=USED, limit=1).entries:
        response = HttpResponse(status=204)
        response.headers["HX-Redirect"] = make_link("overview", seat.link_query | {"environment": ALL_ENVIRONMENTS})
        return response
    return render(request, "overview/waiting.html", {"now": timezone.now()})
