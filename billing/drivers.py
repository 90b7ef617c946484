"""Business drivers of a tenant: kept as they come, never changed; of a day the newest value counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connection, connections, transaction

from billing.core.drivers import DriverValue
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import tenant_scope

NAMES_MAX = 50


class DriversRefused(ValueError):
    """Values that are not kept, in a sentence."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What became of values: kept anew, or known already."""

    kept: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class KeptDriver:
    """The value of a day that counts. kept_by: as acts name an actor."""

    name: str
    day: date
    quantity: Decimal
    kept_by: str
    kept_at: datetime


@dataclass(frozen=True, slots=True)
class DriverSummary:
    """All days of a driver. corrections: values that others took the place of."""

    name: str
    days: int
    first: date
    last: date
    quantity: Decimal
    corrections: int
    kept_by: str
    kept_at: datetime


# A value that the day has already adds no row; a missing one is as if it were taken back.
KEEP_DRIVERS_SQL = """
    INSERT INTO business_driver (tenant_id, name, day, quantity, kept_by, kept_at)
    SELECT %(tenant_id)s::bigint, new.name, new.day, new.quantity, %(kept_by)s, %(now)s
    FROM unnest(%(names)s::text[], %(days)s::date[], %(quantities)s::numeric[]) AS new (name, day, quantity)
    LEFT JOIN LATERAL (
        SELECT quantity FROM business_driver AS kept
        WHERE kept.tenant_id = %(tenant_id)s AND kept.name = new.name AND kept.day = new.day
        ORDER BY id DESC LIMIT 1) AS before ON true
    WHERE before.quantity IS DISTINCT FROM new.quantity"""
COUNT_DRIVER_NAMES_SQL = "SELECT count(DISTINCT name) FROM business_driver WHERE tenant_id = %(tenant_id)s"


def keep_drivers(values: Sequence[DriverValue], *, tenant_id: int, actor: str, now: datetime) -> Keeping:
    """Keep all of the values, each day and name once; the same again keeps nothing. Raises DriversRefused."""
    with transaction.atomic(), tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            KEEP_DRIVERS_SQL,
            {
                "tenant_id": tenant_id,
                "kept_by": actor,
                "now": now,
                "names": [value.name for value in values],
                "days": [value.day for value in values],
                "quantities": [value.quantity for value in values],
            },
        )
        kept = cursor.rowcount
        cursor.execute(COUNT_DRIVER_NAMES_SQL, {"tenant_id": tenant_id})
        if cursor.fetchone()[0] > NAMES_MAX:
            raise DriversRefused(f"A tenant has at most {NAMES_MAX} drivers; use the name of one that there is.")
        if kept:
            _record("drivers.kept", _sum_up(values, kept=kept), tenant_id=tenant_id, actor=actor, now=now)
    return Keeping(kept, len(values) - kept)


TAKE_BACK_DRIVER_SQL = """
    INSERT INTO business_driver (tenant_id, name, day, quantity, kept_by, kept_at)
    SELECT %(tenant_id)s::bigint, name, day, NULL, %(kept_by)s, %(now)s
    FROM (SELECT DISTINCT ON (day) name, day, quantity FROM business_driver
          WHERE tenant_id = %(tenant_id)s AND name = %(name)s
          ORDER BY day, id DESC) AS current
    WHERE quantity IS NOT NULL"""


def take_back_driver(name: str, *, tenant_id: int, actor: str, now: datetime) -> int:
    """Let no day of the driver count any more; how many did. What was kept stays on record."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(TAKE_BACK_DRIVER_SQL, {"tenant_id": tenant_id, "name": name, "kept_by": actor, "now": now})
        days = cursor.rowcount
        if days:
            facts = {"names": name, "days": str(days)}
            _record("drivers.taken_back", facts, tenant_id=tenant_id, actor=actor, now=now)
        return days


def _sum_up(values: Sequence[DriverValue], *, kept: int) -> dict[str, str]:
    """What was sent, in short; each value stands in `business_driver`, the earlier ones of its day too."""
    days = [value.day for value in values]
    return {
        "names": ", ".join(sorted({value.name for value in values})),
        "kept": str(kept),
        "unchanged": str(len(values) - kept),
        "first_day": min(days).isoformat(),
        "last_day": max(days).isoformat(),
    }


def _record(name: str, facts: Mapping[str, str], *, tenant_id: int, actor: str, now: datetime) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)


LIST_DRIVERS_SQL = """
    SELECT name, day, quantity, kept_by, kept_at
    FROM (SELECT DISTINCT ON (name, day) * FROM business_driver
          WHERE tenant_id = %(tenant_id)s AND day >= %(first)s AND day < %(after)s
            AND (%(names)s::text[] IS NULL OR name = ANY(%(names)s::text[]))
          ORDER BY name, day, id DESC) AS current
    WHERE quantity IS NOT NULL
    ORDER BY name, day"""


def list_drivers(
    *, tenant_id: int, first: date, after: date, names: Sequence[str] = (), using: str = "default"
) -> list[KeptDriver]:
    """The values that count of [first, after), by name and day; of the drivers `names`, of all where none is named."""
    values = {"tenant_id": tenant_id, "first": first, "after": after, "names": list(names) or None}
    with tenant_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_DRIVERS_SQL, values)
        return [KeptDriver(*row) for row in cursor.fetchall()]


SUM_DRIVERS_SQL = """
    SELECT name, count(*), min(day), max(day), sum(quantity), (sum(rows) - count(*))::bigint,
           (array_agg(kept_by ORDER BY kept_at DESC, day DESC))[1], max(kept_at)
    FROM (SELECT DISTINCT ON (name, day) *, count(*) OVER (PARTITION BY name, day) AS rows FROM business_driver
          WHERE tenant_id = %(tenant_id)s
          ORDER BY name, day, id DESC) AS current
    WHERE quantity IS NOT NULL
    GROUP BY name ORDER BY name"""


def sum_drivers(*, tenant_id: int, using: str = "default") -> list[DriverSummary]:
    """Every driver that has a day, by name."""
    with tenant_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(SUM_DRIVERS_SQL, {"tenant_id": tenant_id})
        return [DriverSummary(*row) for row in cursor.fetchall()]
