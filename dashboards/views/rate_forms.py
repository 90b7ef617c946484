"""The form of a rate: filled in, examined meanwhile, and kept as a draft."""

from hashlib import sha256

from django.conf import settings
from django.core.exceptions import BadRequest
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from billing import rates
from billing.core.rate_documents import RateDocument, RatesRefused, canonical_json
from billing.selectors.rate_drafts import RateDraft, get_rate_draft
from dashboards.access import Seat, rate_keeper_required
from dashboards.core.rate_forms import (
    FieldProblem,
    RateFields,
    ReadRate,
    ask_source,
    fill_fields,
    read_fields,
    read_rate_form,
    read_rate_text,
    write_rate,
    write_rate_text,
)
from dashboards.frame import make_frame, make_link
from dashboards.rates.differences import RateCheck, check_document
from dashboards.rates.form import (
    COMPARISONS,
    CONTEXT_SCOPES,
    MATCHES,
    METERS,
    MORE_ROWS,
    QUANTITY_SCOPES,
    SPARE_ROWS,
    FormStart,
    show_form,
    start_form,
    start_from_draft,
)
from dashboards.views.rate_drafts import (
    ID_MAX,
    read_comment,
    read_confirmed,
    read_id,
    redirect_to_draft,
    say_refusal,
)


