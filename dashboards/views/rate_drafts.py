"""Rates on their way: listed, examined, and approved by a second person."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from billing import rates
from billing.core.rate_documents import RatesRefused
from billing.selectors.rate_drafts import get_rate_draft
from dashboards.access import Seat, rate_keeper_required
from dashboards.frame import make_frame, make_link
from dashboards.rates.differences import IDS_APART
from dashboards.rates.drafts import read_draft_list, read_draft_page

ID_MAX = 2**63 - 1
DONE = {
    "drafted": "The draft is kept. It prices nothing until it is published.",
    "edited": "The draft is changed.",
    "submitted": "It is submitted: a second person approves it or sends it back.",
    "commented": "Your comment stands in the history.",
    "returned": "It is a draft again, with its author.",
    "withdrawn": "It is withdrawn. It stays readable here.",
    "published": "It is published: every process prices by it within seconds.",
}
# An act of the page's form → the function that takes it, and what is done then.
STEPS: dict[str, tuple[Callable[..., Any], str]] = {
    "submit": (rates.submit_rate, "submitted"),
    "comment": (rates.comment_rate, "commented"),
    "return": (rates.return_rate, "returned"),
    "withdraw": (rates.withdraw_rate, "withdrawn"),
    "approve": (rates.approve_rate, "published"),
    "publish": (rates.publish_draft, "published"),
}
CONFIRMING = ("submit", "publish")
LOOKING = ("submit", "approve", "publish")


@require_safe
@rate_keeper_required
def show_rate_drafts(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The rates under way first, then those decided."""
    before_draft, before_act = (read_id(request.GET.get(name, "")) for name in ("before", "before_act"))
    return render(
        request,
        "rates/drafts.html",
        {
            "frame": make_frame(seat, current="rates"),
            "list": read_draft_list(seat=seat, before_draft=before_draft, before_act=before_act),
            "is_older": bool(before_draft or before_act),
            "four_eyes": settings.RATES_FOUR_EYES,
            "now": timezone.now(),
            "here": make_link("rate_drafts", seat.link_query),
            "rates_href": make_link("rates", seat.link_query),
            "new_href": make_link("new_rate", seat.link_query),
        },
    )


def read_id(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else None


# --- one rate ---


@require_http_methods(["GET", "HEAD", "POST"])
@rate_keeper_required
def show_rate_draft(request: HttpRequest, seat: Seat, rate_id: int) -> HttpResponse:
    """A rate in any state: what it changes, what was done to it, and by POST the next step."""
    if request.method == "POST":
        return _take_step(request, seat, rate_id)
    return _render_draft(request, seat, rate_id)


def _take_step(request: HttpRequest, seat: Seat, rate_id: int) -> HttpResponse:
    act = request.POST.get("act", "")
    if act not in STEPS:
        raise BadRequest("an act is one of " + ", ".join(STEPS))
    take, done = STEPS[act]
    given: dict[str, Any] = {"actor": seat.actor, "now": timezone.now(), "comment": read_comment(request.POST)}
    if act in CONFIRMING:
        given["confirmed"] = read_confirmed(request.POST)
    if act in LOOKING:
        given["seen"] = request.POST.get("seen", "")
    try:
        take(rate_id, **given)
    except rates.RateUnknown:
        raise Http404 from None
    except rates.RateStepRefused as refused:
        if refused.code == "rate_state" and _is_done(rate_id, done, seat):
            return redirect_to_draft(seat, rate_id, done)
        return _render_draft(request, seat, rate_id, refused=say_refusal(refused), status=409)
    except RatesRefused as refused:
        return _render_draft(request, seat, rate_id, refused=_say_problems(refused), status=400)
    return redirect_to_draft(seat, rate_id, done)


def _is_done(rate_id: int, done: str, seat: Seat) -> bool:
    """Whether the person did just that a moment ago: the button was pressed twice."""
    draft = get_rate_draft(rate_id)
    last = draft.acts[-1] if draft and draft.acts else None
    return last is not None and (last.act, last.actor) == (done, seat.actor)


def redirect_to_draft(seat: Seat, rate_id: int, done: str) -> HttpResponse:
    return redirect(make_link("rate_draft", seat.link_query | {"done": done}, rate_id))


def _render_draft(
    request: HttpRequest, seat: Seat, rate_id: int, *, refused: str = "", status: int = 200
) -> HttpResponse:
    now = timezone.now()
    if rate_id > ID_MAX:
        raise Http404
    confirmed = read_confirmed(request.POST)
    page = read_draft_page(rate_id, seat=seat, confirmed=confirmed, now=now)
    if page is None:
        raise Http404
    return render(
        request,
        "rates/draft.html",
        {
            "frame": make_frame(seat, current="rates"),
            "page": page,
            "draft": page.draft,
            "record": page.draft.record,
            "refused": refused,
            "comment": request.POST.get("comment", ""),
            "done": DONE.get(request.GET.get("done", ""), ""),
            "four_eyes": settings.RATES_FOUR_EYES,
            "now": now,
            "here": make_link("rate_draft", seat.link_query, rate_id),
            "edit_href": make_link("edit_rate", seat.link_query, rate_id),
            "again_href": make_link("new_rate", seat.link_query | {"from": rate_id}),
            "impact_href": make_link("rate_impact", seat.link_query, rate_id),
            "drafts_href": make_link("rate_drafts", seat.link_query),
            "rates_href": make_link("rates", seat.link_query),
        },
        status=status,
    )


def read_comment(form: QueryDict) -> str:
    """A browser ends lines with two characters, the ledger with one."""
    return form.get("comment", "").replace("\r\n", "\n").encode("utf-8", "replace").decode()


def read_confirmed(form: QueryDict) -> frozenset[str]:
    """The ids of the findings whose boxes are ticked."""
    return frozenset(each for box in form.getlist("confirmed") for each in box.split(IDS_APART))


def say_refusal(refused: rates.RateStepRefused) -> str:
    """A refusal as one sentence."""
    if refused.code == "rate_has_findings":
        errors = sum(finding.kind == "error" for finding in refused.findings)
        questions = len(refused.findings) - errors
        return " ".join(
            text
            for text, count in (
                ("Correct what is wrong with it first.", errors),
                ("Confirm each question by its box, or correct what it asks about.", questions),
            )
            if count
        )
    text = f"{refused}"
    return f"{text[:1].upper()}{text[1:]}."


def _say_problems(refused: RatesRefused) -> str:
    return " ".join(f"{problem}" for problem in refused.problems)
