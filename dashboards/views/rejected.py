"""Events that could not be booked: found, corrected, tried and booked."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial, wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from alerts.quota import settle_reservations
from billing.core.wire import EVENT_BYTES_MAX
from billing.replays import (
    REPLAYED_AT_ONCE_MAX,
    ReplayedAlready,
    StillRefused,
    Verdict,
    replay_many,
    replay_rejected,
    try_rejected,
)
from dashboards.access import Seat, View, member_required
from dashboards.frame import list_hidden_fields, list_period_options, make_frame, make_link
from dashboards.rejected import (
    STATES,
    RejectedQuery,
    read_rejected_id,
    read_rejected_page,
    read_rejected_query,
    read_sent_event,
)
from ledger.partitions import ensure_partition
from ledger.rejected import Rejected, get_rejected
from ledger.selectors import get_entry

ACT = "rejected.replayed"
OUTCOMES = ("tried", "accepted", "duplicate", "conflict", "refused")


def books(view: View) -> View:
    """For a view that books by POST: the month's partition is there before the page's transaction begins."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST" and request.user.is_authenticated:
            ensure_partition(timezone.now())
        return view(request, *args, **kwargs)

    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@books
@member_required
def show_rejected(request: HttpRequest, seat: Seat) -> HttpResponse:
    """One page of rejected events by filter, newest first. By POST all of one code are tried again, by who may."""
    now = timezone.now()
    asked = read_rejected_query(request.GET, timezone=seat.tenant.timezone, today=seat.get_today(now))
    if request.method == "POST":
        return _replay_many(request, seat, asked, now=now)
    return render(
        request,
        "rejected/list.html",
        {
            "frame": make_frame(seat, current="rejected"),
            "asked": asked,
            "page": read_rejected_page(asked, seat=seat),
            "states": STATES,
            "filter_fields": list_hidden_fields(
                request.GET, without=("code", "key", "q", "state", "done", "after", "tried")
            ),
            "is_filtered": bool(set(request.GET) & {"code", "key", "q", "state", "period", "from", "to"}),
            "period_options": list_period_options(request.path, request.GET, current=asked.period, any_time=True),
            "period_fields": list_hidden_fields(request.GET, without=("period", "from", "to", "done", "after")),
            "period_label": asked.period.write() if asked.period else "any time",
            "may_send": seat.may_send,
            "outcome": _read_outcome(request, seat),
            "after": request.GET.get("after", ""),
            "replayed_at_once_max": REPLAYED_AT_ONCE_MAX,
            "here": make_link("rejected", seat.link_query),
            "timezone": seat.tenant.timezone,
        },
    )


def _replay_many(request: HttpRequest, seat: Seat, asked: RejectedQuery, *, now: datetime) -> HttpResponse:
    if not seat.may_send:
        raise PermissionDenied
    if request.POST.get("act") != "replay" or not asked.filters.code:
        raise BadRequest("what is replayed together has one code")
    replay = replay_many(
        tenant=seat.tenant,
        filters=asked.filters,
        after=read_rejected_id(request.POST.get("after", "")),
        actor=seat.actor,
        now=now,
    )
    _let_go(seat, replay.reservation_ids)
    query = request.GET.copy()
    for name in ("cursor", "after", "done", "tried"):
        query.pop(name, None)
    query["done"] = replay.act or "nothing"
    query["tried"] = str(replay.counts["tried"])
    if replay.more:
        query["after"] = str(replay.last)
    return redirect(f"{request.path}?{query.urlencode()}")


def _read_outcome(request: HttpRequest, seat: Seat) -> dict[str, Any] | None:
    """What became of those that were tried together, as the act in the ledger says it; None where none were."""
    done = request.GET.get("done", "")
    if done == "nothing":
        tried = request.GET.get("tried", "")
        return {"tried": int(tried) if tried.isascii() and tried.isdigit() and len(tried) < 5 else 0}
    entry = get_entry(tenant_id=seat.tenant.id, entry_id=done) if done else None
    if entry is None or entry["operation"] != ACT or "tried" not in entry["tags"]:
        return None
    facts = entry["tags"]
    return {
        **{name: int(facts[name]) for name in OUTCOMES},
        "batches": [make_link("ledger", seat.link_query | {"batch_id": each, "environment": "all"})
                    for each in facts["batches"].split()],
        "act_href": make_link("entry", seat.link_query, entry["id"]),
    }  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@books
