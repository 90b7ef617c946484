"""Events that could not be booked."""

from uuid import UUID

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboards.access import Seat, member_required
from dashboards.frame import make_frame
from ledger.rejected import list_rejected

REJECTED_PER_PAGE = 50


@require_safe
@member_required
def show_rejected(request: HttpRequest, seat: Seat) -> HttpResponse:
    """One page of rejected events, newest first."""
    before = _read_place(request)
    events = list_rejected(tenant_id=seat.tenant.id, before=before, limit=REJECTED_PER_PAGE + 1)
    shown = events[:REJECTED_PER_PAGE]
    return render(
        request,
        "rejected/list.html",
        {
            "frame": make_frame(seat, current="rejected"),
            "events": shown,
            "next": shown[-1].id if len(events) > len(shown) else None,
            "is_first_page": before is None,
            "address": settings.PUBLIC_URL,
        },
    )


def _read_place(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.GET["cursor"]) if request.GET.get("cursor") else None
    except ValueError as error:
        raise BadRequest("a place is a UUID") from error
