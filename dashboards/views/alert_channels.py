"""Channels of alerts: all of them, one's form, a new one's secret; and the log of what was sent by them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from alerts.channels import (
    Channel,
    ChannelUnknown,
    change_channel,
    create_channel,
    get_channel,
    list_channels,
    list_schemes,
    remove_channel,
    rotate_secret,
    send_test,
)
from alerts.core.budgets import describe_scope
from alerts.core.channels import ChannelProblem, ChannelRefused, read_terms
from alerts.core.routing import KINDS
from alerts.deliveries import DeliveryUnknown, retry_delivery
from alerts.inbox import list_deliveries
from dashboards.access import Seat, member_required
from dashboards.alerts.channel_form import (
    HOURS,
    KIND_WORDS,
    SEVERITY_WORDS,
    TARGET_EXAMPLES,
    TARGET_WORDS,
    make_document,
    place_problems,
    read_texts,
    start_texts,
    write_texts,
)
from dashboards.alerts.episode import list_delivery_rows
from dashboards.frame import check_texts, make_frame, make_link

STATES = {"": "all", "waiting": "waiting", "dead": "given up", "delivered": "delivered", "withheld": "not sent"}
DELIVERIES_SHOWN = 100
DONE = {
    "changed": "The channel is changed, for what is sent from now on.",
    "removed": "The channel is removed: nothing is sent by it any more, and where it led is forgotten.",
    "tested": "A test is on its way. What became of it stands among the deliveries within seconds.",
    "retried": "It is tried again, under the same id.",
    "gone": "There was no such delivery that was given up. Nothing was changed.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_channels(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Every channel. By POST one is tested."""
    if request.method == "POST":
        return _send_test(request, seat)
    channels = list_channels(tenant_id=seat.tenant.id)
    context = _make_context(request, seat) | {
        "rows": [
            {
                "channel": channel,
                "kind": KIND_WORDS[channel.kind],
                "takes": SEVERITY_WORDS[channel.severity_min],
                "scope": describe_scope(channel.scope) if channel.scope else "",
                "href": make_link("alert_channel", seat.link_query, channel.id),
            }
            for channel in channels
        ],
        "has_relay": bool(settings.EMAIL_HOST),
        "has_mail": any(channel.kind == "email" for channel in channels),
        "kinds": [
            (KIND_WORDS[kind], make_link("alert_channel_new", seat.link_query | {"kind": kind})) for kind in KINDS
        ],
    }
    return render(request, "alerts/channels.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_new_channel(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The form of a new channel; by POST it is made, and a webhook's secret shown by that one answer."""
    _require_keeper(seat)
    kind = request.GET.get("kind", "email")
    if kind not in KINDS:
        raise BadRequest(f"kind is one of {', '.join(KINDS)}")
    if request.method != "POST":
        return _render_form(request, seat, start_texts(kind))
    check_texts(request.POST)
    texts = read_texts(request.POST, kind)
    try:
        terms = read_terms(make_document(texts), schemes=list_schemes())
        channel, secret = create_channel(terms, tenant_id=seat.tenant.id, actor=seat.actor, now=timezone.now())
    except ChannelRefused as refused:
        return _render_form(request, seat, texts, problems=refused.problems)
    return _render_made(request, seat, channel, secret)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_channel(request: HttpRequest, seat: Seat, channel_id: int) -> HttpResponse:
    """The form of one channel, for who may change it. By POST it is changed, given a new secret, or removed."""
    _require_keeper(seat)
    try:
        channel = get_channel(tenant_id=seat.tenant.id, channel_id=channel_id)
        if request.method == "POST":
            check_texts(request.POST)
            return _change(request, seat, channel)
    except ChannelUnknown:
        raise Http404 from None
    return _render_form(request, seat, write_texts(channel), channel=channel)


def _change(request: HttpRequest, seat: Seat, channel: Channel) -> HttpResponse:
    named: dict[str, Any] = {
        "tenant_id": seat.tenant.id, "channel_id": channel.id, "actor": seat.actor, "now": timezone.now(),
    }  # fmt: skip
    texts = read_texts(request.POST, channel.kind)
    try:
        match request.POST.get("act"):
            case "change":
                hidden = {name: value for name, value in channel.scope.items() if name not in texts}
                document = make_document(texts, other_scope=hidden)
                change_channel(read_terms(document, schemes=list_schemes(), needs_settings=False), **named)
                done = "changed"
            case "rotate":
                return _render_made(request, seat, channel, rotate_secret(**named), is_new=False)
            case "remove":
                remove_channel(**named)
                done = "removed"
            case _:
                raise BadRequest("an act is change, rotate or remove")
    except ChannelRefused as refused:
        return _render_form(request, seat, texts, channel=channel, problems=refused.problems)
    return redirect(make_link("alert_channels", seat.link_query | {"done": done}))


def _send_test(request: HttpRequest, seat: Seat) -> HttpResponse:
    _require_keeper(seat)
    number = request.POST.get("channel", "")
    if not number.isascii() or not number.isdigit():
        raise BadRequest("channel is a number")
    try:
        send_test(tenant_id=seat.tenant.id, channel_id=int(number), actor=seat.actor, now=timezone.now())
    except ChannelUnknown:
        raise Http404 from None
    except ChannelRefused as refused:
        raise BadRequest(str(refused)) from None
    return redirect(make_link("alert_deliveries", seat.link_query | {"done": "tested"}))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_deliveries(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What was sent lately, with each attempt. By POST one that was given up is tried again."""
    if request.method == "POST":
        return _retry(request, seat)
    state = request.GET.get("state", "")
    if state not in STATES:
        raise BadRequest(f"state is one of {', '.join(filter(None, STATES))}")
    tenant_id = seat.tenant.id
    deliveries = list_deliveries(tenant_id=tenant_id, states=[state] if state else [], limit=DELIVERIES_SHOWN + 1)
    context = _make_context(request, seat) | {
        "rows": list_delivery_rows(deliveries[:DELIVERIES_SHOWN]),
        "has_more": len(deliveries) > DELIVERIES_SHOWN,
        "dead_count": len(list_deliveries(tenant_id=tenant_id, states=["dead"])),
        "state": state,
        "states": [(name, words, make_link("alert_deliveries", seat.link_query | ({"state": name} if name else {})))
                   for name, words in STATES.items()],
        "kind_words": KIND_WORDS,
    }  # fmt: skip
    return render(request, "alerts/deliveries.html", context)


def _retry(request: HttpRequest, seat: Seat) -> HttpResponse:
    _require_keeper(seat)
    try:
        delivery_id = UUID(request.POST.get("delivery", ""))
    except ValueError:
        raise BadRequest("delivery is a UUID") from None
    try:
        retry_delivery(tenant_id=seat.tenant.id, delivery_id=delivery_id, actor=seat.actor, now=timezone.now())
        done = "retried"
    except DeliveryUnknown:
        done = "gone"
    return redirect(make_link("alert_deliveries", seat.link_query | {"done": done}))


def _require_keeper(seat: Seat) -> None:
    if not seat.may_keep_channels:
        raise PermissionDenied


def _render_form(
    request: HttpRequest,
    seat: Seat,
    texts: dict[str, str],
    *,
    channel: Channel | None = None,
    problems: Sequence[ChannelProblem] = (),
) -> HttpResponse:
    wrong, unplaced = place_problems(problems)
    context = _make_context(request, seat) | {
        "channel": channel,
        "texts": texts,
        "wrong": wrong,
        "unplaced": unplaced,
        "has_problems": bool(problems),
        "kind_word": KIND_WORDS[texts["kind"]],
        "target_word": TARGET_WORDS[texts["kind"]],
        "target_example": f"{channel.target}: type to replace it" if channel else TARGET_EXAMPLES[texts["kind"]],
        "severities": SEVERITY_WORDS,
        "hours": [(str(hour), f"{hour:02}:00") for hour in HOURS],
        "here": request.get_full_path(),
    }
    return render(request, "alerts/channel_form.html", context, status=422 if problems else 200)


def _render_made(
    request: HttpRequest, seat: Seat, channel: Channel, secret: str, *, is_new: bool = True
) -> HttpResponse:
    """The only page that ever holds a webhook's secret."""
    context = _make_context(request, seat) | {
        "channel": channel, "secret": secret, "is_new": is_new, "kind_word": KIND_WORDS[channel.kind],
    }  # fmt: skip
    return render(request, "alerts/channel_made.html", context)


def _make_context(request: HttpRequest, seat: Seat) -> dict[str, Any]:
    return {
        "frame": make_frame(seat, current="alerts"),
        "may_keep": seat.may_keep_channels,
        "timezone": seat.tenant.timezone,
        "now": timezone.now(),
        "done": DONE.get(request.GET.get("done", ""), ""),
        "alerts_href": make_link("alerts", seat.link_query),
        "channels_href": make_link("alert_channels", seat.link_query),
        "deliveries_href": make_link("alert_deliveries", seat.link_query),
    }
