"""Views that people named: saved, listed, opened, thrown away."""

import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict
from django.urls import reverse

from dashboards.access import Seat
from dashboards.frame import PLACE_PARAMETERS
from dashboards.models import SavedView
from ledger.core.identity import make_uuid7
from tenants.selectors import name_people

# Names of URLs.
PAGES = (
    "overview", "explore", "showback", "showback_subject", "budgets", "forecast", "ledger", "traces", "rates",
)  # fmt: skip
NAME_LENGTH_MAX = 80
QUERY_LENGTH_MAX = 4_000
VIEWS_PER_PERSON_MAX = 100
OWN_PARAMETERS = ("tenant", "done", *PLACE_PARAMETERS)  # not of a view: whose page it is, a place inside it, an act


class ViewRefused(ValueError):
    """What cannot be saved, in a sentence."""


@dataclass(frozen=True, slots=True)
class ViewLink:
    """A view that somebody may open. owner: another's name, '' where it is the person's own."""

    id: UUID
    name: str
    page: str
    owner: str
    is_shared: bool
    href: str


def save_view(seat: Seat, *, page: str, name: str, query: QueryDict, is_shared: bool, now: datetime) -> UUID:
    """Keep the page's query under a name; the person's view of the same name gives way. Raises ViewRefused."""
    name = " ".join(name.split())
    if page not in PAGES:
        raise ViewRefused("A view is of one of the pages.")
    if not name or len(name) > NAME_LENGTH_MAX or "\0" in name:
        raise ViewRefused(f"A name has 1 to {NAME_LENGTH_MAX} characters.")
    kept = query.copy()
    for parameter in OWN_PARAMETERS:
        kept.pop(parameter, None)
    text = kept.urlencode()
    if len(text) > QUERY_LENGTH_MAX:
        raise ViewRefused(f"A view's address has at most {QUERY_LENGTH_MAX:,} characters.")
    own = SavedView.objects.filter(tenant_id=seat.tenant.id, owner_id=seat.user_id)
    if own.exclude(page=page, name=name).count() >= VIEWS_PER_PERSON_MAX:
        raise ViewRefused(f"You have {VIEWS_PER_PERSON_MAX} views of this tenant; throw one away first.")
    view, _ = SavedView.objects.update_or_create(
        tenant_id=seat.tenant.id,
        owner_id=seat.user_id,
        page=page,
        name=name,
        defaults={"query": text, "is_shared": is_shared, "saved_at": now},
        create_defaults={
            "id": make_uuid7(now, os.urandom(8)),
            "is_operators": seat.is_operator,
            "query": text,
            "is_shared": is_shared,
            "saved_at": now,
        },
    )
    return view.id


def list_views(seat: Seat, *, page: str) -> list[ViewLink]:
    """The page's views that the person may open, by name."""
    rows = list(_find_visible(seat).filter(page=page).order_by("name", "id"))
    names = name_people({row.owner_id for row in rows} - {seat.user_id})
    return [_describe(row, seat, owner=names.get(row.owner_id, "")) for row in rows]


def get_view(seat: Seat, view_id: UUID) -> ViewLink | None:
    """The view, where the person may open it."""
    row = _find_visible(seat).filter(id=view_id).first()
    return _describe(row, seat, owner="") if row else None


def delete_view(seat: Seat, view_id: UUID) -> bool:
    """Throw the person's own view away; False where it is not there, or another's."""
    deleted, _ = SavedView.objects.filter(tenant_id=seat.tenant.id, owner_id=seat.user_id, id=view_id).delete()
    return bool(deleted)


def _find_visible(seat: Seat):
    shared = Q(is_shared=True, is_operators=seat.is_operator)
    return SavedView.objects.filter(Q(owner_id=seat.user_id) | shared, tenant_id=seat.tenant.id)


def _describe(row: SavedView, seat: Seat, *, owner: str) -> ViewLink:
    query = QueryDict(row.query, mutable=True)
    for name, value in seat.link_query.items():
        query[name] = value
    address = f"{reverse(row.page)}?{query.urlencode()}" if query else reverse(row.page)
    return ViewLink(row.id, row.name, row.page, owner, row.is_shared, address)
