"""What stands around every page: the way to the others, and the menus of the dateline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import QueryDict
from django.urls import reverse

from alerts.inbox import count_open_alerts
from dashboards.access import ROLE_NAMES, Seat
from dashboards.core.periods import PERIOD_NAMES, Period, PeriodInvalid, read_period
from tenants.models import User

PRODUCTION = "production"
ALL_ENVIRONMENTS = "all"
ANY_TIME = "any"
NUMBER_DIGITS_MAX = 12
TEXT_LENGTH_MAX = 512
# Pages that an operator may look at for another tenant, as they are.
PLACES_OF_EVERY_TENANT = (
    "overview", "explore", "showback", "chargeback", "forecast", "ledger", "traces", "rejected", "rates", "keys",
    "budgets", "alerts", "audit", "audit_statement", "audit_log", "cost_centers", "mapping_rules", "reconciliation",
    "exports",
    "reports",
)  # fmt: skip
PLACE_PARAMETERS = ("cursor", "page", "rows")  # of a place inside a page: a menu's choice leads back to its beginning


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the navigation leads to. count: what waits there for somebody."""

    name: str
    href: str
    is_current: bool
    count: int = 0


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a menu; note: the cost that it would show, where that is known."""

    label: str
    href: str
    is_current: bool
    note: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The surroundings of a page."""

    person_name: str
    email: str
    role_name: str
    navigation: Sequence[Sequence[Place]]
    link_query: Mapping[str, str]
    home_href: str
    find_url: str
    is_demo: bool
    tenant_slug: str
    tenant_options: Sequence[Option]
    open_alerts: int = 0  # that wait for somebody
    alerts_href: str = ""


def make_frame(seat: Seat, *, current: str) -> Frame:
    """The frame of a tenant's page; `current` is the name of its URL."""
    places = [
        [("Overview", "overview"), ("Explore", "explore"), ("Showback", "showback"), ("Chargeback", "chargeback")],
        [("Budgets", "budgets"), ("Alerts", "alerts"), ("Forecast", "forecast")],
        [("Ledger", "ledger"), ("Traces", "traces"), ("Rejected events", "rejected")],
        [("Rates", "rates"), ("Audit", "audit")],
        [
            ("Settings", "keys"),
            ("Cost centres", "cost_centers"),
            ("Mapping rules", "mapping_rules"),
            ("Reports", "reports"),
            ("Exports", "exports"),
            ("API", "show_docs"),
        ],
    ]
    open_alerts = count_open_alerts(tenant_id=seat.tenant.id)
    if seat.may_reconcile:
        places[3].append(("Reconciliation", "reconciliation"))
    if seat.is_operator:
        places.insert(0, [("All tenants", "tenants"), ("Jobs", "jobs")])
    return Frame(
        person_name=seat.name,
        email=seat.email,
        role_name=seat.role_name,
        navigation=_list_places(places, seat.link_query, current, counts={"alerts": open_alerts}),
        link_query=seat.link_query,
        home_href=make_link("overview", seat.link_query),
        find_url=reverse("find"),
        is_demo=seat.tenant.is_demo,
        tenant_slug=seat.tenant.slug,
        tenant_options=list_tenant_options(seat, current=current),
        open_alerts=open_alerts,
        alerts_href=make_link("alerts", seat.link_query),
    )


def make_operator_frame(user: User, *, current: str) -> Frame:
    """The frame of a page that is about no single tenant."""
    places = [[("All tenants", "tenants"), ("Jobs", "jobs")], [("API", "show_docs")]]
    return Frame(
        person_name=user.name,
        email=user.email,
        role_name=ROLE_NAMES[user.role],
        navigation=_list_places(places, {}, current),
        link_query={},
        home_href=reverse("tenants"),
        find_url="",
        is_demo=False,
        tenant_slug="",
        tenant_options=(),
    )


def _list_places(
    groups: Sequence[Sequence[tuple[str, str]]],
    query: Mapping[str, str],
    current: str,
    *,
    counts: Mapping[str, int] | None = None,
) -> list[list[Place]]:
    own = ("tenants", "jobs", "show_docs")  # pages that are not a tenant's
    return [
        [
            Place(
                name,
                make_link(target, {} if target in own else query),
                target == current,
                (counts or {}).get(target, 0),
            )
            for name, target in group
        ]
        for group in groups
    ]


