"""A call's whole story: its first entry, what took it back and stated it anew, and which of them stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing.reratings.reallocation import REALLOCATION
from dashboards.access import Seat
from dashboards.frame import make_link
from dashboards.rates.actors import name_actors
from ledger.selectors import get_entry, list_corrections

OWN_TAGS = "tokenledger."


@dataclass(frozen=True, slots=True)
class Booking:
    """One of a call's entries. side: reversal, restatement, or '' for the first one and what is no pair.

    author and approver: of the rate that corrects. job_href: '' for those who may not see jobs.
    """

    entry: Mapping[str, Any]
    href: str
    is_this: bool
    stands: bool
    side: str
    reverses: str
    reverses_href: str
    reason: str
    author: str
    approver: str
    job: str
    job_href: str
    rate_href: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything booked about one call, oldest first. net: None while nothing of it has a price."""

    bookings: Sequence[Booking]
    net: Decimal | None
    after: int  # how many came after the entry of the page


def read_story(entry: Mapping[str, Any], *, seat: Seat) -> Story:
    """The story that an entry is part of, wherever in it that entry stands."""
    tenant_id = seat.tenant.id
    first = get_entry(tenant_id=tenant_id, entry_id=entry["corrects"]) if entry["corrects"] else None
    first = first or entry
    entries = [first, *list_corrections(tenant_id=tenant_id, entry=first)]
    names = _name_actors(entries, seat)
    taken_back = {_get_tag(each, "reverses") for each in entries if each["calls"] < 0}
    bookings = [_describe(each, entry, taken_back, names, seat) for each in entries]
    place = next((i for i, each in enumerate(entries) if each["id"] == entry["id"]), 0)
    return Story(bookings, _add_up(entries), len(entries) - 1 - place)


def _describe(
    each: Mapping[str, Any], entry: Mapping[str, Any], taken_back: set[str], names: Mapping[str, str], seat: Seat
) -> Booking:
    reverses, job = _get_tag(each, "reverses"), _get_tag(each, "job")
    side = ("reversal" if each["calls"] < 0 else "restatement") if reverses else ""
    return Booking(
        entry=each,
        href=make_link("entry", seat.link_query, each["id"]),
        is_this=each["id"] == entry["id"],
        stands=bool(taken_back) and each["calls"] > 0 and each["id"] not in taken_back,
        side=side,
        reverses=reverses if side == "reversal" else "",
        reverses_href=make_link("entry", seat.link_query, reverses) if side == "reversal" else "",
        reason=_get_tag(each, "reason"),
        author=names.get(_get_tag(each, "author"), ""),
        approver=names.get(_get_tag(each, "approver"), ""),
        job=job,
        job_href=_find_job(job, _get_tag(each, "reason"), seat),
        rate_href=make_link("rate_model", seat.link_query, each["provider"], each["model"]) + "#history"
        if each["rate_version_id"] and each["provider"] and each["model"]
        else "",
    )


def _find_job(job: str, reason: str, seat: Seat) -> str:
    """Where the job is told that booked the pair, for those who may read it."""
    if not job.isdigit():
        return ""
    if reason.startswith(REALLOCATION):
        return make_link("reallocation", seat.link_query, job)
    return make_link("rate_job", seat.link_query, job) if seat.may_edit_rates else ""


def _name_actors(entries: Sequence[Mapping[str, Any]], seat: Seat) -> Mapping[str, str]:
    """By name for those who keep the rates; a tenant's people read the number that the ledger has."""
    said = {_get_tag(each, side) for each in entries for side in ("author", "approver")} - {""}
    return name_actors(said) if seat.may_edit_rates and said else {each: each for each in said}


def _get_tag(entry: Mapping[str, Any], name: str) -> str:
    """What the ledger itself wrote beside the call's tags."""
    is_ours = entry["kind"] in ("rating", "correction", "credit", "adjustment")
    return entry["tags"].get(f"{OWN_TAGS}{name}", "") if is_ours else ""


def _add_up(entries: Sequence[Mapping[str, Any]]) -> Decimal | None:
    costs = [each["billed_cost"] for each in entries if each["billed_cost"] is not None]
    return sum(costs, Decimal(0)) if costs else None
