"""Business drivers are kept as they come: the newest value of a day counts, and none is ever changed."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from billing.core.drivers import DriverValue
from billing.drivers import NAMES_MAX, DriversRefused, keep_drivers, list_drivers, sum_drivers, take_back_driver
from tenants.scope import tenant_scope
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = date(2026, 11, 3)


@pytest.fixture
def acme(db):
    return make_tenant("acme")


def value(quantity, day=DAY, name="orders"):
    return DriverValue(name, day, Decimal(quantity))


def keep(tenant, *values, now=NOW, actor="person 1"):
    result = keep_drivers(values, tenant_id=tenant.id, actor=actor, now=now)
    return result.kept, result.unchanged


def list_all(tenant):
    kept = list_drivers(tenant_id=tenant.id, first=date(2026, 11, 1), after=date(2026, 12, 1))
    return [(each.name, each.day.day, each.quantity, each.kept_by) for each in kept]


def test_the_newest_value_of_a_day_counts_and_the_same_again_keeps_nothing(acme):
    assert keep(acme, value("10"), value("4", name="seats")) == (2, 0)
    assert keep(acme, value("10.0"), value("4", name="seats")) == (0, 2)
    assert keep(acme, value("12"), value("3", day=date(2026, 11, 4)), actor="key k") == (2, 0)
    assert list_all(acme) == [("orders", 3, 12, "key k"), ("orders", 4, 3, "key k"), ("seats", 3, 4, "person 1")]
    orders, seats = sum_drivers(tenant_id=acme.id)
    assert (orders.days, orders.quantity, orders.corrections, orders.kept_by) == (2, 15, 1, "key k")
    assert (seats.days, seats.quantity, seats.corrections) == (1, 4, 0)


def test_a_driver_taken_back_counts_no_more_stays_on_record_and_may_come_again(acme):
    keep(acme, value("10"))
    assert take_back_driver("orders", tenant_id=acme.id, actor="person 1", now=NOW) == 1
    assert take_back_driver("orders", tenant_id=acme.id, actor="person 1", now=NOW) == 0
    assert list_all(acme) == [] and sum_drivers(tenant_id=acme.id) == []
    assert keep(acme, value("10"), now=NOW + timedelta(hours=1)) == (1, 0)
    assert sum_drivers(tenant_id=acme.id)[0].corrections == 2  # the first one, and its end


def test_a_driver_too_many_is_refused_and_nothing_of_it_is_kept(acme):
    values = [value("1", name=f"driver {number}") for number in range(NAMES_MAX + 1)]
    with pytest.raises(DriversRefused, match="at most 50 drivers"), transaction.atomic():
        keep(acme, *values)
    assert list_all(acme) == []


def test_another_tenants_drivers_are_not_seen_and_not_taken_back(acme):
    globex = make_tenant("globex")
    keep(acme, value("10"))
    assert list_all(globex) == [] and sum_drivers(tenant_id=globex.id) == []
    assert take_back_driver("orders", tenant_id=globex.id, actor="person 2", now=NOW) == 0
    assert len(list_all(acme)) == 1


def test_the_application_cannot_change_or_delete_what_was_kept(acme):
    keep(acme, value("10"))
    for statement in ("UPDATE business_driver SET quantity = 1", "DELETE FROM business_driver"):
        with pytest.raises(ProgrammingError) as refused, transaction.atomic(), tenant_scope(acme.id):
            connection.cursor().execute(statement)
        assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)
