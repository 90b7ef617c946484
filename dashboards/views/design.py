"""The style guide: every component as pages use it, with figures of nobody."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from dashboards.access import Seat, member_required
from dashboards.design import make_examples
from dashboards.frame import make_frame


@require_safe
@member_required
def show_design(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The page."""
    context = make_examples() | {
        "frame": make_frame(seat, current="design"),
        "views": (),
        "link_query": urlencode(seat.link_query),
    }
    return render(request, "design/page.html", context)
