"""One entry: what it cost and why, whose it is, what came after, and its proof."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from billing.explanations import explain_entry
from dashboards.access import Seat, member_required
from dashboards.audit.acts import show_entry_act
from dashboards.audit.proof import read_entry_seal
from dashboards.bookings import read_story
from dashboards.contents import ContentSection, describe_content, read_entry_content
from dashboards.frame import ALL_ENVIRONMENTS, make_frame, make_link
from dashboards.usage import describe_lines, describe_usage, find_not_charged
from ledger.proofs import check_leaf, check_receipt
from ledger.selectors import get_batch, get_entry, name_users, prove_entry
from tenants.selectors import list_api_keys


@require_safe
@member_required
def show_entry(request: HttpRequest, seat: Seat, entry_id: str) -> HttpResponse:
    """The entry's page; everything on it is computed again from what is stored, now."""
    entry = _get_entry(seat, entry_id)
    return _render_entry(request, seat, entry, describe_content(seat, entry, now=timezone.now()))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_entry_content(request: HttpRequest, seat: Seat, entry_id: str) -> HttpResponse:
    """The same with the words of its prompt and completion, for those who may read them: that they did is kept.

    They are asked for by a button; who comes by the address alone, as after signing in, gets the entry.
    """
    entry = _get_entry(seat, entry_id)
    if request.method != "POST":
        return redirect(make_link("entry", seat.link_query, entry_id))
    section = read_entry_content(seat, entry, now=timezone.now())
    if section is None:
        raise Http404
    return _render_entry(request, seat, entry, section)


def _render_entry(
    request: HttpRequest, seat: Seat, entry: Mapping[str, Any], content: ContentSection | None
) -> HttpResponse:
    batch = get_batch(tenant_id=seat.tenant.id, batch_id=entry["batch_id"])
    proof = prove_entry(tenant_id=seat.tenant.id, entry=entry)
    receipt = check_receipt(batch.receipt)
    explanation = explain_entry(entry=entry)
    rate_version_hash = explanation.rate.content_hash if explanation.rate else ""
    leaf_agrees = check_leaf(entry, rate_version_hash=rate_version_hash)
    seal = read_entry_seal(seat, entry, batch=batch, proof=proof, rate_version_hash=rate_version_hash)
    return render(
        request,
        "ledger/entry.html",
        {
            "frame": make_frame(seat, current="ledger"),
            "entry": entry,
            "act": show_entry_act(seat, entry) if entry["kind"] == "admin_act" else None,
            "batch": batch,
            "delay": entry["recorded_at"] - entry["charge_period_start"],
            "explanation": explanation,
            "explained_lines": describe_lines(explanation),
            "not_charged": find_not_charged(explanation),
            "usage": describe_usage(entry, explanation),
            "story": read_story(entry, seat=seat),
            "above_reported": _subtract_reported(entry),
            "proof": proof,
            "receipt": receipt,
            "leaf_agrees": leaf_agrees,
            "seal": seal,
            "is_proved": leaf_agrees
            and proof.is_included
            and receipt.root == proof.root
            and receipt.is_valid is not False
            and not seal.fault,
            "key_name": _find_key_name(seat, entry["api_key_id"]),
            "user_name": name_users(tenant_id=seat.tenant.id, user_refs=[entry["user_ref"]]).get(entry["user_ref"], ""),
            "links": _make_links(seat, entry),
            "content": content,
        },
    )


@require_safe
@member_required
def show_entry_json(request: HttpRequest, seat: Seat, entry_id: str) -> HttpResponse:
    """The stored row: money as text, with every digit."""
    entry = _get_entry(seat, entry_id)
    text = msgspec.json.format(msgspec.json.encode(entry), indent=2)
    return HttpResponse(text, content_type="application/json")


def _get_entry(seat: Seat, entry_id: str) -> dict[str, Any]:
    entry = get_entry(tenant_id=seat.tenant.id, entry_id=entry_id)
    if entry is None:
        raise Http404
    return entry


def _subtract_reported(entry: Mapping[str, Any]) -> Decimal | None:
    """What was billed less what the provider or a log reported; None while either is not known."""
    if entry["billed_cost"] is None or entry["reported_cost"] is None:
        return None
    return entry["billed_cost"] - entry["reported_cost"]


def _find_key_name(seat: Seat, key_id: str) -> str:
    return next((key.name for key in list_api_keys(seat.tenant.id) if key.key_id == key_id), "")


def _make_links(seat: Seat, entry: Mapping[str, Any]) -> dict[str, str]:
    """The entries that share something with this one, and its own other faces."""
    everywhere = seat.link_query | {"environment": ALL_ENVIRONMENTS}
    shared = ("feature", "cost_center", "model", "user_ref", "trace_id", "session_id", "response_id", "event_id")
    day = entry["charge_period_start"].date().isoformat()
    links = {
        name: make_link("ledger", everywhere | {"user" if name == "user_ref" else name: entry[name]}) for name in shared
    }
    return links | {
        "trace": make_link("trace", seat.link_query, entry["trace_id"]) if entry["trace_id"] else "",
        "ledger": make_link("ledger", seat.link_query),
        "day": make_link("ledger", everywhere | {"from": day, "to": day}),
        "batch": make_link("ledger", everywhere | {"batch_id": entry["batch_id"]}),
        "key": make_link("ledger", everywhere | {"key": entry["api_key_id"]}),
        "json": make_link("entry_json", seat.link_query, entry["id"]),
        "content": make_link("entry_content", seat.link_query, entry["id"]),
        "corrects": make_link("entry", seat.link_query, entry["corrects"]) if entry["corrects"] else "",
    }
