"""The aliases of models."""

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from billing.aliases import AliasRefused, add_alias, remove_alias
from billing.core.alias_rules import AliasProblem, make_alias
from dashboards.access import Seat, member_required
from dashboards.frame import list_hidden_fields, list_period_options, make_frame, make_link
from dashboards.rates.aliases import preview_alias, read_alias_page
from dashboards.views.rates import read_rates_period

FIELDS = ("provider", "model", "means_provider", "means_model")
DONE = {
    "added": "The alias is added: what is booked from now on is priced by it.",
    "same": "The alias was there already. Nothing was changed.",
    "removed": "The alias is removed: what is booked from now on is priced by its own name.",
    "gone": "There was no such alias. Nothing was changed.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_rate_aliases(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The strings and their rules; with four names in the address, what an alias of them would do.

    By POST an alias is added or removed, by those who keep the rates.
    """
    if request.method == "POST":
        return _change(request, seat)
    return _render(request, seat, _read_texts(request.GET), ())


def _change(request: HttpRequest, seat: Seat) -> HttpResponse:
    if not seat.may_edit_rates:
        raise PermissionDenied
    texts, now = _read_texts(request.POST), timezone.now()
    match request.POST.get("act"):
        case "add":
            try:
                done = "added" if add_alias(make_alias(**texts), actor=seat.actor, now=now) else "same"
            except AliasRefused as refused:
                return _render(request, seat, texts, refused.problems, status=422)
        case "remove":
            sent = make_alias(**texts).sent
            done = "removed" if remove_alias(sent, actor=seat.actor, now=now) else "gone"
        case _:
            raise BadRequest("an act is add or remove")
    return redirect(make_link("rate_aliases", seat.link_query | {"done": done}))


def _read_texts(query: QueryDict) -> dict[str, str]:
    return {name: query.get(name, "").strip() for name in FIELDS}


def _render(
    request: HttpRequest,
    seat: Seat,
    texts: dict[str, str],
    problems: tuple[AliasProblem, ...],
    *,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    period, problem = read_rates_period(request.GET, seat, now=now)
    page = read_alias_page(seat=seat, period=period, now=now)
    preview = None
    if seat.may_edit_rates and not problems and all(texts.values()):
        preview = preview_alias(make_alias(**texts), page=page, now=now)
        problems = tuple(preview.examination.problems)
    return render(
        request,
        "rates/aliases.html",
        {
            "frame": make_frame(seat, current="rates"),
            "page": page,
            "texts": texts,
            "wrong": {each.field: each.text for each in problems},
            "preview": None if problems else preview,
            "may_edit": seat.may_edit_rates,
            "done": DONE.get(request.GET.get("done", ""), ""),
            "period": period,
            "problem": problem,
            "now": now,
            "period_options": list_period_options(request.path, request.GET, current=period),
            "period_fields": list_hidden_fields(request.GET, without=("period", "from", "to", "done")),
            "link_query": seat.link_query,
            "here": make_link("rate_aliases", seat.link_query),
            "rates_href": make_link("rates", seat.link_query),
        },
        status=status,
    )
