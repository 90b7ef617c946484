"""A provider restates one day of its bill: told as a difference, and every door says the same figure."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from billing.rates import forget_rate_book
from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.api.conftest import Machine
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates

pytestmark = pytest.mark.django_db

LAST = datetime.now(UTC).replace(day=1) - timedelta(days=1)
MONTH = f"{LAST:%Y-%m}"
MODEL = "gpt-4o-2024-08-06"
SUM_LEDGER_SQL = """
    SELECT coalesce(sum(billed_cost), 0) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND to_char(charge_period_start AT TIME ZONE 'UTC', 'YYYY-MM') = %(month)s"""


@pytest.fixture
def acme(db):
    publish_test_rates()
    yield make_tenant("acme")
    forget_rate_book()


def write_bill(*days):
    results = [
        {
            "object": "bucket",
            "start_time": int(datetime(LAST.year, LAST.month, day, tzinfo=UTC).timestamp()),
            "end_time": int(datetime(LAST.year, LAST.month, day + 1, tzinfo=UTC).timestamp()),
            "results": [
                {"object": "organization.costs.result", "amount": {"value": amount, "currency": "usd"},
                 "line_item": f"{MODEL}, input", "project_id": None}
            ],
        }
        for day, amount in days
    ]  # fmt: skip
    return json.dumps({"object": "page", "data": results, "has_more": False, "next_page": None})


def test_a_restated_day_is_told_and_page_api_file_and_sql_say_the_same(acme):
    machine = Machine(make_key(acme, "ingest,backfill,read,admin"))
    # 0.00475 a call: three calls on the 3rd, one on the 4th; the last minute of the 4th is of the 4th.
    times = [f"{MONTH}-03T08:00:00Z", f"{MONTH}-03T12:00:00Z", f"{MONTH}-03T23:59:59Z", f"{MONTH}-04T23:59:59Z"]
    booked = machine.post("/v1/events", json.dumps([make_wire_event(time=time) for time in times]))
    assert booked.json()["accepted"] == 4, booked.content
    apply_batches(now=datetime.now(UTC))
    first = machine.post("/v1/bills?filename=first.json", write_bill((3, "0.01425"), (4, "0.00475")))
    assert (first.status_code, first.json()["restated"]) == (201, [])
    month = machine.get(f"/v1/reconciliation?period={MONTH}").json()
    assert (month["total"]["variance"], month["blockers"]) == ("0", [])

    second = machine.post("/v1/bills?filename=second.json", write_bill((3, "0.01425"), (4, "2.5047500000001")))
    (restated,) = second.json()["restated"]
    assert (restated["day"], restated["before"], restated["after"], restated["difference"]) == (
        f"{MONTH}-04", "0.00475", "2.5047500000001", "2.5000000000001",
    )  # fmt: skip
    month = machine.get(f"/v1/reconciliation?period={MONTH}").json()
    assert [(row["day"][-2:], row["variance"], row["hint"]) for row in month["rows"]] == [
        ("03", "0", ""), ("04", "2.5000000000001", "rate"),
    ]  # fmt: skip
    assert (month["total"]["bill"], month["total"]["ledger"]) == ("2.5190000000001", "0.019")

    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute(SUM_LEDGER_SQL, {"tenant_id": acme.id, "month": MONTH})
        assert cursor.fetchone()[0] == Decimal(month["total"]["ledger"])
    finance = sign_in(role="finance")
    answer = finance.get(f"/reconciliation/file?tenant={acme.slug}&period={MONTH}")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    for column, name in (("bill_usd", "bill"), ("ledger_usd", "ledger"), ("unexplained_usd", "unexplained")):
        assert sum(Decimal(row[column]) for row in rows) == Decimal(month["total"][name])
    tables = read_tables(get_page(finance, f"/reconciliation?tenant={acme.slug}&period={MONTH}"))
    assert tables[0][-1][:4] == ["Total", "2.52", "0.0190", "+2.50"]
    assert tables[-1][1][1:] == ["openai", "0.00475", "2.50", "+2.50"]