@require_http_methods(["GET", "HEAD", "POST"])
@rate_keeper_required
def show_new_rate(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The form of a new version; by POST it becomes a draft."""
    if request.method == "POST":
        return _keep(request, seat, None)
    start = _find_start(request.GET, seat)
    read = read_rate_form(fill_fields(start.rate))
    if start.record is None:  # nobody is told what is wrong with a form that was not filled in
        read = ReadRate(read.fields, None, ())
    return _render_form(request, seat, None, read, start=start)


@require_http_methods(["GET", "HEAD", "POST"])
@rate_keeper_required
def edit_rate_draft(request: HttpRequest, seat: Seat, rate_id: int) -> HttpResponse:
    """The form of a draft; by POST it is changed."""
    draft = get_rate_draft(rate_id) if rate_id <= ID_MAX else None
    if draft is None:
        raise Http404
    if request.method == "POST":
        return _keep(request, seat, draft)
    if draft.record.state != "draft" or draft.document is None:
        return redirect(make_link("rate_draft", seat.link_query, rate_id))
    read = read_rate_form(fill_fields(write_rate(draft.document)))
    return _render_form(request, seat, draft, read)


@rate_keeper_required
@require_POST
def check_rate(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What the form would do as it stands, while it is filled in; keeps nothing."""
    read = read_rate_form(_read_sent(request.POST))
    number = read_id(request.POST.get("rate", ""))
    check, problems = _check(read, request.POST, get_rate_draft(number) if number else None)
    form = show_form(ReadRate(read.fields, read.document, [*read.problems, *problems]), as_sent=True)
    hints = [(each, text) for each, text in form.hints if "-" in each or each in request.POST]
    return render(request, "rates/check.html", {"form": form, "check": check, "hints": hints})


def _find_start(query: QueryDict, seat: Seat) -> FormStart:
    """With which prices the form begins, by the address. Raises Http404 for another rate's number that is none."""
    now = timezone.now()
    names = {name: query.get(name, "").strip() for name in ("provider", "model", "tier", "region")}
    if any("\0" in name for name in names.values()):
        raise BadRequest("a name with a NUL character")
    if "from" in query:
        number = read_id(query["from"])
        draft = get_rate_draft(number) if number else None
        if draft is None:
            raise Http404
        return start_from_draft(draft, now=now)
    return start_form(
        seat=seat, provider=names["provider"], model=names["model"], service_tier=names["tier"],
        region=names["region"], now=now,
    )  # fmt: skip


def _read_sent(form: QueryDict) -> RateFields:
    return read_fields({name: [value.replace("\0", "") for value in values] for name, values in form.lists()})


def _keep(request: HttpRequest, seat: Seat, draft: RateDraft | None) -> HttpResponse:
    """Keep what was sent, submit it where that was asked, or show it again with what is wrong with it."""
    match request.POST.get("act"):
        case "text":
            return _keep_text(request, seat, draft)
        case "check" | "more":
            read = read_rate_form(_read_sent(request.POST))
            spare = MORE_ROWS if request.POST["act"] == "more" else SPARE_ROWS
            return _render_form(request, seat, draft, read, spare=spare)
        case "draft" | "submit":
            read = ask_source(read_rate_form(_read_sent(request.POST)))
        case _:
            raise BadRequest("an act is draft, submit, check, more or text")
    if _is_text_changed(request.POST):
        problems = [FieldProblem("document", "document", "was changed and not read. Read it into the form first.")]
        return _render_form(
            request, seat, draft, read, text=request.POST["document"], text_problems=problems, status=400
        )
    if read.document is None:
        return _render_form(request, seat, draft, read, status=400)
    try:
        rate_id, done = _write(request, seat, draft, read.document)
    except rates.RateStepRefused as refused:
        if draft and _is_kept(draft.record.id, read.document, seat, request.POST["act"]):
            return redirect_to_draft(seat, draft.record.id, "edited" if request.POST["act"] == "draft" else "submitted")
        return _render_form(request, seat, draft, read, refused=say_refusal(refused), status=409)
    except RatesRefused as refused:
        problems = [FieldProblem("for", each.path, f"{each.problem}. {each.cure}.")
                    for each in refused.problems]  # fmt: skip
        return _render_form(request, seat, draft, ReadRate(read.fields, None, problems), status=400)
    return redirect_to_draft(seat, rate_id, done)


def _keep_text(request: HttpRequest, seat: Seat, draft: RateDraft | None) -> HttpResponse:
    """The rate as a text: the form is filled from it, to be looked at before it is kept."""
    if not _is_text_changed(request.POST):  # then the fields say more
        return _render_form(request, seat, draft, read_rate_form(_read_sent(request.POST)))
    text = request.POST["document"]
    document, problems = read_rate_text(text.replace("\0", ""))
    if document is None:
        read = read_rate_form(_read_sent(request.POST))
        return _render_form(request, seat, draft, read, text=text, text_problems=problems, status=400)
    read = read_rate_form(fill_fields(write_rate(document)))
    return _render_form(request, seat, draft, read, is_filled=True)


def _write(request: HttpRequest, seat: Seat, draft: RateDraft | None, document: RateDocument) -> tuple[int, str]:
    """The rate's id and what was done, in one transaction."""
    now, comment = timezone.now(), read_comment(request.POST)
    submits = request.POST["act"] == "submit"
    first = "" if submits else comment
    with transaction.atomic():
        if draft is None:
            rate_id, done = rates.draft_rate_once(document, author=seat.actor, now=now, comment=first), "drafted"
        else:
            rate_id, done = draft.record.id, "edited"
            if document.mark != draft.mark:
                seen = request.POST.get("seen", "")
                rates.edit_rate(rate_id, document, author=seat.actor, now=now, comment=first, seen=seen)
        if submits and _is_draft(rate_id):
            confirmed = read_confirmed(request.POST)
            given = {"actor": seat.actor, "now": now, "comment": comment, "confirmed": confirmed}
            rates.submit_rate(rate_id, **given, seen=document.mark)
    return rate_id, "submitted" if submits else done


def _is_kept(rate_id: int, document: RateDocument, seat: Seat, act: str) -> bool:
    """Whether the person did just that a moment ago: the button was pressed twice."""
    draft = get_rate_draft(rate_id)
    if draft is None or draft.mark != document.mark or not draft.acts:
        return False
    last = draft.acts[-1]
    return (last.act, last.actor) == ("edited" if act == "draft" else "submitted", seat.actor)


def _is_text_changed(form: QueryDict) -> bool:
    """Whether the rate's text was edited beside the fields: which of the two is meant cannot be known."""
    text = form.get("document", "").replace("\r\n", "\n").strip()
    return bool(text) and _mark_text(text) != form.get("document_was", "")


def _mark_text(text: str) -> str:
    return sha256(text.strip().encode("utf-8", "replace")).hexdigest()


def _is_draft(rate_id: int) -> bool:
    """A second press of the button finds it submitted already."""
    draft = get_rate_draft(rate_id)
    return draft is not None and draft.record.state == "draft"


def _check(read: ReadRate, form: QueryDict, draft: RateDraft | None) -> tuple[RateCheck | None, list[FieldProblem]]:
    """What the document would do; None and why where it cannot be said."""
    if read.document is None:
        return None, []
    whose = {"rate_id": draft.record.id, "origin": draft.record.origin} if draft else {}
    try:
        return check_document(read.document, confirmed=read_confirmed(form), now=timezone.now(), **whose), []
    except RatesRefused as refused:
        return None, [FieldProblem("for", each.path, f"{each.problem}. {each.cure}.") for each in refused.problems]


def _render_form(
    request: HttpRequest,
    seat: Seat,
    draft: RateDraft | None,
    read: ReadRate,
    *,
    start: FormStart | None = None,
    spare: int = SPARE_ROWS,
    refused: str = "",
    text: str = "",
    text_problems: list[FieldProblem] | None = None,
    is_filled: bool = False,
    status: int = 200,
) -> HttpResponse:
    check, problems = _check(read, request.POST, draft)
    form = show_form(ReadRate(read.fields, read.document, [*read.problems, *problems]), spare=spare)
    texts, shown = read.fields.texts, text or _write_text(read)
    here = make_link("edit_rate", seat.link_query, draft.record.id) if draft else make_link("new_rate", seat.link_query)
    return render(
        request,
        "rates/draft_form.html",
        {
            "frame": make_frame(seat, current="rates"),
            "form": form,
            "check": check,
            "draft": draft,
            "seen": draft.mark if draft else "",
            "start": start,
            "base": canonical_json(read.fields.base),
            "text": shown,
            "text_mark": _mark_text(_write_text(read)),
            "text_problems": text_problems or (),
            "is_filled": is_filled,
            "refused": refused,
            "comment": request.POST.get("comment", ""),
            "tenants": [tenant.slug for tenant in seat.tenants],
            "matches": MATCHES,
            "comparisons": COMPARISONS,
            "context_scopes": CONTEXT_SCOPES,
            "quantity_scopes": QUANTITY_SCOPES,
            "meters": METERS,
            "four_eyes": settings.RATES_FOUR_EYES,
            "now": timezone.now(),
            "here": here,
            "check_href": make_link("check_rate", seat.link_query),
            "drafts_href": make_link("rate_drafts", seat.link_query),
            "draft_href": make_link("rate_draft", seat.link_query, draft.record.id) if draft else "",
            "model_href": make_link("rate_model", seat.link_query, texts["provider"], texts["model"])
            if texts["provider"] and texts["model"]
            else "",
            "rates_href": make_link("rates", seat.link_query),
        },
        status=status,
    )


def _write_text(read: ReadRate) -> str:
    """The form as a text: what it says where it can be read, else what it began with."""
    return write_rate_text(write_rate(read.document) if read.document else read.fields.base)
