"""Views that people named: save, open, throw away."""

from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboards.access import Seat, member_required
from dashboards.frame import make_link
from dashboards.saved_views import ViewRefused, delete_view, get_view, save_view


@member_required
@require_POST
def keep_view(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Save the page that the form stands on, and go back to it."""
    query = QueryDict(request.POST.get("query", ""))
    try:
        view_id = save_view(
            seat,
            page=request.POST.get("page", ""),
            name=request.POST.get("name", ""),
            query=query,
            is_shared=request.POST.get("shared") == "yes",
            now=timezone.now(),
        )
    except ViewRefused as refused:
        raise BadRequest(str(refused)) from refused
    return redirect(get_view(seat, view_id).href)


@require_safe
@member_required
def open_view(request: HttpRequest, seat: Seat, view_id: UUID) -> HttpResponse:
    """Lead to the page with the view's query."""
    view = get_view(seat, view_id)
    if view is None:
        raise Http404
    return redirect(view.href)


@member_required
@require_POST
def discard_view(request: HttpRequest, seat: Seat, view_id: UUID) -> HttpResponse:
    """Throw away a view of one's own, and go to its page."""
    view = get_view(seat, view_id)
    if view is None or not delete_view(seat, view_id):
        raise Http404
    return redirect(make_link(view.page, seat.link_query))
