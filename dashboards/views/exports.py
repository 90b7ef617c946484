"""Settings › Exports: where settled days are sent, the form of one target with its days, a test, and a day again."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from alerts.channels import list_schemes
from chargeback.core.export_targets import (
    KINDS,
    Kind,
    TargetProblem,
    TargetRefused,
    TargetTerms,
    read_terms,
    write_terms,
)
from chargeback.core.exports import read_day
from chargeback.exports.standing import RunUnknown, list_runs, run_again, sum_runs
from chargeback.exports.targets import (
    Target,
    TargetUnknown,
    add_target,
    change_target,
    get_target,
    list_kinds,
    list_targets,
    remove_target,
    try_target,
)
from dashboards.access import Seat, member_required
from dashboards.frame import check_texts, make_frame, make_link

DAYS_SHOWN = 62
KIND_WORDS: Mapping[Kind, str] = {"s3": "Bucket", "folder": "Folder"}
STATE_WORDS = {"waiting": "waits", "sent": "sent", "dead": "given up", "changed": "differs"}
FIELDS = ("name", "place", "region", "endpoint", "first_day", "access_key_id", "secret_access_key")
TICKS = ("path_style", "enabled")
DONE = {
    "added": "The target is added. Days that are settled are on their way within a minute.",
    "changed": "The target is changed, for what is sent from now on.",
    "removed": "The target is removed: nothing is sent there any more, and its credentials are forgotten.",
    "again": "The day is made again within a minute: what is missing is put, what differs is told.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_export_targets(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Every target with its last day. By POST one is tested."""
    told: dict[str, Any] = {}
    if request.method == "POST":
        _require_keeper(seat)
        target = _find(seat, request.POST.get("target", ""))
        _require_own(seat, target)
        failure = try_target(tenant_id=seat.tenant.id, target_id=target.id, clock=timezone.now)
        told = {"tested": target, "failure": failure}
    standing = sum_runs(tenant_id=seat.tenant.id)
    rows = [
        {
            "target": target,
            "kind": KIND_WORDS[target.kind],
            "may_test": seat.may_keep_exports and (seat.is_operator or not target.is_operators),
            "standing": standing.get(target.id),
            "href": make_link("export_target", seat.link_query, target.id),
        }
        for target in list_targets(tenant_id=seat.tenant.id)
    ]
    kinds = [
        (KIND_WORDS[kind], make_link("export_target_new", seat.link_query | {"kind": kind}))
        for kind in list_kinds(is_operator=seat.is_operator)
    ]
    return render(request, "exports/page.html", _make_context(request, seat) | told | {"rows": rows, "kinds": kinds})


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_new_export_target(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The form of a new target; by POST it is added."""
    _require_keeper(seat)
    kind = request.GET.get("kind", "s3")
    if kind not in list_kinds(is_operator=seat.is_operator):
        raise BadRequest(f"kind is one of {', '.join(KINDS)}; a folder is the operator's, below EXPORT_ROOT")
    if request.method != "POST":
        texts = dict.fromkeys(FIELDS, "") | {"first_day": f"{_find_today():%Y-%m-%d}", "path_style": "on"}
        return _render_form(request, seat, texts | {"kind": kind, "enabled": "on"})
    texts = _read_texts(request, kind)
    try:
        terms = _read_terms(texts, seat)
        add_target(terms, tenant_id=seat.tenant.id, actor=seat.actor, now=timezone.now())
    except TargetRefused as refused:
        return _render_form(request, seat, texts, problems=refused.problems)
    return redirect(make_link("exports", seat.link_query | {"done": "added"}))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_export_target(request: HttpRequest, seat: Seat, target_id: int) -> HttpResponse:
    """One target's days, and its form for who may change it. By POST it is changed or removed, or a day made again."""
    target = _find(seat, str(target_id))
    if request.method != "POST":
        return _render_form(request, seat, _write_texts(target), target=target)
    _require_keeper(seat)
    _require_own(seat, target)
    texts = _read_texts(request, target.kind)
    named: dict[str, Any] = {
        "tenant_id": seat.tenant.id, "target_id": target.id, "actor": seat.actor, "now": timezone.now(),
    }  # fmt: skip
    steps: dict[str, Callable[[], None]] = {
        "changed": lambda: _change(texts, seat, named),
        "removed": lambda: remove_target(**named),
        "again": lambda: _run_again(request.POST.get("day", ""), named),
    }
    step = steps.get(request.POST.get("act", ""))
    if step is None:
        raise BadRequest(f"an act is one of {', '.join(steps)}")
    try:
        step()
    except TargetRefused as refused:
        return _render_form(request, seat, texts, target=target, problems=refused.problems)
    return redirect(make_link("exports", seat.link_query | {"done": request.POST["act"]}))


def _change(texts: Mapping[str, str], seat: Seat, named: Mapping[str, Any]) -> None:
    change_target(_read_terms(texts, seat, needs_credentials=False), **named)


def _run_again(text: str, named: Mapping[str, Any]) -> None:
    day = read_day(text)
    try:
        if day is None:
            raise RunUnknown(text)
        run_again(**named, day=day)
    except RunUnknown:
        raise Http404 from None


def _require_keeper(seat: Seat) -> None:
    if not seat.may_keep_exports:
        raise PermissionDenied


def _require_own(seat: Seat, target: Target) -> None:
    if target.is_operators and not seat.is_operator:
        raise PermissionDenied


def _find(seat: Seat, number: str) -> Target:
    try:
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise TargetUnknown(number)
        return get_target(tenant_id=seat.tenant.id, target_id=int(number))
    except TargetUnknown:
        raise Http404 from None


def _find_today() -> datetime:
    return timezone.now().astimezone(UTC)


def _read_texts(request: HttpRequest, kind: str) -> dict[str, str]:
    check_texts(request.POST)
    return {name: request.POST.get(name, "").strip() for name in (*FIELDS, *TICKS)} | {"kind": kind}


def _write_texts(target: Target) -> dict[str, str]:
    document = write_terms(target)
    texts = {name: str(document.get(name, "")) for name in FIELDS}
    return texts | {"kind": target.kind} | {name: "on" if document.get(name) else "" for name in TICKS}


def _read_terms(texts: Mapping[str, str], seat: Seat, *, needs_credentials: bool = True) -> TargetTerms:
    document: dict[str, Any] = {name: texts[name] for name in FIELDS} | {
        "kind": texts["kind"], "enabled": bool(texts["enabled"]),
    }  # fmt: skip
    if texts["kind"] == "s3":
        document["path_style"] = bool(texts["path_style"])
    return read_terms(
        document,
        kinds=list_kinds(is_operator=seat.is_operator),
        schemes=list_schemes(),
        today=_find_today().date(),
        needs_credentials=needs_credentials,
    )


def _render_form(
    request: HttpRequest,
    seat: Seat,
    texts: Mapping[str, str],
    *,
    target: Target | None = None,
    problems: Sequence[TargetProblem] = (),
) -> HttpResponse:
    shown = {*FIELDS, *TICKS}
    named: dict[str, Any] = {"tenant_id": seat.tenant.id, "target_id": target.id if target else 0}
    context = _make_context(request, seat) | {
        "target": target,
        "texts": texts | {"secret_access_key": ""},
        "wrong": {one.field: f"{one.detail[:1].upper()}{one.detail[1:]}." for one in problems if one.field in shown},
        "unplaced": [f"{one.field} {one.detail}".strip() for one in problems if one.field not in shown],
        "has_problems": bool(problems),
        "kind_word": KIND_WORDS[target.kind if target else texts["kind"]],
        "runs": list_runs(**named, now=timezone.now(), limit=DAYS_SHOWN) if target else (),
        "state_words": STATE_WORDS,
        "days_shown": DAYS_SHOWN,
        "may_change": seat.may_keep_exports and (seat.is_operator or texts["kind"] != "folder"),
        "here": request.get_full_path(),
    }
    return render(request, "exports/target.html", context, status=422 if problems else 200)


def _make_context(request: HttpRequest, seat: Seat) -> dict[str, Any]:
    return {
        "frame": make_frame(seat, current="exports"),
        "may_keep": seat.may_keep_exports,
        "timezone": "UTC",
        "now": timezone.now(),
        "root": settings.EXPORT_ROOT if seat.is_operator else "",
        "done": DONE.get(request.GET.get("done", ""), ""),
        "exports_href": make_link("exports", seat.link_query),
    }
