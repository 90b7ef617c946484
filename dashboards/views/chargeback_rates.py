"""Rates of exchange, and the currency that a tenant is billed in."""

from datetime import datetime, timedelta

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from chargeback.billing_currency import CurrencyRefused, get_billing_currency, set_billing_currency
from chargeback.core.exchange import CURRENCIES
from chargeback.core.fx_lines import FxProblem, read_rate_fields, read_rate_lines
from chargeback.core.rule_terms import read_month
from chargeback.exchange_rates import enter_rates, list_rates
from dashboards.access import Seat, member_required
from dashboards.frame import make_frame, make_link
from dashboards.rates.actors import name_actors

FILE_BYTES_MAX = 2_000_000
PROBLEMS_SHOWN = 50
DAYS_SHOWN = 100
FIELDS = ("currency", "day", "rate", "source")
DONE = {"entered": "The rates are entered.", "same": "All of it was known already.", "set": "The currency is set."}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_chargeback_rates(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The rates of the last days. By POST some are entered, one by one or from a file, or the currency is set."""
    now = timezone.now()
    if request.method != "POST":
        return _render(request, seat, now=now)
    if not seat.may_charge:
        raise Http404
    match request.POST.get("act"):
        case "add":
            problems: list[FxProblem] = []
            fields = {name: request.POST.get(name, "") for name in FIELDS}
            rate = read_rate_fields(1, fields, problems)
            return _enter(request, seat, [rate] if rate else [], problems, is_file=False, now=now)
        case "upload":
            return _upload(request, seat, now=now)
        case "currency":
            return _set_currency(request, seat, now=now)
        case _:
            raise BadRequest("an act is add, upload or currency")


def _upload(request: HttpRequest, seat: Seat, *, now: datetime) -> HttpResponse:
    file = request.FILES.get("file")
    if file is None:
        return _render(request, seat, refusal="Choose a file first.", status=422, now=now)
    if file.size > FILE_BYTES_MAX:
        refusal = f"{file.name} has more than 2 MB: send it in parts."
        return _render(request, seat, refusal=refusal, status=413, now=now)
    try:
        rates, problems = read_rate_lines(file.read().decode("utf-8"))
    except UnicodeDecodeError:
        refusal = f"{file.name} is not UTF-8 text: save it as CSV UTF-8."
        return _render(request, seat, refusal=refusal, status=422, now=now)
    return _enter(request, seat, rates, problems, is_file=True, now=now)


def _enter(
    request: HttpRequest, seat: Seat, rates: list, problems: list[FxProblem], *, is_file: bool, now: datetime
) -> HttpResponse:
    if problems or not rates:
        refusal = "Nothing was entered." if problems else "The file holds no line."
        return _render(request, seat, refusal=refusal, problems=problems, is_file=is_file, status=422, now=now)
    entering = enter_rates(rates, actor=seat.actor, now=now)
    return _lead_on(seat, "entered" if entering.entered else "same")


def _set_currency(request: HttpRequest, seat: Seat, *, now: datetime) -> HttpResponse:
    try:
        month = read_month(request.POST.get("valid_from", ""))
        currency = request.POST.get("currency", "").strip().upper()
        set_billing_currency(currency, month=month, tenant_id=seat.tenant.id, actor=seat.actor, now=now)
    except CurrencyRefused as refused:
        return _render(request, seat, refusal=f"The currency {refused}.", status=422, now=now)
    except ValueError as error:
        return _render(request, seat, refusal=f"From {error}.", status=422, now=now)
    return _lead_on(seat, "set")


def _lead_on(seat: Seat, done: str) -> HttpResponse:
    return redirect(make_link("chargeback_rates", seat.link_query | {"done": done}))


def _render(
    request: HttpRequest,
    seat: Seat,
    *,
    now: datetime,
    refusal: str = "",
    problems: list[FxProblem] | None = None,
    is_file: bool = True,
    status: int = 200,
) -> HttpResponse:
    found, today = problems or [], now.date()
    rates = list_rates(first=today - timedelta(days=DAYS_SHOWN), after=today + timedelta(days=DAYS_SHOWN))
    month = today.replace(day=1)
    context = {
        "frame": make_frame(seat, current="chargeback"),
        "rates": rates,
        "days_shown": DAYS_SHOWN,
        "names": name_actors(rate.entered_by for rate in rates) if seat.is_operator else {},
        "billed": get_billing_currency(tenant_id=seat.tenant.id, month=month),
        "currencies": sorted(CURRENCIES),
        "month": month,
        "may_charge": seat.may_charge,
        "refusal": refusal,
        "problems": found[:PROBLEMS_SHOWN],
        "problems_more": max(0, len(found) - PROBLEMS_SHOWN),
        "is_file": is_file,
        "texts": {name: request.POST.get(name, "") for name in (*FIELDS, "valid_from")},
        "done": DONE.get(request.GET.get("done", ""), ""),
        "here": make_link("chargeback_rates", seat.link_query),
        "chargeback_href": make_link("chargeback", seat.link_query),
    }
    return render(request, "chargeback/rates.html", context, status=status)
