"""A page asks the database as often for fifty tenants and forty features as for one."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from tests.dashboards.bookings import book, on
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

NOVEMBER = "from=2026-11-01&to=2026-11-19"
PAGES = (
    "/?{}", "/", "/explore?{}&by=feature", "/explore?{}&by=feature&by=model&why=yes", "/explore?{}&by=user",
    "/ledger?{}", "/forecast", "/tenants?{}", "/rejected", "/rates?{}", "/design", "/find?q=a", "/budgets",
    "/alerts",
    "/audit", "/audit/statement", "/audit/log", "/reconciliation?period=2026-11",
    "/chargeback?period=2026-11", "/chargeback/rules", "/chargeback/rates",
)  # fmt: skip


def count_statements(client, path):
    with CaptureQueriesContext(connections["default"]) as own, CaptureQueriesContext(connections["reader"]) as other:
        assert client.get(path).status_code == 200, path
    return len(own) + len(other)


@pytest.mark.django_db(databases=["default", "reader"])
def test_a_page_asks_as_often_for_much_as_for_little(db):
    publish_test_rates()
    acme = make_tenant("acme")
    book(acme, {"feature": "a", "user": "ann", "time": on(3)}, {"feature": "aa", "time": on(3, month=10)})
    client = sign_in(role="finance")
    paths = [f"{page.format(NOVEMBER)}{'&' if '?' in page else '?'}tenant={acme.slug}" for page in PAGES]
    for path in paths:  # what a process reads once is read
        client.get(path)
    few = {path: count_statements(client, path) for path in paths}
    for number in range(50):
        make_tenant(f"t{number}")
    book(acme, *({"feature": f"a{i}", "user": f"u{i}", "time": on(1 + i % 19)} for i in range(40)))
    assert {path: count_statements(client, path) for path in paths} == few
