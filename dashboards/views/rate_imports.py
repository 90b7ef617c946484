"""The review of imported rates: looked at by anybody who keeps the rates, accepted by a click, or by two."""

from datetime import UTC, datetime, time

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods

from billing.core.rate_documents import Problem, RatesRefused
from billing.rates import (
    IMPORTED,
    UPLOAD_BYTES_MAX,
    Acceptance,
    ImportRefused,
    ImportSource,
    accept_differences,
    end_gone,
    keep_upload,
    read_source,
    withdraw_ending,
)
from dashboards.access import Seat, rate_keeper_required
from dashboards.frame import make_frame, make_link, read_number
from dashboards.rates.imports import ReviewFilters, read_filters, read_review

PROBLEMS_SHOWN = 50


@require_http_methods(["GET", "HEAD", "POST"])
@rate_keeper_required
def show_rate_import(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The differences of one source, the pinned genai-prices unless an upload is named.

    By POST a file is sent, one difference or all that the filters leave are accepted, or ended where they are gone.
    """
    now = timezone.now()
    if request.method != "POST":
        return _render(request, seat, _get_source(request.GET.get("source", IMPORTED)), read_filters(request.GET))
    if request.POST.get("act") == "upload":
        return _upload(request, seat, now=now)
    source, filters = _get_source(request.POST.get("source", IMPORTED)), read_filters(request.POST)
    try:
        done, result = _take_act(request, seat, source, filters, now=now)
    except ImportRefused as refused:
        return _render(request, seat, source, filters, refusal=str(refused), status=422)
    except RatesRefused as refused:
        return _render(
            request, seat, source, filters, refusal="Nothing was accepted.", problems=refused.problems, status=422
        )
    counts = {name: count for name in Acceptance.__slots__ if (count := getattr(result, name))}
    said = {} if source.key == IMPORTED else {"source": source.key}
    return redirect(make_link("rate_import", seat.link_query | said | filters.query | {"done": done} | counts))


def _take_act(
    request: HttpRequest, seat: Seat, source: ImportSource, filters: ReviewFilters, *, now: datetime
) -> tuple[str, Acceptance]:
    """What was asked for of the one row, or of all that the filters leave: of so many as the page had shown."""
    act, row = request.POST.get("act"), request.POST.get("row", "")
    review = read_review(source, filters=filters, page=1, seat=seat, now=now)
    match act:
        case "accept":
            asked = review.asked if request.POST.get("asked") else frozenset()
            ids = {row} if row else _check_count(request, review.acceptable) | asked
            return "accepted", accept_differences(source, ids, actor=seat.actor, now=now)
        case "end":
            ids = {row} if row else _check_count(request, review.endable)
            ends_at = _read_end(request, now=now)
            return "ended", end_gone(source, ids, ends_at=ends_at, actor=seat.actor, now=now)
        case "keep":
            return "kept", Acceptance(published=withdraw_ending(source, {row}, actor=seat.actor, now=now))
        case _:
            raise BadRequest("an act is accept, end, keep or upload")


def _check_count(request: HttpRequest, ids: frozenset[str]) -> set[str]:
    """One click accepts what was shown: where that is another number by now, it accepts nothing."""
    if len(ids) != read_number(request.POST, "count"):
        raise ImportRefused(f"What these filters leave has changed to {len(ids):,}: look again, then accept.")
    return set(ids)


def _read_end(request: HttpRequest, *, now: datetime) -> datetime:
    """A day's beginning in UTC; today is now."""
    try:
        day = parse_date(request.POST.get("ends_on", ""))
    except ValueError:
        day = None
    if day is None:
        raise ImportRefused("Say on which day it ends.")
    return now if day == now.date() else datetime.combine(day, time(), UTC)


def _upload(request: HttpRequest, seat: Seat, *, now: datetime) -> HttpResponse:
    file = request.FILES.get("file")
    source, filters = _get_source(IMPORTED), ReviewFilters("", "", "")
    if file is None:
        return _render(request, seat, source, filters, refusal="Choose a file first.", status=422)
    if file.size > UPLOAD_BYTES_MAX:
        said = f"{file.name} has more than {UPLOAD_BYTES_MAX >> 20} MB: send it in parts, or use import_rates."
        return _render(request, seat, source, filters, refusal=said, status=413)
    try:
        # Windows begins a text with a mark that is no part of it.
        number = keep_upload(file.read().decode("utf-8-sig"), name=file.name or "file", actor=seat.actor, now=now)
    except UnicodeDecodeError:
        return _render(request, seat, source, filters, refusal=f"{file.name} is not UTF-8 text.", status=422)
    except RatesRefused as refused:
        said = f"{file.name} was not taken: it has {len(refused.problems):,} faults."
        return _render(request, seat, source, filters, refusal=said, problems=refused.problems, status=422)
    return redirect(make_link("rate_import", seat.link_query | {"source": number}))


def _get_source(key: str) -> ImportSource:
    source = read_source(key)
    if source is None:
        raise Http404
    return source


def _render(
    request: HttpRequest,
    seat: Seat,
    source: ImportSource,
    filters: ReviewFilters,
    *,
    refusal: str = "",
    problems: tuple[Problem, ...] = (),
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    page = read_number(request.GET, "page") if "page" in request.GET else 1
    review = read_review(source, filters=filters, page=page, seat=seat, now=now)
    return render(
        request,
        "rates/import.html",
        {
            "frame": make_frame(seat, current="rates"),
            "review": review,
            "source": source,
            "filters": filters,
            "is_pinned": source.key == IMPORTED,
            "brought_by": review.names.get(source.brought_by, ""),
            "now": now,
            "today": now.date(),
            "done": request.GET.get("done", ""),
            "result": _read_result(request),
            "refusal": refusal,
            "problems": problems[:PROBLEMS_SHOWN],
            "problems_left": len(problems[PROBLEMS_SHOWN:]),
            "upload_megabytes": UPLOAD_BYTES_MAX >> 20,
            "link_query": seat.link_query,
            "here": make_link("rate_import", seat.link_query),
            "pinned_href": make_link("rate_import", seat.link_query),
            "rates_href": make_link("rates", seat.link_query),
            "drafts_href": make_link("rate_drafts", seat.link_query),
        },
        status=status,
    )


def _read_result(request: HttpRequest) -> Acceptance:
    """What the act that led here came to."""
    names = [name for name in Acceptance.__slots__ if name in request.GET]
    return Acceptance(**{name: read_number(request.GET, name) for name in names})