def make_link(name: str, query: Mapping[str, object], *arguments: object) -> str:
    """The address of the URL `name` with a query; a list stands for repeated parameters."""
    address = reverse(name, args=arguments) if arguments else _find_path(name)
    return f"{address}?{urlencode(query, doseq=True)}" if query else address


@cache
def _find_path(name: str) -> str:
    """Django looks each up anew, and a page has hundreds of links."""
    return reverse(name)


def list_tenant_options(seat: Seat, *, current: str) -> list[Option]:
    """The tenants that an operator may change to, on the same page; none for a tenant's person."""
    target = current if current in PLACES_OF_EVERY_TENANT else "overview"
    return [
        Option(tenant.slug, make_link(target, {"tenant": tenant.slug}), tenant.id == seat.tenant.id)
        for tenant in seat.tenants
    ]


def read_environment(query: QueryDict) -> str:
    """The environment that the page is about; production unless the address names one, '' for all."""
    environment = query.get("environment", PRODUCTION)
    return "" if environment == ALL_ENVIRONMENTS else environment


def check_texts(query: QueryDict) -> None:
    """Raises BadRequest for what no text of an address can be."""
    if any("\0" in value or len(value) > TEXT_LENGTH_MAX for _, values in query.lists() for value in values):
        raise BadRequest(f"a parameter has at most {TEXT_LENGTH_MAX} characters, and no NUL among them")


def read_number(query: QueryDict, name: str) -> int:
    """A whole number of an address or a form. Raises BadRequest for what is none."""
    text = query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX):
        raise BadRequest(f"{name} is a whole number")
    return int(text)


def list_environment_options(
    path: str, query: QueryDict, *, current: str, costs: Mapping[str, Decimal | None]
) -> list[Option]:
    """Production, every environment in `costs`, and all of them together; `costs` may be empty where none is known."""
    names = [PRODUCTION, *sorted(name for name in costs if name != PRODUCTION)]
    if current and current not in names:
        names.append(current)
    options = [Option(name, _change(path, query, environment=name), name == current, costs.get(name)) for name in names]
    known = [cost for cost in costs.values() if cost is not None]
    total = sum(known, Decimal(0)) if known else None
    return [
        *options,
        Option("all environments", _change(path, query, environment=ALL_ENVIRONMENTS), not current, total),
    ]


def list_period_options(path: str, query: QueryDict, *, current: Period | None, any_time: bool = False) -> list[Option]:
    """The named periods, and `any time` on a page that can do without one."""
    options = [
        Option(label, _change(path, query, period=name), current is not None and current.name == name)
        for name, label in PERIOD_NAMES.items()
    ]
    return (
        [Option("Any time", _change(path, query, period=ANY_TIME), current is None), *options] if any_time else options
    )


def read_page_period(query: QueryDict, *, today: date, default: str = "month") -> tuple[Period, str]:
    """The period of the address, and what is wrong with it: then the one named `default` stands in its place."""
    try:
        return read_period(query, today=today, default=default), ""
    except PeriodInvalid as problem:
        shown = f"The {PERIOD_NAMES[default].lower()} {'is' if default == 'month' else 'are'} shown instead."
        return read_period({}, today=today, default=default), f"{problem} {shown}"


def list_hidden_fields(query: QueryDict, *, without: Sequence[str]) -> list[tuple[str, str]]:
    """The address's other parameters, for a form that changes those of `without`."""
    left_out = {*without, *PLACE_PARAMETERS}
    return [(name, value) for name, values in query.lists() if name not in left_out for value in values]


def _change(path: str, query: QueryDict, **changes: str) -> str:
    """The same address with a choice made anew."""
    changed = query.copy()
    for name in (*PLACE_PARAMETERS, *(("period", "from", "to") if "period" in changes else ())):
        changed.pop(name, None)
    for name, value in changes.items():
        changed[name] = value
    return f"{path}?{changed.urlencode()}"
