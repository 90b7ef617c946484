"""Business drivers: how many orders, documents or seats a day had; added from a file or a form, listed, taken back."""

from datetime import datetime

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from billing.core.drivers import DriverValue, LineProblem, read_driver_lines
from billing.drivers import DriversRefused, DriverSummary, keep_drivers, sum_drivers, take_back_driver
from dashboards.access import Seat, member_required
from dashboards.frame import make_frame, make_link
from dashboards.rates.actors import name_actors

FILE_BYTES_MAX = 2_000_000
PROBLEMS_SHOWN = 50
DONE = {
    "kept": "{kept} {days} kept{unchanged}.",
    "taken": "{kept} {days} taken back: no figure counts them any more.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_drivers(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The drivers that there are. By POST a file or one value is added, or a driver is taken back."""
    if request.method != "POST":
        return _render(request, seat)
    if not seat.may_plan:
        raise Http404
    now = timezone.now()
    match request.POST.get("act"):
        case "upload":
            return _upload(request, seat, now=now)
        case "add":
            text = ",".join(_quote(request.POST.get(name, "")) for name in ("name", "day", "quantity"))
            return _keep(request, seat, text, now=now, filename="")
        case "take_back":
            name = request.POST.get("name", "")
            taken = take_back_driver(name, tenant_id=seat.tenant.id, actor=seat.actor, now=now)
            return redirect(make_link("showback_drivers", seat.link_query | {"done": "taken", "kept": taken}))
        case _:
            raise BadRequest("an act is upload, add or take_back")


def _upload(request: HttpRequest, seat: Seat, *, now: datetime) -> HttpResponse:
    file = request.FILES.get("file")
    if file is None:
        return _render(request, seat, refusal="Choose a file first.", status=422)
    if file.size > FILE_BYTES_MAX:
        return _render(request, seat, refusal=f"{file.name} has more than 2 MB: send it in parts.", status=413)
    try:
        text = file.read().decode("utf-8")
    except UnicodeDecodeError:
        return _render(request, seat, refusal=f"{file.name} is not UTF-8 text: save it as CSV UTF-8.", status=422)
    return _keep(request, seat, text, now=now, filename=file.name or "The file")


def _keep(request: HttpRequest, seat: Seat, text: str, *, now: datetime, filename: str) -> HttpResponse:
    """Keep every line, or none and say what is wrong with them."""
    values, problems = read_driver_lines(text)
    if problems:
        said = f"{filename or 'It'} was not taken, and nothing of it was kept."
        return _render(request, seat, refusal=said, problems=problems, is_file=bool(filename), status=422)
    if not values:
        return _render(request, seat, refusal=f"{filename} holds no line.", status=422)
    try:
        result = keep_drivers(_last_first(values), tenant_id=seat.tenant.id, actor=seat.actor, now=now)
    except DriversRefused as refused:
        return _render(request, seat, refusal=str(refused), status=422)
    counts = {"done": "kept", "kept": result.kept, "unchanged": result.unchanged}
    return redirect(make_link("showback_drivers", seat.link_query | counts))


def _last_first(values: list[DriverValue]) -> list[DriverValue]:
    """By name and day, in which order two requests wait for each other and do not deadlock."""
    return sorted(values, key=lambda value: (value.name, value.day))


def _quote(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _render(
    request: HttpRequest,
    seat: Seat,
    *,
    refusal: str = "",
    problems: list[LineProblem] | None = None,
    is_file: bool = True,
    status: int = 200,
) -> HttpResponse:
    found = problems or []
    drivers = sum_drivers(tenant_id=seat.tenant.id)
    context = {
        "frame": make_frame(seat, current="showback"),
        "drivers": drivers,
        "names": _name_keepers(drivers, seat),
        "timezone": seat.tenant.timezone,
        "may_keep": seat.may_plan,
        "here": make_link("showback_drivers", seat.link_query),
        "showback_href": make_link("showback", seat.link_query),
        "refusal": refusal,
        "problems": found[:PROBLEMS_SHOWN],
        "problems_more": max(0, len(found) - PROBLEMS_SHOWN),
        "is_file": is_file,
        "texts": {name: request.POST.get(name, "") for name in ("name", "day", "quantity")},
        "done": _say_done(request),
        "link_query": urlencode(seat.link_query),
    }
    return render(request, "showback/drivers.html", context, status=status)


def _name_keepers(drivers: list[DriverSummary], seat: Seat) -> dict[str, str]:
    """Whose word it was, for the operator's people; a tenant's are told numbers, and which of them they are."""
    named = name_actors(driver.kept_by for driver in drivers) if seat.is_operator else {}
    return named | {seat.actor: "you"}


def _say_done(request: HttpRequest) -> str:
    """What an address says that was done; '' where it says none."""
    said = request.GET.get("done", "")
    kept, unchanged = (request.GET.get(name, "0") for name in ("kept", "unchanged"))
    if said not in DONE or not (kept.isdecimal() and unchanged.isdecimal() and len(kept + unchanged) < 20):
        return ""
    also = f", {int(unchanged):,} known already" if int(unchanged) else ""
    return DONE[said].format(kept=f"{int(kept):,}", days="day" if int(kept) == 1 else "days", unchanged=also)
