"""The search of every page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboards.access import Seat, member_required
from dashboards.frame import make_frame, make_link
from dashboards.search import SEEN_DAYS, find_id, find_names, find_statement


@require_safe
@member_required
def find_anything(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Lead to what has this id, or the one thing of this name; else list what is called so."""
    wanted = request.GET.get("q", "").strip()
    now = timezone.now()
    if wanted and (href := find_id(seat, wanted) or find_statement(seat, wanted, now=now)):
        return redirect(href)
    hits = find_names(seat, wanted, now=now) if wanted else []
    if len(hits) == 1:
        return redirect(hits[0].href)
    context = {
        "frame": make_frame(seat, current="find"),
        "wanted": wanted,
        "hits": hits,
        "seen_days": SEEN_DAYS,
        "ledger_href": make_link("ledger", seat.link_query),
    }
    return render(request, "search/results.html", context, status=200 if hits else 404)
