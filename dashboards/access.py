"""Who looks at whom: the signed-in person, the tenant of the page, and the scope in which it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.contrib.auth.views import redirect_to_login
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.cache import patch_cache_control, patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from tenants.models import User
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, get_tenant_by_id, list_tenants

ROLE_NAMES = {
    "admin": "Administrator",
    "finance": "Finance",
    "engineer": "Engineer",
    "owner": "Owner",
    "viewer": "Viewer",
}


# Prompts and completions are the tenant's own affair: not the figures' readers', and at the operator's not finance's.
CONTENT_ROLES = ("admin", "owner")
# Who makes keys and books what was rejected: whose word may become an entry. All others see what there is.
SENDER_ROLES = ("admin", "owner")
# Who keeps what the tenant plans with: budgets, thresholds, known events, drivers.
PLANNER_ROLES = ("admin", "finance", "owner")
# Who acknowledges, snoozes and resolves alerts, and says whether they were right.
ALERT_ROLES = ("admin", "finance", "engineer", "owner")
# Who makes and changes the channels by which alerts are told, and has dead messages tried again.
CHANNEL_ROLES = ("admin", "finance", "owner")
# Who says where settled days are sent as files; a folder only the operator's of them.
EXPORT_ROLES = ("admin", "finance", "owner")
# Of the operator's people: who changes what things cost, and reads what was agreed with every tenant.
RATE_ROLES = ("admin", "finance")
# Of the operator's people: who decides what is charged to whom.
CHARGE_ROLES = ("admin", "finance")


@dataclass(frozen=True, slots=True)
class Seat:
    """A person before a page. tenants: those that may be chosen instead, none for a tenant's own people."""

    user_id: int
    name: str
    email: str
    role: str
    is_operator: bool
    tenant: TenantInfo
    tenants: tuple[TenantInfo, ...]

    @property
    def role_name(self) -> str:
        return ROLE_NAMES[self.role]

    @property
    def may_read_content(self) -> bool:
        """Whether the person may read prompts and completions."""
        return self.role in CONTENT_ROLES

    @property
    def may_send(self) -> bool:
        """Whether the person may make keys for the tenant, and book its rejected events."""
        return self.role in SENDER_ROLES

    @property
    def may_plan(self) -> bool:
        """Whether the person may keep the tenant's budgets, thresholds, known events and business drivers."""
        return self.role in PLANNER_ROLES

    @property
    def may_answer_alerts(self) -> bool:
        """Whether the person may acknowledge, snooze, resolve and judge the tenant's alerts."""
        return self.role in ALERT_ROLES

    @property
    def may_keep_channels(self) -> bool:
        """Whether the person may make and change the tenant's channels, and send again what did not arrive."""
        return self.role in CHANNEL_ROLES

    @property
    def may_keep_exports(self) -> bool:
        """Whether the person may add and change targets of exports, and have a day made again."""
        return self.role in EXPORT_ROLES

    @property
    def may_edit_rates(self) -> bool:
        """Whether the person may change rates and aliases, and read other tenants' prices."""
        return self.is_operator and self.role in RATE_ROLES

    @property
    def may_reconcile(self) -> bool:
        """Whether the person may send providers' bills, say why they differ and sign for a month."""
        return self.is_operator and self.role in RATE_ROLES

    @property
    def may_charge(self) -> bool:
        """Whether the person may decide who is charged what: rules, rates of exchange, the currency."""
        return self.is_operator and self.role in CHARGE_ROLES

    @property
    def actor(self) -> str:
        """As whom the person acts in the ledger, for ever: by number, so that a name can be forgotten."""
        return f"person {self.user_id}"

    def get_today(self, now: datetime) -> date:
        """The day that `now` is in, where the tenant reports."""
        return now.astimezone(ZoneInfo(self.tenant.timezone)).date()

    @property
    def link_query(self) -> dict[str, str]:
        """What every link of the page carries, so that it opens for the same tenant."""
        return {"tenant": self.tenant.slug} if self.is_operator else {}


View = Callable[..., HttpResponse]


def member_required(view: View) -> View:
    """Call `view(request, seat, …)` for a signed-in person, inside the scope of the tenant that the page is about.

    A tenant's person sees that tenant; an operator's names one in `?tenant=`, and is sent to the first where none is
    named. Another's tenant and an unknown one are both 404. All reads of a page see one snapshot, so its figures,
    tables and charts agree. Nothing is kept by a cache.
    """

    @wraps(view)
    def answer_member(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return _ask_to_sign_in(request)
        seat = find_seat(request.user, slug=request.GET.get("tenant", ""))
        if seat is None:
            return _keep_private(redirect("tenants"))
        if seat.is_operator and "tenant" not in request.GET and request.method in ("GET", "HEAD"):
            query = request.GET.copy()
            query["tenant"] = seat.tenant.slug
            return _keep_private(redirect(f"{request.path}?{query.urlencode()}"))
        with transaction.atomic():
            _take_snapshot(request)
            with tenant_scope(seat.tenant.id):
                return _keep_private(view(request, seat, *args, **kwargs))

    return answer_member


def rate_keeper_required(view: View) -> View:
    """The same for those who may change rates; 404 for all others."""

    @wraps(view)
    def answer_keeper(request: HttpRequest, seat: Seat, *args: Any, **kwargs: Any) -> HttpResponse:
        if not seat.may_edit_rates:
            raise Http404
        return view(request, seat, *args, **kwargs)

    return member_required(answer_keeper)


def operator_required(view: View) -> View:
    """Call `view(request, …)` for an operator's person, outside every tenant's scope; 404 for all others."""

    @wraps(view)
    def answer_operator(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return _ask_to_sign_in(request)
        if not request.user.is_operator:
            raise Http404
        return _keep_private(view(request, *args, **kwargs))

    return answer_operator


def _ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """A whole page comes back here afterwards; a part of one, whose session ended meanwhile, leads its page away."""
    if not request.htmx:
        return _keep_private(redirect_to_login(request.get_full_path()))
    here = urlsplit(request.htmx.current_url or "/")
    address = redirect_to_login(f"{here.path}?{here.query}" if here.query else here.path)["Location"]
    return _keep_private(HttpResponseClientRedirect(address))


def find_seat(user: User, *, slug: str) -> Seat | None:
    """The person's place before the tenant `slug`, '' for the first. None: there is no tenant yet. Raises Http404."""
    tenants = tuple(list_tenants()) if user.is_operator else ()
    if user.is_operator:
        if not tenants and not slug:
            return None
        tenant = next((tenant for tenant in tenants if slug in ("", tenant.slug)), None)
    else:
        tenant = get_tenant_by_id(user.tenant_id)
        if tenant and slug not in ("", tenant.slug):
            tenant = None
    if tenant is None:
        raise Http404
    return Seat(user.pk, user.name, user.email, user.role, user.is_operator, tenant, tenants)


# One who waits longer has left; the answer is a page that says so.
TAKE_SNAPSHOT_SQL = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL statement_timeout = '20s'"""


def _take_snapshot(request: HttpRequest) -> None:
    """Let everything that a page reads be of one moment; inside an outer transaction that one's moment counts."""
    if request.method in ("GET", "HEAD") and len(connection.atomic_blocks) == 1:
        with connection.cursor() as cursor:
            cursor.execute(TAKE_SNAPSHOT_SQL)


def _keep_private(response: HttpResponse) -> HttpResponse:
    patch_cache_control(response, private=True, no_store=True)
    patch_vary_headers(response, ("Cookie",))
    return response
