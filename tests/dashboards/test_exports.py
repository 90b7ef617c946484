"""Files: what a page shows stands in its CSV and in its workbook, to the last digit, and nothing in them runs."""

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from audit.formats.fields import FORMULA_STARTS
from billing.rollups import apply_batches
from dashboards import exports
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_workbook, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db", "fresh_rate_book")
NAME = '=HYPERLINK("http://x")'
# A page, the file of one of its tables, and the file's column of money.
TABLES = (
    ("/", "overview/file?table=feature", "cost"),
    ("/", "overview/file?table=model", "cost"),
    ("/", "overview/file?table=days", "total"),
    ("/", "overview/file?table=changes", "after"),
    ("/", "overview/file?table=savings", "saved"),
    ("/ledger", "ledger/file?", "billed_cost"),
    ("/traces", "traces/list/file?", "billed_cost"),
    ("/rates", "rates/file?", "cost"),
    ("/tenants", "tenants/file?", "cost"),
)


@pytest.fixture
def client():
    """An operator's browser, and a tenant with a trace of two calls, one call in none, and one without a price."""
    publish_test_rates()
    acme = make_tenant("acme")
    now = datetime.now(UTC)
    book(
        acme,
        {"feature": NAME, "time": now, "trace_id": "t1", "user": "@ann"},
        {"feature": NAME, "time": now, "trace_id": "t1", "usage": {"input_tokens": 1}},
        {"feature": "search", "time": now},
        {"feature": "pilot", "time": now, "model": "+no-such-model"},
    )
    while apply_batches(now=datetime.now(UTC)):
        pass
    client = sign_in(role="finance")
    client.tenant = acme
    return client


def get_csv(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.content)
    return list(csv.reader(io.StringIO(answer.content.decode())))


def list_rows(sheet):
    """The sheet's cells as a CSV's fields: defused as one does it."""
    rows = [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    return [
        [f"'{cell}" if cell.startswith(FORMULA_STARTS) and not is_number(cell) else cell for cell in row]
        for row in rows
    ]


def is_number(text):
    return re.fullmatch(r"-?[0-9.]+", text) is not None


@pytest.mark.parametrize(("page", "file", "column"), TABLES)
def test_page_csv_and_workbook_hold_one_table_to_the_last_digit(client, page, file, column):
    asked = f"period=30d&environment=all&tenant={client.tenant.slug}"
    fields = get_csv(client, f"/{file}&{asked}")
    workbook = read_workbook(client, f"/{file}&{asked}&format=xlsx")
    assert list_rows(workbook["Every digit"]) == fields
    place = fields[0].index(column)
    amounts = [row[place] for row in fields[1:]]
    numbers = [row[place] for row in workbook["Figures"].iter_rows(min_row=2, values_only=True)]
    # A workbook's number has 16 digits at most, and other tests' tenants may have cost more.
    assert numbers == [pytest.approx(float(amount), rel=1e-15) if amount else None for amount in amounts]
    shown = {Decimal(value) for value in re.findall(r'<data value="([^"]+)"', get_page(client, f"{page}?{asked}"))}
    assert {Decimal(amount) for amount in amounts if amount} <= shown | {Decimal(0)}
    assert any(Decimal(amount or 0) for amount in amounts)


@pytest.mark.parametrize("file", [file for _, file, _ in TABLES])
def test_a_workbook_says_whose_it_is_and_where_its_page_stands(client, file):
    asked = f"period=30d&environment=all&tenant={client.tenant.slug}"
    about = dict(read_workbook(client, f"/{file}&{asked}&format=xlsx")["About"].iter_rows(values_only=True))
    page = re.sub(r"/?(list/)?file.*", "", file)
    assert about["Tenant"] == ("all" if page == "tenants" else client.tenant.slug)
    assert about["Environment"] == "all" and " to " in about["Period"]
    assert about["Address"] == f"http://testserver/{'' if page == 'overview' else page}?{asked}"
    assert get_page(client, about["Address"].removeprefix("http://testserver"))


def test_a_table_with_more_rows_than_a_workbook_may_have_is_refused_with_the_way_out(client, monkeypatch):
    monkeypatch.setattr(exports, "SHEET_CELLS_MAX", 90)
    address = f"/ledger/file?tenant={client.tenant.slug}"
    answer = client.get(f"{address}&format=xlsx")
    assert answer.status_code == 400
    assert (
        "a workbook of 30 columns holds at most 3 rows, and this table has 4; take the CSV, or narrow the filter"
        in answer.content.decode()
    )
    assert len(get_csv(client, address)) == 5
    assert read_workbook(client, f"{address}&format=xlsx&feature=search")["About"]["B4"].value == "feature=search"


def test_each_page_leads_to_both_of_its_files(client):
    for page, file, _ in TABLES:
        asked = f"tenant={client.tenant.slug}&environment=all&period=30d"
        html = get_page(client, f"{page}?{asked}").replace("&amp;", "&")
        path, _, table = file.partition("?")
        for kind in ("csv", "xlsx"):
            links = re.findall(rf'href="(/{path}\?[^"]*)"[^>]*>{kind.upper()}</a>', html)
            link = next(each for each in links if table in each)
            assert f"format={kind}" in link and client.get(link).status_code == 200
