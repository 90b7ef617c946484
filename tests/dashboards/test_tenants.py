"""The operator's table is read by another role, on another connection: it sees what was committed."""

import csv
import io
from decimal import Decimal

from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates

NOVEMBER = "from=2026-11-01&to=2026-11-19"


def test_all_tenants_stand_in_one_table_that_adds_up(committed_db):
    publish_test_rates()
    acme, globex, initech = make_tenant("acme"), make_tenant("globex"), make_tenant("initech")
    book(acme, *({"time": on(3)} for _ in range(3)), {"time": on(3), "environment": "development"})
    book(globex, {"time": on(3)}, {"time": on(3), "model": "no-such-model"}, {"time": on(3, month=10)})
    client = sign_in(role="finance")
    [table] = read_tables(get_page(client, f"/tenants?{NOVEMBER}"))
    ours = {row[0].split()[0]: row for row in table[1:]}
    assert ours[acme.slug][1] == "0.0142"
    assert ours[globex.slug][1] == "0.00475"
    assert ours[globex.slug][4:] == ["2", "1", "0.00475", "0.00", "no change"]
    assert ours[initech.slug][4:] == ["0", "0", "0.00", "0.00", "no calls"]
    rows = list(csv.DictReader(io.StringIO(client.get(f"/tenants/file?{NOVEMBER}").content.decode())))
    exact = {row["tenant"]: row["cost"] for row in rows}
    assert exact[acme.slug] == "0.014250000000"
    assert Decimal(exact.pop("Total")) == sum(Decimal(cost or 0) for cost in exact.values())
    everywhere = read_tables(get_page(client, f"/tenants?{NOVEMBER}&environment=all"))[0]
    assert {row[0].split()[0]: row[1] for row in everywhere}[acme.slug] == "0.0190"
