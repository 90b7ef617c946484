"""The ledger, newest first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from billing.selectors import CostQuery, Quantities, get_costs
from dashboards.access import Seat, member_required
from dashboards.entries import (
    FILTER_WORDS,
    PAGE_SIZES,
    EntryQuery,
    add_up_entries,
    list_chips,
    read_entry_query,
)
from dashboards.exports import answer_file, make_facts, write_filters
from dashboards.frame import (
    ALL_ENVIRONMENTS,
    list_environment_options,
    list_hidden_fields,
    list_period_options,
    make_frame,
    make_link,
)
from dashboards.saved_views import list_views
from ledger.selectors import EntryCursor, EntryIdInvalid, list_entries

NEWER_MAX = 100
COLUMNS = (
    "id", "charge_period_start", "recorded_at", "environment", "feature", "cost_center", "provider", "model",
    "operation", "service_tier", "status", "calls", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "output_tokens", "reasoning_tokens", "pricing_status", "pricing_reason", "currency",
    "billed_cost", "list_cost", "saved_cost", "api_key_id", "user_ref", "event_source", "event_id", "response_id",
    "trace_id",
)  # fmt: skip


@require_safe
@member_required
def show_ledger(request: HttpRequest, seat: Seat) -> HttpResponse:
    """One page of entries by filter. A filter that a form adds leads to the address that holds it."""
    if request.GET.get("add") in FILTER_WORDS:
        return redirect(_add_filter(request))
    asked = _read_query(request, seat)
    page = list_entries(tenant_id=seat.tenant.id, filters=asked.filters, before=asked.before, limit=asked.limit)
    return render(
        request,
        "ledger/list.html",
        {
            "frame": make_frame(seat, current="ledger"),
            "asked": asked,
            "environment_options": list_environment_options(
                request.path, request.GET, current=asked.environment, costs={}
            ),
            "period_options": list_period_options(request.path, request.GET, current=asked.period, any_time=True),
            "period_fields": list_hidden_fields(request.GET, without=("period", "from", "to")),
            "filter_fields": list_hidden_fields(request.GET, without=("add", "value")),
            "filter_words": FILTER_WORDS,
            "page_sizes": PAGE_SIZES,
            "chips": list_chips(request.path, request.GET),
            "trace_href": _link_trace(asked, seat) if page.entries else "",
            "entries": page.entries,
            "rows": _make_rows(page.entries, seat),
            "all_href": make_link("ledger", seat.link_query | {"environment": ALL_ENVIRONMENTS}),
            "period_label": asked.period.write() if asked.period else "any time",
            "next": page.next,
            "sums": add_up_entries(page.entries),
            "timezone": seat.tenant.timezone,
            "totals": _read_totals(asked, seat),
            "views": list_views(seat, page="ledger"),
            "link_query": urlencode(seat.link_query),
        },
    )


@require_safe
@member_required
def export_ledger(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The entries of the page as a file, `format` csv or xlsx."""
    asked = _read_query(request, seat)
    page = list_entries(tenant_id=seat.tenant.id, filters=asked.filters, before=asked.before, limit=asked.limit)
    sums, batch_id = add_up_entries(page.entries), asked.filters.batch_id
    facts = make_facts(
        tenant=seat.tenant.slug, timezone=seat.tenant.timezone, environment=asked.environment, period=asked.period
    ) | {
        "Filters": write_filters({**asked.texts, **({"batch_id": [str(batch_id)]} if batch_id else {})}),
        "Entries": f"{sums.count}; more were booked before them" if page.next else str(sums.count),
        "Entries without a price": str(sums.unpriced),
    }
    return answer_file(
        request,
        f"ledger-{seat.tenant.slug}",
        page="ledger",
        heading=COLUMNS,
        rows=([entry[column] for column in COLUMNS] for entry in page.entries),
        facts=facts,
    )


@require_safe
@member_required
def count_newer(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A fragment: how many entries were booked since the first one of the page, at most NEWER_MAX."""
    asked = _read_query(request, seat)
    after = _read_place(request.GET.get("than", ""))
    page = list_entries(tenant_id=seat.tenant.id, filters=asked.filters, limit=NEWER_MAX)
    newer = 0
    for entry in page.entries:
        if after and (entry["batch_id"], entry["line"]) <= (after.batch_id, after.line):
            break
        newer += 1
    query = request.GET.copy()
    query.pop("than", None)
    return render(request, "ledger/newer.html", {"newer": newer, "newer_max": NEWER_MAX, "query": query.urlencode()})


def _read_totals(asked: EntryQuery, seat: Seat) -> Quantities | None:
    """What all entries of the filter add up to; None where the rollups do not know."""
    filters = asked.rolled_up_filters
    if filters is None:
        return None
    start, end = asked.period.get_bounds(seat.tenant.timezone)
    query = CostQuery(seat.tenant.id, start, end, "total", seat.tenant.timezone, filters=filters)
    return get_costs(query).totals


def _link_trace(asked: EntryQuery, seat: Seat) -> str:
    """The page of the one trace that the entries are of; '' where they are of several, or of none."""
    trace_ids = asked.texts.get("trace_id", ())
    is_one = len(trace_ids) == 1 and trace_ids[0] and asked.before is None
    return make_link("trace", seat.link_query, trace_ids[0]) if is_one else ""


def _make_rows(entries: Sequence[Mapping[str, Any]], seat: Seat) -> list[dict[str, Any]]:
    return [
        {
            "entry": entry,
            "href": make_link("entry", seat.link_query, entry["id"]),
            "cache_write_tokens": entry["cache_write_tokens"] + entry["cache_write_1h_tokens"],
        }
        for entry in entries
    ]


def _read_query(request: HttpRequest, seat: Seat) -> EntryQuery:
    now: datetime = timezone.now()
    today = seat.get_today(now)
    return read_entry_query(request.GET, timezone=seat.tenant.timezone, today=today)


def _read_place(text: str) -> EntryCursor | None:
    try:
        return EntryCursor.read(text)
    except EntryIdInvalid:
        return None


def _add_filter(request: HttpRequest) -> str:
    """The address with the filter that the form named, once."""
    query = request.GET.copy()
    name = query.pop("add")[-1]
    value = query.pop("value", [""])[-1].strip()
    if value not in query.getlist(name):
        query.appendlist(name, value)
    return f"{request.path}?{query.urlencode()}"
