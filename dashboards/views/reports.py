"""Reports by mail: who gets them, and a look at the latest."""

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from chargeback.core.reports.periods import CADENCES, find_period
from chargeback.core.reports.terms import SubscriptionRefused, read_terms
from chargeback.reports.mail import write_mail
from chargeback.reports.subscriptions import (
    SubscriptionUnknown,
    end_subscription,
    get_subscription,
    send_test,
    subscribe,
)
from dashboards.access import Seat, member_required
from dashboards.frame import check_texts, make_frame, make_link, read_number
from dashboards.reports import ME, list_abouts, list_previews, list_rows, make_document, may_change, read_texts

# A mail's styles stand in it; of scripts, pictures and other sites it has nothing to ask.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
DONE = {
    "subscribed": "The subscription is made. The first report goes out when the next one is due.",
    "again": "That subscription was there already. Nothing was changed.",
    "ended": "The subscription is ended, and an address that it had is forgotten.",
    "tested": "The latest report is on its way, as a test. What became of it stands below within a minute.",
    "gone": "There was no such subscription. Nothing was changed.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_reports(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The subscriptions, and the form of a new one. By POST one is made, ended or tested, by who may."""
    if request.method != "POST":
        return _render(request, seat, read_texts(request.GET))
    check_texts(request.POST)
    match request.POST.get("act"):
        case "subscribe":
            return _subscribe(request, seat)
        case "end" | "test":
            return _change(request, seat)
    raise BadRequest("an act is subscribe, end or test")


def _subscribe(request: HttpRequest, seat: Seat) -> HttpResponse:
    texts = read_texts(request.POST)
    try:
        terms = read_terms(make_document(texts, seat))
        _, is_new = subscribe(terms, tenant_id=seat.tenant.id, actor=seat.actor, now=timezone.now())
    except SubscriptionRefused as refused:
        wrong = {problem.field.partition(".")[0]: problem.detail for problem in refused.problems}
        return _render(request, seat, texts, wrong=wrong, status=422)
    return redirect(make_link("reports", seat.link_query | {"done": "subscribed" if is_new else "again"}))


def _change(request: HttpRequest, seat: Seat) -> HttpResponse:
    named = {"tenant_id": seat.tenant.id, "subscription_id": read_number(request.POST, "subscription")}
    try:
        if not may_change(seat, get_subscription(**named)):
            raise PermissionDenied
        if request.POST["act"] == "end":
            end_subscription(**named, actor=seat.actor, now=timezone.now())
            done = "ended"
        else:
            send_test(**named, actor=seat.actor, now=timezone.now())
            done = "tested"
    except SubscriptionUnknown:
        done = "gone"
    return redirect(make_link("reports", seat.link_query | {"done": done}))


def _render(
    request: HttpRequest,
    seat: Seat,
    texts: dict[str, str],
    *,
    wrong: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    context = {
        "frame": make_frame(seat, current="reports"),
        "rows": list_rows(seat, now=now),
        "previews": list_previews(seat, now=now),
        "texts": texts,
        "wrong": {field: f"{told[:1].upper()}{told[1:]}." for field, told in (wrong or {}).items()},
        "cadences": CADENCES,
        "abouts": list_abouts(),
        "me": ME,
        "may_subscribe_others": seat.may_keep_channels,
        "email": seat.email,
        "has_relay": bool(settings.EMAIL_HOST),
        "done": DONE.get(request.GET.get("done", ""), ""),
        "here": make_link("reports", seat.link_query),
        "keys_href": make_link("keys", seat.link_query),
        "timezone": seat.tenant.timezone,
        "now": now,
    }
    return render(request, "reports/page.html", context, status=status)


@require_safe
@member_required
def preview_report(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The latest report as its mail shows it, of all the tenant or of one cost centre or feature."""
    check_texts(request.GET)
    cadence = request.GET.get("cadence", CADENCES[0])
    try:
        scope = {name: request.GET[name] for name in ("cost_center", "feature") if name in request.GET}
        terms = read_terms({"cadence": cadence, "person": seat.user_id, "scope": scope})
    except SubscriptionRefused as refused:
        raise BadRequest(str(refused)) from None
    now = timezone.now()
    period = find_period(terms.cadence, now=now, timezone=seat.tenant.timezone)
    written = write_mail(tenant=seat.tenant, period=period, scope=terms.scope, now=now)
    if request.GET.get("form") == "text":
        return HttpResponse(written.text, content_type="text/plain; charset=utf-8")
    response = HttpResponse(written.html)
    response["Content-Security-Policy"] = MAIL_POLICY
    return response
