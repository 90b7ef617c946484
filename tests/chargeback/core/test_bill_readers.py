"""Bills of each format read as they come: every digit, every odd line, and all that is wrong at once."""

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chargeback.core.bills import (
    BillProblem,
    BillRefused,
    Coverage,
    LayoutUnknown,
    MappingRefused,
    read_bill,
    read_mapping,
)
from chargeback.core.bills.cells import read_amount, read_local_amount, read_local_day, read_moment
from chargeback.core.bills.providers import find_provider, read_line_item

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def read(text, mapping=None):
    content = text if isinstance(text, bytes) else text.encode()
    return read_bill(content, find_mapping=lambda columns: mapping and read_mapping(mapping))


def write_csv(*rows):
    """A CSV of rows that each name their columns; columns in the first row's order."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def list_facts(bill):
    return [(charge.day.isoformat(), charge.model, str(charge.amount), charge.category) for charge in bill.charges]


# --- cells ---


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1e-9", "1E-9"),
        ("-0.5", "-0.5"),
        (" .25 ", "0.25"),
        ("+3.", "3"),
        ("(3.10)", "-3.10"),
        ("$4", "4"),
        ("0E-6176", "0"),
        ("-0.00", "0"),
        ("0.0000008000000000000000000000001234", "8.000000000000000000000001234E-7"),
    ],
)
def test_an_amount_keeps_every_digit(text, amount):
    assert str(read_amount(text)) == amount


@pytest.mark.parametrize("text", ["1,234.50", "1 234", "", "NULL", "abc", "1e99", "Infinity", "0x10", "1_000", "١"])
def test_what_is_no_amount_is_refused_and_never_guessed(text):
    with pytest.raises(ValueError, match=r"^(is|has) "):
        read_amount(text)


@pytest.mark.parametrize(
    ("text", "thousands", "decimal", "amount"),
    [("1.234,56", ".", ",", "1234.56"), ("1,234,567.8", ",", ".", "1234567.8"), ("-1 234,5", " ", ",", "-1234.5"),
     ("12,5", "", ",", "12.5")],
)  # fmt: skip
def test_thousands_and_commas_are_read_where_a_mapping_says_so(text, thousands, decimal, amount):
    assert str(read_local_amount(text, thousands=thousands, decimal=decimal)) == amount


@pytest.mark.parametrize(
    ("text", "thousands", "decimal"), [("12,34", ",", "."), ("1.234,5", "", ","), ("1,23,456", ",", ".")]
)
def test_a_mapping_that_does_not_fit_an_amount_is_told(text, thousands, decimal):
    with pytest.raises(ValueError, match="is no amount"):
        read_local_amount(text, thousands=thousands, decimal=decimal)


@pytest.mark.parametrize(
    "text",
    ["2026-11-03", "2026-11-03T00:00:00Z", "2026-11-03 00:00:00", "2026-11-03T02:00:00+02:00", "1793664000",
     "2026-11-03T00:00:00.000Z", "2026-11-03 00:00:00 UTC"],
)  # fmt: skip
def test_a_day_is_one_of_utc(text):
    assert read_moment(text) == datetime(2026, 11, 3, tzinfo=UTC)


def test_a_local_day_is_read_in_the_order_that_the_mapping_says():
    assert read_local_day("3.11.2026", order="day_month_year").date() == date(2026, 11, 3)
    assert read_local_day("11/3/2026", order="month_day_year").date() == date(2026, 11, 3)
    with pytest.raises(ValueError, match="is no day"):
        read_local_day("11/30/2026", order="day_month_year")


def test_a_provider_is_found_by_its_company_and_a_model_in_its_line_item():
    names = ("AWS", "Microsoft", "Google Cloud", "ANTHROPIC", "Mistral AI", "Acme GPU")
    assert [find_provider(name) for name in names] == ["aws", "azure", "google", "anthropic", "mistral", "acme gpu"]
    items = {
        "gpt-4o-2024-08-06, input": "gpt-4o-2024-08-06",
        "gpt-4o-2024-08-06, cached input": "gpt-4o-2024-08-06",
        "o3-mini-2025-01-31, batch output": "o3-mini-2025-01-31",
        "text-embedding-3-small": "text-embedding-3-small",
        "ft:gpt-4o-mini-2024-07-18:acme::9x, output": "ft:gpt-4o-mini-2024-07-18:acme::9x",
        "web search tool calls": "",
        "assistants api | file search": "",
        "Image models": "",
        "": "",
    }
    assert {item: read_line_item(item) for item in items} == items


# --- OpenAI ---

OPENAI_COLUMNS = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,organization_id"
)
THIRD = "1793664000,1793750400,2026-11-03T00:00:00+00:00,2026-11-04T00:00:00+00:00"
FOURTH = "1793750400,1793836800,2026-11-04T00:00:00+00:00,2026-11-05T00:00:00+00:00"
FIFTH = "1793836800,1793923200,2026-11-05T00:00:00+00:00,2026-11-06T00:00:00+00:00"
OPENAI = (
    f"\ufeff{OPENAI_COLUMNS}\r\n"
    f'{THIRD},0.0123456789012345678901,usd,"gpt-4o-2024-08-06, input",org-1\r\n'
    f'{THIRD},1e-9,usd,"gpt-4o-2024-08-06, output",org-1\r\n'
    f"{THIRD},-2.5,usd,promotional credits,org-1\r\n"
    f"{FOURTH},,,,\r\n"
    f'{FIFTH},0.5,usd,"gpt-4o-2024-08-06, input",org-1\r\n'
)


def test_openai_s_export_is_read_with_its_mark_its_tiny_and_its_empty_lines():
    bill = read(OPENAI)
    assert bill.format == "openai_csv"
    assert list_facts(bill) == [
        ("2026-11-03", "gpt-4o-2024-08-06", "0.0123456789012345678901", "usage"),
        ("2026-11-03", "gpt-4o-2024-08-06", "1E-9", "usage"),
        ("2026-11-03", "", "-2.5", "credit"),
        ("2026-11-05", "gpt-4o-2024-08-06", "0.5", "usage"),
    ]
    assert [charge.line for charge in bill.charges] == [2, 3, 4, 6]
    assert bill.covers == (Coverage("openai", "org-1", date(2026, 11, 3), date(2026, 11, 5)),)
    assert bill.totals == {"USD": Decimal("-1.9876543200987654321099")}


def test_openai_s_answer_is_read_with_days_that_cost_nothing():
    def make_bucket(start, *results):
        return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}

    def make_result(value, item):
        amount = {"value": value, "currency": "usd"}
        return {"object": "organization.costs.result", "amount": amount, "line_item": item, "project_id": None}

    first = make_bucket(1793664000, make_result("0E-6176", "gpt-5, input"), make_result(0.06, "gpt-5, output"))
    page = {"object": "page", "data": [first, make_bucket(1793750400)], "has_more": True, "next_page": "x"}
    bill = read(json.dumps(page))
    assert bill.format == "openai_json"
    assert list_facts(bill) == [("2026-11-03", "gpt-5", "0", "usage"), ("2026-11-03", "gpt-5", "0.06", "usage")]
    assert bill.covers == (Coverage("openai", "", date(2026, 11, 3), date(2026, 11, 4)),)
    assert [note.code for note in bill.notes] == ["more_pages"]


# --- Anthropic ---


def test_anthropic_s_report_is_in_cents_and_its_console_in_dollars():
    result = {
        "amount": "123.45", "currency": "USD", "cost_type": "tokens", "description": "Claude Sonnet 4 Usage - Input",
        "model": "claude-sonnet-4-20250514", "token_type": "uncached_input_tokens", "workspace_id": None,
    }  # fmt: skip
    search = {"amount": "1000", "currency": "USD", "cost_type": "web_search", "description": None, "model": None}
    bucket = {"starting_at": "2026-11-03T00:00:00Z", "ending_at": "2026-11-04T00:00:00Z", "results": [result, search]}
    bill = read(json.dumps({"data": [bucket], "has_more": False, "next_page": None}))
    assert list_facts(bill) == [
        ("2026-11-03", "claude-sonnet-4-20250514", "1.2345", "usage"),
        ("2026-11-03", "", "10.00", "usage"),
    ]
    assert [charge.description for charge in bill.charges] == ["Claude Sonnet 4 Usage - Input", "web_search"]
    console = (
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type\n"
        "2026-11-03,Claude Haiku 4.5,Default,ci,message,≤ 200k,input_no_cache,0.05,0.05,token\n"
        "2026-11-03,Claude Haiku 4.5,Default,ci,message,≤ 200k,input_no_cache,0.05,0.05,token\n"
    )
    bill = read(console)
    assert list_facts(bill) == [("2026-11-03", "Claude Haiku 4.5", "0.05", "usage")] * 2
    (note,) = bill.notes
    assert (note.code, note.lines) == ("identical_lines", (2, 3))


def test_cents_of_another_currency_are_refused():
    bucket = {"starting_at": "2026-11-03", "ending_at": "2026-11-04", "results": [{"amount": "5", "currency": "JPY"}]}
    with pytest.raises(BillRefused) as caught:
        read(json.dumps({"data": [bucket]}))
    assert caught.value.problems[0].column == "currency"


# --- AWS ---

LEGACY = {
    "identity/LineItemId": "abc", "identity/TimeInterval": "2026-11-03T00:00:00Z/2026-11-03T01:00:00Z",
    "bill/PayerAccountId": "111122223333", "bill/BillingPeriodStartDate": "2026-11-01T00:00:00Z",
    "bill/BillingPeriodEndDate": "2026-12-01T00:00:00Z", "lineItem/LineItemType": "Usage",
    "lineItem/UsageStartDate": "2026-11-03T00:00:00Z", "lineItem/UsageEndDate": "2026-11-03T01:00:00Z",
    "lineItem/ProductCode": "AmazonBedrock", "lineItem/UsageType": "USE1-Claude3Sonnet-input-tokens",
    "lineItem/CurrencyCode": "USD", "lineItem/UnblendedCost": "0.0030000000", "lineItem/LineItemDescription": "input",
}  # fmt: skip


def name_newer(row):
    """The same row with the columns of CUR 2.0."""
    names = {
        "identity/LineItemId": "identity_line_item_id", "identity/TimeInterval": "identity_time_interval",
        "bill/PayerAccountId": "bill_payer_account_id",
        "bill/BillingPeriodStartDate": "bill_billing_period_start_date",
        "bill/BillingPeriodEndDate": "bill_billing_period_end_date",
        "lineItem/LineItemType": "line_item_line_item_type", "lineItem/UsageStartDate": "line_item_usage_start_date",
        "lineItem/UsageEndDate": "line_item_usage_end_date", "lineItem/ProductCode": "line_item_product_code",
        "lineItem/UsageType": "line_item_usage_type", "lineItem/CurrencyCode": "line_item_currency_code",
        "lineItem/UnblendedCost": "line_item_unblended_cost",
        "lineItem/LineItemDescription": "line_item_line_item_description",
    }  # fmt: skip
    return {names[name]: value for name, value in row.items()}


def test_both_generations_of_a_cost_and_usage_report_say_the_same():
    rows = [
        LEGACY,
        LEGACY | {"identity/LineItemId": "tax", "lineItem/LineItemType": "Tax", "lineItem/UnblendedCost": "0.19"},
        LEGACY
        | {"identity/LineItemId": "edp", "lineItem/LineItemType": "EdpDiscount", "lineItem/UnblendedCost": "-0.0003"},
        LEGACY | {"identity/LineItemId": "ec2", "lineItem/ProductCode": "AmazonEC2", "lineItem/UsageType": "BoxUsage"},
    ]
    old, new = read(write_csv(*rows)), read(write_csv(*map(name_newer, rows)))
    assert old.charges == new.charges and old.format == new.format == "aws_cur"
    assert list_facts(old) == [
        ("2026-11-03", "Claude3Sonnet", "0.0030000000", "usage"),
        ("2026-11-03", "Claude3Sonnet", "0.19", "tax"),
        ("2026-11-03", "Claude3Sonnet", "-0.0003", "discount"),
        ("2026-11-03", "", "0.0030000000", "other_service"),
    ]


def test_a_line_id_that_stands_twice_is_counted_once_and_a_restated_one_by_its_last_line():
    twice = [LEGACY, LEGACY, LEGACY | {"identity/TimeInterval": "2026-11-03T01:00:00Z/2026-11-03T02:00:00Z"}]
    bill = read(write_csv(*twice))
    assert [charge.line for charge in bill.charges] == [3, 4]
    assert [(note.code, note.lines) for note in bill.notes] == [("duplicate_id", (2, 3))]
    bill = read(write_csv(LEGACY, LEGACY | {"lineItem/UnblendedCost": "0.004"}))
    assert bill.totals == {"USD": Decimal("0.004")}
    assert [(note.code, note.detail) for note in bill.notes] == [
        (
            "restated_id",
            "the id abc 2026-11-03T00:00:00Z/2026-11-03T01:00:00Z is restated, 0.0030000000 then 0.004: line 3 counts",
        )
    ]


def test_a_model_is_found_in_an_arn_and_in_a_marketplace_name():
    named = LEGACY | {
        "lineItem/ProductCode": "a1b2c3",
        "product/ProductName": "Claude 3.5 Sonnet (Amazon Bedrock Edition)",
    }
    arn = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"
    bill = read(
        write_csv(named | {"lineItem/ResourceId": ""}, named | {"identity/LineItemId": "d", "lineItem/ResourceId": arn})
    )
    assert [charge.model for charge in bill.charges] == ["Claude 3.5 Sonnet", arn]


# --- FOCUS ---

FOCUS = {
    "BilledCost": "1.5", "BillingCurrency": "USD", "BillingAccountId": "acme-1",
    "ChargePeriodStart": "2026-11-03T00:00:00Z", "ChargePeriodEnd": "2026-11-04T00:00:00Z",
    "ChargeCategory": "Usage", "ChargeClass": "NULL", "ProviderName": "OpenAI",
    "BillingPeriodStart": "2026-11-01T00:00:00Z", "BillingPeriodEnd": "2026-12-01T00:00:00Z",
    "ServiceCategory": "AI and Machine Learning", "x_Model": "gpt-5-2025-08-07", "ServiceProviderName": "null",
}  # fmt: skip


def test_a_correction_of_an_earlier_period_is_of_its_day_and_restated_with_the_bill_it_stands_in():
    correction = FOCUS | {
        "BilledCost": "-0.2",
        "ChargePeriodStart": "2026-10-15T00:00:00Z",
        "ChargeClass": "Correction",
    }
    bill = read(write_csv(FOCUS, correction))
    assert [(charge.day, charge.filed_day) for charge in bill.charges] == [
        (date(2026, 11, 3), date(2026, 11, 3)),
        (date(2026, 10, 15), date(2026, 11, 1)),
    ]
    assert bill.covers == (Coverage("openai", "acme-1", date(2026, 11, 1), date(2026, 11, 3)),)


def test_words_for_nothing_are_nothing_and_other_services_are_named_so():
    compute = FOCUS | {"ServiceCategory": "Compute", "x_Model": "NULL", "ProviderName": "AWS"}
    bill = read(write_csv(FOCUS, compute, compute | {"ChargeCategory": "Tax"}, compute | {"ChargeCategory": "Credit"}))
    assert [charge.provider for charge in bill.charges] == ["openai", "aws", "aws", "aws"]
    assert [charge.category for charge in bill.charges] == ["usage", "other_service", "tax", "credit"]


def test_every_problem_of_a_file_is_told_at_once_with_its_line_column_and_cure():
    text = write_csv(
        FOCUS | {"BilledCost": "1,234.5"},
        FOCUS | {"ChargePeriodStart": "03.11.2026"},
        FOCUS | {"BillingCurrency": "dollars"},
    )
    with pytest.raises(BillRefused) as caught:
        read(text)
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [
        (2, "BilledCost"),
        (3, "ChargePeriodStart"),
        (4, "BillingCurrency"),
    ]
    assert str(caught.value.problems[2]) == (
        "line 4, BillingCurrency: is no currency: 'dollars'; write its three letters, such as USD"
    )
    with pytest.raises(BillRefused) as caught:
        read(write_csv(*[FOCUS | {"BilledCost": "?"}] * 150))
    assert (len(caught.value.problems), caught.value.count) == (100, 150)


# --- any CSV ---

GERMAN = (
    "Datum;Anbieter;Betrag;Modell;Nr\n"
    "03.11.2026;OpenAI;1.234,50;gpt-5;a\n"
    "03.11.2026;OpenAI;-0,50;;b\n"
    "04.11.2026;OpenAI;2,00;gpt-5;a\n"
)
MAPPING = {
    "columns": {"day": "Datum", "provider": "Anbieter", "amount": "Betrag", "model": "Modell", "line_id": "Nr"},
    "constants": {"currency": "eur"}, "thousands": ".", "decimal": ",", "day_order": "day_month_year",
}  # fmt: skip


def test_any_csv_is_read_by_a_mapping_and_unknown_without_one():
    with pytest.raises(LayoutUnknown) as caught:
        read(GERMAN)
    assert caught.value.table.columns == ("Datum", "Anbieter", "Betrag", "Modell", "Nr")
    bill = read(GERMAN, MAPPING)
    assert list_facts(bill) == [("2026-11-03", "", "-0.50", "usage"), ("2026-11-04", "gpt-5", "2.00", "usage")]
    assert bill.totals == {"EUR": Decimal("1.50")}
    assert [note.code for note in bill.notes] == ["restated_id"]


def test_all_that_is_wrong_with_a_mapping_is_told_at_once():
    with pytest.raises(MappingRefused) as caught:
        read_mapping({"columns": {"day": "", "who": "x"}, "thousands": ",", "decimal": ",", "zone": "UTC"})
    assert [problem.field for problem in caught.value.problems] == [
        "zone", "columns.day", "columns.who", "columns.day", "columns.amount", "constants.provider",
        "constants.currency", "thousands",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", BillProblem(0, "", "is empty")),
        (b"a,b\n1\n", BillProblem(2, "", "has 1 fields, and the heading 2; mend the line")),
        (b"a,a\n1,2\n", BillProblem(1, "a", "stands twice in the heading; name each column once")),
        (b"a,b\n1,\xff\n", BillProblem(2, "", "is no UTF-8 text; save the file as CSV UTF-8")),
        (b'{"data": 3}', BillProblem(0, "page 1", "has no list `data`; send the API's answer as it came")),
        (
            b"{",
            BillProblem(1, "", "is no JSON (Expecting property name enclosed in double quotes); send the answer whole"),
        ),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_cure(text, problem):
    with pytest.raises(BillRefused) as caught:
        read(text)
    assert caught.value.problems == (problem,)


def test_utf_16_is_read_by_its_mark():
    assert read("\ufeff".encode("utf-16-le") + write_csv(FOCUS).encode("utf-16-le")).totals == {"USD": Decimal("1.5")}


# --- real files ---


def find_data(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the public data set {name} is not beside this repository")
    return gzip.decompress(path.read_bytes())


def test_a_real_focus_file_of_aws_sums_to_what_its_column_does():
    content = find_data("focus/focus_1_0_sample_1000.csv.gz")
    bill = read(content)
    assert (bill.format, len(bill.charges)) == ("focus", 700)
    assert bill.totals == {"USD": Decimal("13.52512369000")}
    assert {charge.provider for charge in bill.charges} == {"aws"}
    assert [charge.amount for charge in bill.charges if charge.category == "credit"] == [Decimal("-2.61370000000")]


def test_a_real_series_of_daily_bills_is_read_by_a_mapping():
    content = find_data("series/mybinder_daily_cost_by_category.csv.gz")
    mapping = {
        "columns": {"day": "date", "amount": "cost", "description": "category"},
        "constants": {"provider": "Google Cloud", "currency": "USD"},
    }
    bill = read(content, mapping)
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(bill.charges) == len(rows) == 1930
    assert bill.totals["USD"] == sum(Decimal(row["cost"]) for row in rows)
    assert bill.covers[0].first == date(2017, 12, 13)
