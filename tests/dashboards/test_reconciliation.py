"""Reconciliation: the operator's finance sends bills, explains and signs; nobody else finds the page."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from billing.rates import forget_rate_book
from chargeback.bills import list_bills
from chargeback.reconciliation import reconcile
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
LAST = datetime.now(UTC).replace(day=1) - timedelta(days=1)
MONTH = f"{LAST:%Y-%m}"
CALL = datetime(LAST.year, LAST.month, 3, 12, tzinfo=UTC)
MODEL = "gpt-4o-2024-08-06"


@pytest.fixture
def acme(db):
    """Two calls of the last month's third day, of 0.00475 each."""
    publish_test_rates()
    tenant = make_tenant("acme")
    book(tenant, {"time": CALL}, {"time": CALL})
    yield tenant
    forget_rate_book()


@pytest.fixture
def finance(acme):
    return sign_in(role="finance")


def write_bill(*lines):
    rows = [f'{MONTH}-{day:02}T00:00:00Z,{amount},usd,"{item}"\n' for day, amount, item in lines]
    return "start_time_iso,amount_value,amount_currency,line_item\n" + "".join(rows)


def send(client, tenant, **fields):
    return client.post(f"/reconciliation?tenant={tenant.slug}&period={MONTH}", fields)


def upload(client, tenant, text, **fields):
    file = SimpleUploadedFile("costs.csv", text.encode(), content_type="text/csv")
    return send(client, tenant, act="upload", file=file, **fields)


def open_page(client, tenant, query=""):
    return get_page(client, f"/reconciliation?tenant={tenant.slug}&period={MONTH}{query}")


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_a_tenant_s_own_people_find_no_such_page(acme, role):
    client = sign_in(acme, role=role)
    assert client.get("/reconciliation").status_code == 404
    assert client.get("/reconciliation/file").status_code == 404
    assert "Reconciliation</a>" not in get_page(client, "/")


def test_an_engineer_of_the_operator_finds_none_either(acme):
    client = sign_in(role="engineer")
    assert client.get(f"/reconciliation?tenant={acme.slug}").status_code == 404
    assert send(client, acme, act="sign", comment="me").status_code == 404


def test_a_bill_is_sent_and_stands_beside_the_ledger(acme, finance):
    assert "No bill tells of" in open_page(finance, acme)
    done = upload(finance, acme, write_bill((3, "3.0095", f"{MODEL}, input"), (4, "0.19", "tax")))
    assert (done.status_code, done["Location"]) == (
        302,
        f"/reconciliation?tenant={acme.slug}&period={MONTH}&done=imported",
    )
    page = open_page(finance, acme, "&done=imported")
    assert "The bill is kept" in page
    lines = read_tables(page)[0]
    assert [line[:6] for line in lines[1:]] == [
        ["no model OpenAI", "0.19", "0.00", "+0.19", "100.00", "0.00"],
        [f"{MODEL} OpenAI", "3.01", "0.00950", "+3.00", "99.68", "+3.00"],
        ["Total", "3.20", "0.00950", "+3.19", "99.70", "+3.00"],
    ]
    by_day = read_tables(open_page(finance, acme, "&by=day"))[0]
    assert [line[0] for line in by_day[1:]] == [f"3 {LAST:%B} OpenAI", f"4 {LAST:%B} OpenAI", "Total"]
    days = read_tables(open_page(finance, acme, f"&provider=openai&model={MODEL}"))[0]
    assert [line[0] for line in days[1:]] == [f"3 {LAST:%B} OpenAI"]
    again = upload(finance, acme, write_bill((3, "3.0095", f"{MODEL}, input"), (4, "0.19", "tax")))
    assert again["Location"].endswith("done=known")


def test_a_restated_day_is_shown_with_what_it_was(acme, finance):
    upload(finance, acme, write_bill((3, "3", MODEL), (4, "1", MODEL)))
    upload(finance, acme, write_bill((3, "3", MODEL), (4, "1.25", MODEL)))
    restated = read_tables(open_page(finance, acme))[-1]
    assert [line[1:] for line in restated[1:]] == [["openai", "1.00", "1.25", "+0.25"]]


def test_what_is_wrong_with_a_file_is_shown_and_nothing_kept(acme, finance):
    refused = upload(finance, acme, write_bill((3, "?", MODEL)))
    assert refused.status_code == 422
    problems = read_tables(refused.content.decode())[0]
    assert problems[1][:2] == ["2", "amount_value"]
    assert upload(finance, acme, "x").status_code == 422
    assert send(finance, acme, act="upload").status_code == 422
    assert send(finance, acme, act="dance").status_code == 400


