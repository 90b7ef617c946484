"""What the page of a tenant's keys shows: each with what it may, what came with it and what that cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.core import signing

from billing.selectors import CostQuery, Quantities, get_costs, get_intake
from billing.selectors.intake import list_last_intakes
from billing.selectors.quantities import sum_quantities
from dashboards.access import Seat
from dashboards.core.periods import Period, read_period
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from dashboards.rates.actors import PERSON, name_actors
from ledger.selectors import EntryFilters, list_entries
from tenants.keys import make_key_id
from tenants.limits import Limits
from tenants.selectors import ApiKeyInfo, list_api_keys, name_people

SCOPE_WORDS = {
    "ingest": "Sends events, OpenTelemetry and logs, and books rejected events corrected.",
    "read": "Reads costs, entries, traces, rates and rejected events.",
    "backfill": "Beside ingest: sends events that are older than 400 days.",
    "admin": "Reads and deletes the prompts and completions that are kept.",
    "audit": "Takes statements, evidence archives and proofs, and reads who changed what.",
    "quota": "Asks before a call whether its budgets have room, and holds what it may cost.",
}
USUAL_SCOPES = ("ingest", "read")
ONE_HOUR = timedelta(hours=1)
FORM_SALT = "dashboards.keys"
FORM_SECONDS_MAX = 86_400


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key. maker: '' for a command. last_sent: the hour, None if never. quantities: of the page's period."""

    key: ApiKeyInfo
    maker: str
    last_sent: datetime | None
    quantities: Quantities
    href: str
    limit_words: str
    is_live: bool

    @property
    def may_ingest(self) -> bool:
        return "ingest" in self.key.scopes


@dataclass(frozen=True, slots=True)
class KeyPage:
    """live and ended keys, newest first. other: what came with keys that are none of these, the operator's; or None.

    is_cast: whether the rows, ended and others included, add up to `total` to the last digit.
    """

    live: Sequence[KeyRow]
    ended: Sequence[KeyRow]
    ended_sum: Quantities
    other: Quantities | None
    total: Quantities
    period: Period
    is_cast: bool


def read_keys(*, seat: Seat, now: datetime) -> KeyPage:
    """The tenant's keys, and what came with them in the last 30 days, in a fixed number of queries."""
    tenant_id, zone = seat.tenant.id, seat.tenant.timezone
    period = read_period({"period": "30d"}, today=now.astimezone(ZoneInfo(zone)).date())
    start, end = period.get_bounds(zone)
    query = CostQuery(tenant_id, start, end, granularity="total", timezone=zone, group_by=("key",))
    costs = get_costs(query)
    by_key = {row.group[0]: row.quantities for row in costs.rows}
    keys = list_api_keys(tenant_id)
    sent = list_last_intakes(tenant_id=tenant_id)
    names = _name_makers(keys, seat)
    rows = [_make_row(key, seat=seat, now=now, sent=sent, by_key=by_key, names=names) for key in keys]
    known = {key.key_id for key in keys}
    others = [quantities for key_id, quantities in by_key.items() if key_id not in known]
    return KeyPage(
        live=[row for row in rows if row.is_live],
        ended=[row for row in rows if not row.is_live],
        ended_sum=sum_quantities(row.quantities for row in rows if not row.is_live),
        other=sum_quantities(others) if others else None,
        total=costs.totals,
        period=period,
        is_cast=sum_quantities([row.quantities for row in rows] + others) == costs.totals,
    )


def _make_row(
    key: ApiKeyInfo,
    *,
    seat: Seat,
    now: datetime,
    sent: Mapping[str, datetime],
    by_key: Mapping[str, Quantities],
    names: Mapping[str, str],
) -> KeyRow:
    query = seat.link_query | {"key": key.key_id, "environment": ALL_ENVIRONMENTS, "period": "30d"}
    return KeyRow(
        key=key,
        maker=names[key.created_by],
        last_sent=sent.get(key.key_id),
        quantities=by_key.get(key.key_id, Quantities()),
        href=make_link("ledger", query),
        limit_words=write_limits(key.limits),
        is_live=key.is_live(now),
    )


def _name_makers(keys: Sequence[ApiKeyInfo], seat: Seat) -> dict[str, str]:
    """Who made them: a tenant's people are told their colleagues' names, and of others that they are the operator's."""
    actors = {key.created_by for key in keys}
    if seat.is_operator:
        return name_actors(actors) if seat.may_send else {actor: actor for actor in actors}
    numbers = {int(actor.removeprefix(PERSON)): actor for actor in actors if actor.startswith(PERSON)}
    colleagues = name_people(numbers, tenant_id=seat.tenant.id)
    return dict.fromkeys(actors, "") | {
        actor: colleagues.get(number, "the operator") for number, actor in numbers.items()
    }


def write_limits(limits: Limits) -> str:
    """A key's own limits in words, '' where it has none beside the tenant's."""
    return ", ".join(
        f"{number:,} {resource}" for resource, number in limits._asdict().items() if number is not None
    ) + (" a second" if any(limits) else "")


def seal_form(seat: Seat) -> str:
    """What a form that makes a key carries: the key to come, so that a form sent twice makes it once."""
    return signing.dumps([make_key_id(), seat.tenant.id, seat.user_id], salt=FORM_SALT)


def open_form(text: str, seat: Seat) -> str:
    """The public id of the key to come. Raises signing.BadSignature, and SignatureExpired after a day."""
    key_id, tenant_id, user_id = signing.loads(text, salt=FORM_SALT, max_age=FORM_SECONDS_MAX)
    if (tenant_id, user_id) != (seat.tenant.id, seat.user_id):
        raise signing.BadSignature("another's form")
    return key_id


def find_first_entry(*, tenant_id: int, key: ApiKeyInfo, now: datetime) -> dict[str, object] | None:
    """The newest entry that came with this key, None before the first: a tally says first whether there is one."""
    start = key.created_at.replace(minute=0, second=0, microsecond=0)
    rows = get_intake(tenant_id=tenant_id, start=start, end=now + ONE_HOUR)
    if not any(row.booked and row.api_key_id == key.key_id for row in rows):
        return None
    entries = list_entries(tenant_id=tenant_id, filters=EntryFilters(keys=(key.key_id,)), limit=1).entries
    return entries[0] if entries else None
