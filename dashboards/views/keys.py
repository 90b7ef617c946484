"""The keys of a tenant: made, shown once, rotated and revoked."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.signing import BadSignature, SignatureExpired
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from billing.keys import OVERLAPS, KeyUnknown, end_api_key, make_api_key, rotate_api_key
from dashboards.access import Seat, member_required
from dashboards.frame import make_frame, make_link
from dashboards.keys import SCOPE_WORDS, USUAL_SCOPES, find_first_entry, open_form, read_keys, seal_form
from dashboards.snippets import write_snippets
from tenants.keys import KeyMadeAlready, KeyNameTaken, ScopesUnknown
from tenants.selectors import ApiKeyInfo, list_api_keys

NAME_LENGTH_MAX = 60
OVERLAP_WORDS = {"now": "at once", "1h": "in an hour", "24h": "in 24 hours", "7d": "in 7 days"}
OVERLAP_NAMES = dict(zip(OVERLAP_WORDS, OVERLAPS, strict=True))
DONE = {
    "revoked": "The key is revoked: the next request with it is refused.",
    "gone": "There was no such live key. Nothing was changed.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_keys(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The keys with what they sent. By POST one is made, rotated or revoked, by who may.

    A new one is the answer's alone: it is kept nowhere, and the same form sent again makes and shows none.
    """
    if request.method == "POST":
        return _change(request, seat)
    return _render(request, seat)


def _change(request: HttpRequest, seat: Seat) -> HttpResponse:
    if not seat.may_send:
        raise PermissionDenied
    if any("\0" in value for values in request.POST.lists() for value in values[1]):
        raise BadRequest("a field with a NUL character")
    now = timezone.now()
    match request.POST.get("act"):
        case "make":
            return _make(request, seat, now=now)
        case "rotate":
            return _rotate(request, seat, now=now)
        case "revoke":
            try:
                end_api_key(tenant_id=seat.tenant.id, key_id=request.POST.get("key", ""), actor=seat.actor, now=now)
                done = "revoked"
            except KeyUnknown:
                done = "gone"
            return redirect(make_link("keys", seat.link_query | {"done": done}))
    raise BadRequest("an act is make, rotate or revoke")


def _make(request: HttpRequest, seat: Seat, *, now: datetime) -> HttpResponse:
    name, scopes = request.POST.get("name", "").strip(), request.POST.getlist("scope")
    wrong = {}
    if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        wrong["name"] = f"A name is 1 to {NAME_LENGTH_MAX} characters: where the key is used."
    if not scopes:
        wrong["scopes"] = "Choose what it may do: a key without a scope opens nothing."
    if wrong:
        return _render(request, seat, wrong=wrong, name=name, scopes=scopes, status=422)
    try:
        key_id = _read_form(request, seat)
        token = make_api_key(
            tenant_id=seat.tenant.id, key_id=key_id, name=name, scopes=scopes, actor=seat.actor, now=now
        )
    except ScopesUnknown as error:
        raise BadRequest(str(error)) from error
    except KeyNameTaken:
        wrong["name"] = "Two live keys have this name already: revoke one of them, or choose another."
        return _render(request, seat, wrong=wrong, name=name, scopes=scopes, status=409)
    except (KeyMadeAlready, SignatureExpired) as error:
        return _render(request, seat, refused=_tell_refusal(error), name=name, scopes=scopes, status=409)
    return _show_once(request, seat, token=token, now=now)