def test_columns_of_one_s_own_are_told_once(acme, finance):
    text = f"when;sum;what\n{MONTH}-03;1.234,5;{MODEL}\n"
    unknown = upload(finance, acme, text)
    assert unknown.status_code == 422 and "Say below which is which" in unknown.content.decode()
    assert read_tables(unknown.content.decode())[0] == [
        ["Line", "when", "sum", "what"],
        ["2", f"{MONTH}-03", "1.234,5", MODEL],
    ]
    fields = {
        "column_day": "when", "column_amount": "sum", "column_model": "what", "constant_provider": "OpenAI",
        "constant_currency": "USD", "thousands": ".", "decimal": ",", "day_order": "iso",
    }  # fmt: skip
    file = SimpleUploadedFile("own.csv", text.encode())
    wrong = send(finance, acme, act="map", file=file, **fields | {"constant_provider": ""})
    assert wrong.status_code == 422 and "Provider is required" in wrong.content.decode()
    mapped = send(finance, acme, act="map", file=SimpleUploadedFile("own.csv", text.encode()), **fields)
    assert mapped["Location"].endswith("done=imported"), mapped.content
    assert reconcile(tenant_id=acme.id, period=CALL.date().replace(day=1)).comparison.total.bill == Decimal("1234.5")
    assert upload(finance, acme, text.replace("1.234,5", "2,0"))["Location"].endswith("done=imported")


def test_a_month_is_explained_taken_back_booked_and_signed(acme, finance):
    upload(finance, acme, write_bill((3, "3.0095", MODEL)))
    unsigned = send(finance, acme, act="sign", comment="looks right")
    assert unsigned.status_code == 422 and "is not explained" in unsigned.content.decode()
    named = {"provider": "openai", "model": MODEL}
    assert send(finance, acme, act="explain", reason="rate", comment="", **named).status_code == 422
    assert send(finance, acme, act="explain", reason="rate", comment="old price", **named).status_code == 302
    reasons = read_tables(open_page(finance, acme))[1]
    assert reasons[1][:4] == ["rate differs", "+3.00", "1", "old price"]
    assert send(finance, acme, act="take_back", decision="1")["Location"].endswith("done=taken_back")
    booked = send(finance, acme, act="true_up", comment="as billed", cost_center="research", **named)
    assert booked["Location"].endswith("done=booked")
    assert send(finance, acme, act="sign", comment="as billed")["Location"].endswith("done=signed")
    page = open_page(finance, acme)
    assert "Signed" in page and "are what the ledger says" in page
    upload(finance, acme, write_bill((3, "4", MODEL)))
    assert "Changed since it was signed" in open_page(finance, acme)


def test_a_tolerance_is_set_and_a_bill_withdrawn(acme, finance):
    upload(finance, acme, write_bill((3, "3.0095", MODEL)))
    assert send(finance, acme, act="tolerance", absolute="many", percent="1").status_code == 422
    assert send(finance, acme, act="tolerance", absolute="5", percent="1")["Location"].endswith("done=tolerance")
    assert "is within the tolerance" in open_page(finance, acme)
    bill = reconcile(tenant_id=acme.id, period=CALL.date().replace(day=1))
    assert bill.comparison.open_groups == ()
    (known,) = list_bills(tenant_id=acme.id)
    assert send(finance, acme, act="withdraw", bill=known.id)["Location"].endswith("done=withdrawn")
    assert send(finance, acme, act="withdraw", bill=known.id).status_code == 422
    assert "withdrawn" in open_page(finance, acme)


def test_the_file_has_every_digit_and_sums_to_the_difference(acme, finance):
    upload(finance, acme, write_bill((3, "3.0000000000000001", MODEL), (4, "1e-9", "gpt-5")))
    answer = finance.get(f"/reconciliation/file?tenant={acme.slug}&period={MONTH}")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [(row["model"], row["bill_usd"], row["ledger_usd"]) for row in rows] == [
        (MODEL, "3.0000000000000001", "0.0095"), ("gpt-5", "0.000000001", "0"),
    ]  # fmt: skip
    assert sum(Decimal(row["variance_usd"]) for row in rows) == Decimal("2.9905000010000001")
    book_of = finance.get(f"/reconciliation/file?tenant={acme.slug}&period={MONTH}&format=xlsx")
    assert book_of.status_code == 200 and book_of.content.startswith(b"PK")


def test_another_tenant_s_page_holds_nothing_of_it(acme, finance):
    upload(finance, acme, write_bill((3, "3.0095", MODEL)))
    globex = make_tenant("globex")
    page = open_page(finance, globex)
    assert "costs.csv" not in page and "No bill tells of" in page
