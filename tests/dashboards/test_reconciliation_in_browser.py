"""A bill with one restated day, from the upload to the sign-off, without a script."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browsing import PHONE, WIDE, list_too_wide, list_violations
from tests.dashboards.bookings import book
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.timeout(300)

LAST = datetime.now(UTC).replace(day=1) - timedelta(days=1)
MONTH = f"{LAST:%Y-%m}"
MODEL = "gpt-4o-2024-08-06"


@pytest.fixture
def acme(committed_db):
    """Two calls of the last month, of 0.00475 each."""
    publish_test_rates()
    tenant = make_tenant("acme")
    book(tenant, *({"time": datetime(LAST.year, LAST.month, day, 12, tzinfo=UTC)} for day in (3, 4)))
    return tenant


def write_file(folder, name, fourth):
    rows = [f'{MONTH}-{day}T00:00:00Z,{amount},usd,"{MODEL}, input"\n' for day, amount in (("03", "0.00475"), fourth)]
    path = folder / name
    path.write_text("start_time_iso,amount_value,amount_currency,line_item\n" + "".join(rows))
    return path


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone"])
def test_finance_sends_a_bill_and_its_correction_explains_the_rest_and_signs(open_page, acme, tmp_path, size, theme):
    address = f"/reconciliation?tenant={acme.slug}"
    page = open_page(address, client=sign_in(role="finance"), size=size, theme=theme)
    expect(page.get_by_text("No bill tells of")).to_be_visible()

    def send(path):
        page.get_by_label("CSV, JSON or Parquet").set_input_files(path)
        page.get_by_role("button", name="Send the bill").press("Enter")
        page.wait_for_url("**done=imported")

    send(write_file(tmp_path, "first.csv", ("04", "2.00475")))
    expect(page.get_by_text("The bill is kept")).to_be_visible()
    send(write_file(tmp_path, "corrected.csv", ("04", "3.00475")))
    page.get_by_text("corrected.csv: 1 restated day").click()
    expect(page.get_by_role("table", name="Days that corrected.csv told anew")).to_contain_text("+1.00")
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_label("Comment, kept in the ledger").last.fill("looks right")
    page.get_by_role("button", name=f"Sign {LAST:%B}").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("3 USD is not explained")
    page.get_by_label("Explain OpenAI").first.click()
    page.get_by_label("Reason for").first.select_option("not in the ledger (unmetered use)")
    page.get_by_label("Comment, kept in the ledger").first.fill("a notebook without a key")
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_role("button", name="Keep the reason").first.press("Enter")
    page.wait_for_url("**done=explained")
    page.get_by_label("Comment, kept in the ledger").last.fill("looks right")
    page.get_by_role("button", name=f"Sign {LAST:%B}").press("Enter")
    page.wait_for_url("**done=signed")
    expect(page.locator(".dateline").get_by_text("Signed")).to_be_visible()
    expect(page.get_by_text("a notebook without a key")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    assert [text for text in page.complaints if "422" not in text] == []


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "dark"), (PHONE, "light")], ids=["wide", "phone"])
def test_finance_says_once_which_column_is_what(open_page, acme, tmp_path, size, theme):
    page = open_page(f"/reconciliation?tenant={acme.slug}", client=sign_in(role="finance"), size=size, theme=theme)
    path = tmp_path / "own.csv"
    path.write_text(f"Day of use;Net amount;Model name;Who pays for it\n{MONTH}-03;1.234,50;{MODEL};Research\n")
    page.get_by_label("CSV, JSON or Parquet").set_input_files(path)
    page.get_by_role("button", name="Send the bill").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Say below which is which")
    expect(page.get_by_role("region", name="The first lines of the file")).to_contain_text("1.234,50")
    assert list_too_wide(page) == [] and list_violations(page) == []
    for label, column in (("Day", "Day of use"), ("Amount", "Net amount"), ("Model", "Model name")):
        page.get_by_label(label, exact=True).select_option(column)
    page.get_by_label("Provider of every line").fill("OpenAI")
    page.get_by_label("Between thousands").select_option("a point")
    page.get_by_label("Before decimals").select_option("a comma")
    page.get_by_label("The file once more").set_input_files(path)
    page.get_by_role("button", name="Keep the columns and send the bill").press("Enter")
    page.wait_for_url("**done=imported")
    expect(page.get_by_role("table", name="Files that tell of these days")).to_contain_text("1,234.50")
    path.write_text(path.read_text().replace("1.234,50", "many"))
    page.get_by_label("CSV, JSON or Parquet").set_input_files(path)
    page.get_by_role("button", name="Send the bill").press("Enter")
    expect(page.get_by_role("table", name="Lines that could not be read")).to_contain_text("Net amount")
    assert list_too_wide(page) == [] and list_violations(page) == []
    assert [text for text in page.complaints if "422" not in text] == []