def _rotate(request: HttpRequest, seat: Seat, *, now: datetime) -> HttpResponse:
    overlap = request.POST.get("overlap", "")
    if overlap not in OVERLAP_NAMES:
        raise BadRequest(f"an overlap is one of {', '.join(OVERLAP_NAMES)}")
    old_key_id = request.POST.get("key", "")
    try:
        token = rotate_api_key(
            tenant_id=seat.tenant.id,
            key_id=old_key_id,
            new_key_id=_read_form(request, seat),
            overlap=OVERLAP_NAMES[overlap],
            actor=seat.actor,
            now=now,
        )
    except KeyUnknown:
        return redirect(make_link("keys", seat.link_query | {"done": "gone"}))
    except KeyNameTaken:
        refused = "Two live keys have its name: the one before it has not ended. Revoke that one first."
        return _render(request, seat, refused=refused, status=409)
    except (KeyMadeAlready, SignatureExpired) as error:
        return _render(request, seat, refused=_tell_refusal(error), status=409)
    return _show_once(request, seat, token=token, now=now, old_key_id=old_key_id)


def _read_form(request: HttpRequest, seat: Seat) -> str:
    try:
        return open_form(request.POST.get("form", ""), seat)
    except SignatureExpired:
        raise
    except BadSignature as error:
        raise BadRequest("a form that this page did not make") from error


def _tell_refusal(error: Exception) -> str:
    if isinstance(error, KeyMadeAlready):
        return "This form was sent before: its key was made then and shown that once. If it is lost, rotate the key."
    return "The form was older than a day. Send it once more."


def _show_once(request: HttpRequest, seat: Seat, *, token: str, now: datetime, old_key_id: str = "") -> HttpResponse:
    """The only page that ever holds a key whole."""
    keys = {key.key_id: key for key in list_api_keys(seat.tenant.id)}
    key = keys[token.split("_")[1]]
    return render(
        request,
        "keys/made.html",
        {
            "frame": make_frame(seat, current="keys"),
            "token": token,
            "key": key,
            "scopes": [(scope, SCOPE_WORDS[scope]) for scope in key.scopes],
            "old": keys.get(old_key_id),
            "old_is_live": old_key_id in keys and keys[old_key_id].is_live(now + timedelta(seconds=1)),
            "may_ingest": "ingest" in key.scopes,
            "snippets": write_snippets(address=settings.PUBLIC_URL, token=token, now=now),
            "waits_href": make_link("key_first_entry", seat.link_query, key.key_id),
            "keys_href": make_link("keys", seat.link_query),
            "now": now,
        },
    )


@require_safe
@member_required
def await_key_entry(request: HttpRequest, seat: Seat, key_id: str) -> HttpResponse:
    """A fragment: still waiting for the first event that this key sends, or the entry that it became."""
    key = _find_key(seat, key_id)
    now = timezone.now()
    entry = find_first_entry(tenant_id=seat.tenant.id, key=key, now=now)
    return render(
        request,
        "keys/waiting.html",
        {
            "entry": entry,
            "entry_href": make_link("entry", seat.link_query, entry["id"]) if entry else "",
            "href": make_link("key_first_entry", seat.link_query, key_id),
            "now": now,
        },
    )


def _find_key(seat: Seat, key_id: str) -> ApiKeyInfo:
    for key in list_api_keys(seat.tenant.id):
        if key.key_id == key_id:
            return key
    raise Http404


def _render(
    request: HttpRequest,
    seat: Seat,
    *,
    wrong: dict[str, str] | None = None,
    refused: str = "",
    name: str = "",
    scopes: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    chosen = USUAL_SCOPES if scopes is None else scopes
    return render(
        request,
        "keys/page.html",
        {
            "frame": make_frame(seat, current="keys"),
            "page": read_keys(seat=seat, now=now),
            "may_send": seat.may_send,
            "form": seal_form(seat) if seat.may_send else "",
            "scopes": [(scope, words, scope in chosen) for scope, words in SCOPE_WORDS.items()],
            "overlaps": OVERLAP_WORDS,
            "name": name,
            "name_length_max": NAME_LENGTH_MAX,
            "wrong": wrong or {},
            "refused": refused,
            "done": DONE.get(request.GET.get("done", ""), ""),
            "here": make_link("keys", seat.link_query),
            "timezone": seat.tenant.timezone,
            "now": now,
        },
        status=status,
    )
