"""The demo's bills: made of its ledger, one day restated, a tax, a credit and a tool that nobody meters."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing.rates import forget_rate_book
from chargeback import demo_bills
from chargeback.bills import list_bills
from chargeback.core.bills import read_bill
from chargeback.core.reconciliation import Booked
from chargeback.demo_bills import seed_bills
from chargeback.reconciliation import reconcile
from tests.dashboards.bookings import book, on
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 12, 3, tzinfo=UTC)


def test_a_demo_tenant_s_month_differs_by_what_was_made_up_and_by_nothing_else(db, monkeypatch):
    publish_test_rates()
    acme = make_tenant("acme")
    monkeypatch.setattr(demo_bills, "TENANT", acme.slug)
    book(acme, {"time": on(3)}, {"time": on(17)})
    assert seed_bills(tenant=acme, now=NOW) == 2
    found = reconcile(tenant_id=acme.id, period=date(2026, 11, 1)).comparison
    # 6 % of the 17th's 0.00475, two days' searches of 0.35, and a credit of 0.50.
    assert found.total.variance == Decimal("0.000285") + Decimal("0.70") - Decimal("0.50")
    assert found.total.explained == {"discount": Decimal("-0.50"), "not_in_ledger": Decimal("0.70")}
    assert found.total.unexplained == Decimal("0.000285")
    assert seed_bills(tenant=acme, now=NOW) == 0 and len(list_bills(tenant_id=acme.id)) == 2
    forget_rate_book()


def test_other_clouds_come_in_a_focus_file_with_their_tax():
    day = date(2026, 11, 3)
    booked = [Booked(("google", "gemini-2.5-flash", day), Decimal(2)), Booked(("mistral", "small", day), Decimal(1))]
    bill = read_bill(demo_bills.write_focus(booked, date(2026, 11, 1)).encode(), find_mapping=lambda columns: None)
    assert [(each.provider, each.model, each.amount, each.category) for each in bill.charges] == [
        ("google", "gemini-2.5-flash", Decimal(2), "usage"), ("mistral", "small", Decimal(1), "usage"),
        ("google", "", Decimal("0.57"), "tax"),
    ]  # fmt: skip