@member_required
def show_rejected_event(request: HttpRequest, seat: Seat, rejected_id: UUID) -> HttpResponse:
    """One of them with what is wrong with it now. By POST a text is tried in its place, or booked, by who may."""
    rejected = get_rejected(tenant_id=seat.tenant.id, rejected_id=rejected_id)
    if rejected is None:
        raise Http404
    now = timezone.now()
    if request.method == "POST":
        return _mend(request, seat, rejected, now=now)
    return _render_event(request, seat, rejected, now=now)


def _mend(request: HttpRequest, seat: Seat, rejected: Rejected, *, now: datetime) -> HttpResponse:
    if not seat.may_send:
        raise PermissionDenied
    text = request.POST.get("text", "").replace("\r\n", "\n")
    if len(text) > EVENT_BYTES_MAX:
        raise BadRequest(f"an event has at most {EVENT_BYTES_MAX:,} bytes")
    match request.POST.get("act"):
        case "check":
            verdict = try_rejected(tenant=seat.tenant, rejected=rejected, text=text, now=now)
            return _render_event(request, seat, rejected, now=now, text=text, verdict=verdict)
        case "book":
            return _book(request, seat, rejected, text=text, now=now)
    raise BadRequest("an act is check or book")


def _book(request: HttpRequest, seat: Seat, rejected: Rejected, *, text: str, now: datetime) -> HttpResponse:
    try:
        result, reservation_id = replay_rejected(
            tenant=seat.tenant, rejected_id=rejected.id, text=text, actor=seat.actor, now=now
        )
    except StillRefused as refused:
        verdict = Verdict(problems=refused.problems)
        return _render_event(request, seat, rejected, now=now, text=text, verdict=verdict, status=422)
    except ReplayedAlready:
        return redirect(make_link("rejected_event", seat.link_query, rejected.id))
    _let_go(seat, [reservation_id] if reservation_id else [])
    query = seat.link_query | {"done": result.status, "entry": result.entry_id}
    return redirect(make_link("rejected_event", query, rejected.id))


def _let_go(seat: Seat, reservation_ids: Sequence[str]) -> None:
    """End what was held for calls that are booked once this page's transaction is."""
    if reservation_ids:
        settle = partial(settle_reservations, tenant_id=seat.tenant.id, reservation_ids=reservation_ids)
        transaction.on_commit(settle)


def _render_event(
    request: HttpRequest,
    seat: Seat,
    rejected: Rejected,
    *,
    now: datetime,
    text: str | None = None,
    verdict: Verdict | None = None,
    status: int = 200,
) -> HttpResponse:
    sent = read_sent_event(rejected, seat=seat, now=now)
    named = request.GET.get("entry", "") if rejected.replayed_at else ""
    booked = get_entry(tenant_id=seat.tenant.id, entry_id=named)
    # What was only tried has no entry that could be opened.
    kept = verdict.entry if verdict and verdict.result and verdict.result.status != "accepted" else booked
    return render(
        request,
        "rejected/event.html",
        {
            "frame": make_frame(seat, current="rejected"),
            "sent": sent,
            "rejected": rejected,
            "problems": verdict.problems if verdict else (),
            "verdict": verdict,
            "text": sent.pretty if text is None else text,
            "may_send": seat.may_send and not rejected.replayed_at,
            "booked": booked,
            "entry_href": make_link("entry", seat.link_query, kept["id"]) if kept else "",
            "done": request.GET.get("done", "") if booked else "",
            "here": make_link("rejected_event", seat.link_query, rejected.id),
            "list_href": make_link("rejected", seat.link_query),
            "alike_href": make_link("rejected", seat.link_query | {"code": rejected.code}),
            "address": settings.PUBLIC_URL,
            "now": now,
        },
        status=status,
    )
