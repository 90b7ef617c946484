"""The rates: what every model in use costs now, who said so, and what changes next."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from billing.core.figures import write_exact
from dashboards.access import Seat, member_required
from dashboards.core.periods import Period
from dashboards.exports import answer_file, make_facts, write_filters
from dashboards.frame import (
    ALL_ENVIRONMENTS,
    list_environment_options,
    list_hidden_fields,
    list_period_options,
    make_frame,
    make_link,
    read_page_period,
)
from dashboards.rates.actors import name_writers
from dashboards.rates.table import ORIGIN_WORDS, SORTS, STATES, RateFilters, RateRow, RateTable, read_rate_table
from dashboards.saved_views import list_views

DEFAULT_PERIOD = "90d"
COLUMNS = (
    "provider", "model", "service_tier", "state", "input", "cache_read", "cache_write", "output", "others",
    "conditions", "rate_version", "origin", "source", "written_by", "approved_by", "published_at", "since",
    "next_change_at", "next_change", "calls", "unpriced_calls", "cost", "nearest_model", "estimated_cost",
)  # fmt: skip


@require_safe
@member_required
def show_rates(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The models in use with their prices now; only the table where the search asks for it while typing."""
    now = timezone.now()
    period, problem = read_rates_period(request.GET, seat, now=now)
    environment, filters = read_rates_environment(request.GET), _read_filters(request.GET)
    table = _read_table(seat, period, environment, filters, tells_under_way=seat.may_edit_rates, now=now)
    context = {
        "frame": make_frame(seat, current="rates"),
        "table": table,
        "filters": filters,
        "period": period,
        "environment": environment,
        "now": now,
        "timezone": seat.tenant.timezone,
        "may_edit": seat.may_edit_rates,
        "names": name_writers([row.record for row in table.rows if row.record], seat),
        "sees_drafts": seat.is_operator,
        "all_href": make_link("rates", seat.link_query),
    }
    if request.htmx:
        return render(request, "rates/table.html", context)
    return render(
        request,
        "rates/page.html",
        context
        | {
            "problem": problem,
            "states": STATES,
            "origins": ORIGIN_WORDS,
            "filter_fields": list_hidden_fields(request.GET, without=("q", "provider", "state", "source")),
            "environment_options": list_environment_options(request.path, request.GET, current=environment, costs={}),
            "period_options": list_period_options(request.path, request.GET, current=period),
            "period_fields": list_hidden_fields(request.GET, without=("period", "from", "to")),
            "import_href": make_link("rate_import", seat.link_query),
            "jobs_href": make_link("rate_jobs", seat.link_query),
            "aliases_href": make_link("rate_aliases", seat.link_query),
            "try_href": make_link("rate_trial", seat.link_query),
            "drafts_href": make_link("rate_drafts", seat.link_query),
            "views": list_views(seat, page="rates"),
            "link_query": urlencode(seat.link_query),
        },
    )


@require_safe
@member_required
def export_rates(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The rows of the page as a file, `format` csv or xlsx."""
    period, table = _read_export(request, seat)
    filters = _read_filters(request.GET)
    asked = {"q": filters.text, "provider": filters.provider, "state": filters.state, "source": filters.origin}
    total = dict.fromkeys(COLUMNS) | {
        "provider": "Total",
        "calls": table.total.calls,
        "unpriced_calls": table.total.unpriced_calls,
        "cost": table.total_cost,
        "estimated_cost": table.estimated,
    }
    facts = make_facts(
        tenant=seat.tenant.slug,
        timezone=seat.tenant.timezone,
        environment=read_rates_environment(request.GET),
        period=period,
    ) | {
        "Filters": write_filters({name: [value] for name, value in asked.items() if value}),
        "Prices": "USD per 1,000,000 tokens",
        "Usage complete to": table.complete_to.isoformat(),
    }
    return answer_file(
        request,
        f"rates-{seat.tenant.slug}-{period.first}-{period.last}",
        page="rates",
        heading=COLUMNS,
        rows=[list(fields.values()) for fields in (*map(_list_fields, table.rows), total)],
        facts=facts,
    )


@require_safe
@member_required
def show_rates_json(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The same rows as JSON: money and prices as text, with every digit."""
    period, table = _read_export(request, seat)
    document = {
        "currency": "USD",
        "prices_per": "1,000,000 tokens",
        **period.get_dates(),
        "rates": [{name: _write_value(value) for name, value in _list_fields(row).items()} for row in table.rows],
        "total": {
            "calls": table.total.calls,
            "unpriced_calls": table.total.unpriced_calls,
            "cost": _write_value(table.total_cost),
            "estimated_cost": _write_value(table.estimated),
        },
    }
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    return HttpResponse(text, content_type="application/json")


def read_rates_period(query: QueryDict, seat: Seat, *, now: datetime) -> tuple[Period, str]:
    """The days whose usage the page counts, the last ninety unless named, and what is wrong with the address."""
    today = seat.get_today(now)
    return read_page_period(query, today=today, default=DEFAULT_PERIOD)


def read_rates_environment(query: QueryDict) -> str:
    """All environments unless one is named: a model needs a price wherever it is called."""
    environment = query.get("environment", ALL_ENVIRONMENTS)
    if "\0" in environment:
        raise BadRequest("an environment with a NUL character")
    return "" if environment == ALL_ENVIRONMENTS else environment


def _read_filters(query: QueryDict) -> RateFilters:
    sort = query.get("sort", "")
    return RateFilters(
        text=query.get("q", "").strip(),
        provider=query.get("provider", ""),
        state=query.get("state", ""),
        origin=query.get("source", ""),
        sort=sort if sort in SORTS else "",
    )


def _read_table(
    seat: Seat,
    period: Period,
    environment: str,
    filters: RateFilters,
    *,
    tells_under_way: bool = False,
    now: datetime,
) -> RateTable:
    return read_rate_table(
        tenant=seat.tenant,
        period=period,
        environment=environment,
        link_query=seat.link_query,
        filters=filters,
        tells_under_way=tells_under_way,
        now=now,
    )


def _read_export(request: HttpRequest, seat: Seat) -> tuple[Period, RateTable]:
    now = timezone.now()
    period, _ = read_rates_period(request.GET, seat, now=now)
    filters = _read_filters(request.GET)
    return period, _read_table(seat, period, read_rates_environment(request.GET), filters, now=now)


def _list_fields(row: RateRow) -> Mapping[str, Any]:
    record, estimate = row.record, row.estimate
    values = (
        row.provider,
        row.model,
        row.service_tier,
        row.state,
        *(price.price if price else None for price in (row.input, row.cache_read, row.cache_write, row.output)),
        "; ".join(row.others),
        "; ".join(row.conditions),
        record.id if record else None,
        row.origin,
        row.source_name,
        record.created_by if record else "",
        record.approved_by if record else "",
        record.published_at if record else None,
        record.effective_from if record else None,
        row.coming.start if row.coming else None,
        row.coming.words if row.coming else "",
        row.quantities.calls,
        row.quantities.unpriced_calls,
        row.cost,
        f"{estimate.suggestion.provider} {estimate.suggestion.model}" if estimate else "",
        estimate.cost if estimate else None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _write_value(value: Any) -> Any:
    return write_exact(value) if isinstance(value, Decimal) else value
