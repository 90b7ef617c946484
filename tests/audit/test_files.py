"""A statement as files: every format says the same, gives the same bytes twice, and holds nothing that runs."""

import csv
import hashlib
import io
import json
import zipfile
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal

import pyarrow.parquet
import pytest
from openpyxl import load_workbook

from audit import rows as audit_rows
from audit.core.focus import CHARGEBACK, COLUMNS, PROVIDER
from audit.core.focus_check import check_focus
from audit.core.records import LINE_COLUMNS
from audit.files import FORMATS, FileRefused, make_statement_file
from audit.formats import pdf, xlsx
from audit.formats.jsonl import hash_statement
from audit.statements import get_statement
from tests.audit.months import NOW, OCTOBER, book_october
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

TOTAL = Decimal("720.282907444444")
EVERY_FILE = [*((name, CHARGEBACK) for name in FORMATS), ("focus", PROVIDER), ("focus_parquet", PROVIDER)]


@pytest.fixture
def acme(db):
    tenant = make_tenant("acme")
    book_october(tenant)
    return tenant


def make_file(tenant, name, view=CHARGEBACK, period=OCTOBER):
    file = make_statement_file(tenant=tenant, period=period, format_name=name, view=view, now=NOW)
    with file.content:
        content = file.content.read()
    assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    return file, content


def read_csv(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_same_month_gives_the_same_bytes_in_every_format(acme):
    for name, view in EVERY_FILE:
        first, again = make_file(acme, name, view), make_file(acme, name, view)
        assert first[1] == again[1], (name, view)
        assert first[0].name == again[0].name


def test_a_file_is_called_by_its_tenant_its_month_and_its_view(acme):
    names = [make_file(acme, name, view)[0].name.replace(acme.slug, "acme") for name, view in EVERY_FILE]
    assert names == [
        "statement-acme-2026-10.csv", "statement-acme-2026-10.jsonl", "statement-acme-2026-10.parquet",
        "statement-acme-2026-10.xlsx", "statement-acme-2026-10.pdf", "focus-chargeback-acme-2026-10.csv",
        "focus-chargeback-acme-2026-10.parquet", "focus-provider-acme-2026-10.csv",
        "focus-provider-acme-2026-10.parquet",
    ]  # fmt: skip


def test_csv_jsonl_parquet_and_xlsx_hold_the_same_lines_to_the_last_digit(acme):
    lines = read_csv(make_file(acme, "csv")[1])
    assert list(lines[0]) == list(LINE_COLUMNS)
    head, *objects = map(json.loads, make_file(acme, "jsonl")[1].splitlines())
    assert head["totals"]["billed_cost"] == f"{TOTAL}"
    assert len(objects) == len(lines) == int(head["totals"]["lines"])
    table = pyarrow.parquet.read_table(io.BytesIO(make_file(acme, "parquet")[1]))
    book = load_workbook(io.BytesIO(make_file(acme, "xlsx")[1]))
    heading, *digits = [[cell.value for cell in row] for row in book["Every digit"].rows]
    assert heading == list(LINE_COLUMNS)
    for name in ("quantity", "price", "list_price", "list_cost", "billed_cost", "billed_cost_shown", "ledger_rows"):
        of_csv = [Decimal(line[name]) if line[name] else None for line in lines]
        assert of_csv == [None if each[name] is None else Decimal(each[name]) for each in objects], name
        assert of_csv == [None if each is None else Decimal(each) for each in table[name].to_pylist()], name
        place = heading.index(name)
        assert of_csv == [None if row[place] is None else Decimal(row[place]) for row in digits], name
    assert sum(Decimal(line["billed_cost"]) for line in lines if line["billed_cost"]) == TOTAL
    assert (
        table.schema.metadata[b"tokenledger.statement"]
        == json.dumps(
            {name: value for name, value in head.items() if name != "type"}, sort_keys=True, separators=(",", ":")
        ).encode()
    )


def test_nothing_in_a_file_is_a_formula(acme):
    features = {line["feature"] for line in read_csv(make_file(acme, "csv")[1])}
    assert "'=cmd|' /C calc'!A0" in features
    of_focus = read_csv(make_file(acme, "focus")[1])
    assert "'=cmd|' /C calc'!A0" in {row["x_Feature"] for row in of_focus}
    assert "'+1" in {row["SubAccountId"] for row in of_focus}
    for content in (make_file(acme, "csv")[1], make_file(acme, "focus")[1]):
        for row in read_csv(content):
            for name, field in row.items():
                number = field.removeprefix("-").replace(".", "", 1)
                assert not field.startswith(("=", "+", "-", "@", "\t", "\r")) or number.isdigit(), (name, field)
    book = load_workbook(io.BytesIO(make_file(acme, "xlsx")[1]))
    assert {cell.data_type for sheet in book for row in sheet.rows for cell in row} <= {"s", "n", "b"}


def test_quotes_commas_and_new_lines_come_back_from_the_csv_as_they_were(acme):
    assert 'quoted "words", and\nlines' in {line["feature"] for line in read_csv(make_file(acme, "csv")[1])}
    assert "検索 Ελληνικά" in {line["feature"] for line in read_csv(make_file(acme, "csv")[1])}


def test_a_workbook_is_of_the_months_date_and_holds_the_controls(acme):
    content = make_file(acme, "xlsx")[1]
    book = load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["Lines", "Every digit", "Control", "About"]
    assert book.properties.created == datetime(2026, 10, 1)
    assert {each.date_time for each in zipfile.ZipFile(io.BytesIO(content)).infolist()} == {(1980, 1, 1, 0, 0, 0)}
    controls = {row[0].value: row[3].value for row in book["Control"].rows}
    assert controls["Ledger rows, exact"] == "720.282907444444"


def test_more_lines_than_a_workbook_or_a_pdf_holds_are_refused_in_words(acme, monkeypatch):
    for module, name in ((xlsx, "xlsx"), (pdf, "pdf")):
        monkeypatch.setattr(module, "LINES_MAX", 10)
        with pytest.raises(FileRefused, match=r"at most 10 lines, and this statement has \d+; take the"):
            make_statement_file(tenant=acme, period=OCTOBER, format_name=name, now=NOW)


def test_a_month_with_nothing_is_a_file_that_says_so(db):
    tenant = make_tenant("acme")
    assert make_file(tenant, "csv")[1].decode() == ",".join(LINE_COLUMNS) + "\r\n"
    assert json.loads(make_file(tenant, "jsonl")[1])["totals"]["charged"] == "0.00"
    assert make_file(tenant, "focus")[1].decode() == ",".join(COLUMNS) + "\r\n"
    for name in ("parquet", "focus_parquet"):
        assert pyarrow.parquet.read_table(io.BytesIO(make_file(tenant, name)[1])).num_rows == 0
    assert make_file(tenant, "pdf")[1].startswith(b"%PDF-")
    assert load_workbook(io.BytesIO(make_file(tenant, "xlsx")[1]))["Lines"].max_row == 1


# --- PDF ---


def test_a_pdf_sets_names_as_data_in_embedded_fonts_and_names_its_jsonl_file(acme, monkeypatch):
    set_texts = []
    compile_pages = pdf._compile

    def remember(text, statement):
        set_texts.append(json.loads(text))
        return compile_pages(text, statement)

    monkeypatch.setattr(pdf, "_compile", remember)
    content = make_file(acme, "pdf")[1]
    assert b"/FontFile" in content and b"/StructTreeRoot" in content
    # What no font has is written by its code point, in a second try.
    features = [{group["feature"] for part in text["parts"] for group in part["groups"]} for text in set_texts]
    assert "検索 Ελληνικά" in features[0] and "‹U+691C›‹U+7D22› Ελληνικά" in features[1]
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    digest = "".join(set_texts[1]["proof"][0]["value"].split())
    assert digest == hash_statement(statement) == hashlib.sha256(make_file(acme, "jsonl")[1]).hexdigest()


def test_a_name_that_is_markup_is_set_as_it_stands(db):
    statement = get_statement(tenant=make_tenant("acme"), period=OCTOBER, now=NOW)
    names = '#panic("read as code") $ $ *bold* @ref <label> \\ = head // no comment `code`'
    content = json.dumps(pdf._describe(statement, ledger_address="") | {"tenant_name": names})
    assert pdf._compile(content, statement).startswith(b"%PDF-")


# --- FOCUS ---


def read_focus(tenant, view, name="focus"):
    content = make_file(tenant, name, view)[1]
    if name == "focus":
        return read_csv(content)
    return pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()


@pytest.mark.parametrize("view", [CHARGEBACK, PROVIDER])
def test_a_focus_file_passes_our_own_check(acme, view):
    rows = read_focus(acme, view)
    payable = {f"{acme.slug.upper()}-2026-10": Decimal("720.28")} if view == CHARGEBACK else {}
    result = check_focus(list(COLUMNS), rows, payable=payable)
    assert [str(problem) for problem in result.problems] == []
    assert result.rows == len(rows) > 40


def test_the_chargeback_view_sums_to_what_is_payable_and_the_provider_view_to_what_was_booked(acme):
    charged, owed = read_focus(acme, CHARGEBACK), read_focus(acme, PROVIDER)
    assert sum(Decimal(row["BilledCost"]) for row in charged) == Decimal("720.28")
    for name in ("BilledCost", "ContractedCost", "EffectiveCost"):
        assert sum(Decimal(row[name]) for row in owed) == TOTAL, name
    assert {row["InvoiceIssuerName"] for row in charged} == {"FinOps"}
    assert {row["InvoiceIssuerName"] for row in owed} == {"mill"}
    assert {row["InvoiceId"] for row in charged} == {f"{acme.slug.upper()}-2026-10"}
    assert {row["InvoiceId"] for row in owed} == {""}
    assert charged[-1]["ChargeDescription"] == "Rounding of the statement's total to the cent"


def test_focus_rows_add_up_to_the_statements_lines(acme):
    lines = {line.id: line for line in get_statement(tenant=acme, period=OCTOBER, now=NOW).lines}
    billed, rows = defaultdict(Decimal), Counter()
    for row in read_focus(acme, PROVIDER):
        billed[row["x_StatementLine"]] += Decimal(row["BilledCost"])
        rows[row["x_StatementLine"]] += int(Decimal(row["x_LedgerRowCount"]))
    for line_id, line in lines.items():
        if line.amount is not None and line.meter != "remainder":
            # Of seconds at a price by the hour, each row of a file is rounded at 12 decimals; the rest is Adjustment.
            assert abs(billed[line_id] - line.amount) < Decimal("0.00000000001"), line
            assert rows[line_id] == line.rows


def test_a_focus_row_says_what_the_specification_asks_of_a_meter(acme):
    (row,) = [
        row for row in read_focus(acme, CHARGEBACK) if row["x_Model"] == "agreed" and row["SkuMeter"] == "Input Tokens"
    ]
    said = {
        "BillingAccountType": "Tenant", "BillingCurrency": "USD", "BillingPeriodStart": "2026-10-01T00:00:00Z",
        "BillingPeriodEnd": "2026-11-01T00:00:00Z", "ChargePeriodStart": "2026-10-05T00:00:00Z",
        "ChargePeriodEnd": "2026-10-06T00:00:00Z", "ChargeCategory": "Usage", "ChargeClass": "",
        "ChargeFrequency": "Usage-Based", "ConsumedQuantity": "800.0", "ConsumedUnit": "Tokens",
        "PricingQuantity": "0.0008", "PricingUnit": "1000000 Tokens", "ListUnitPrice": "2.5",
        "ContractedUnitPrice": "2.0", "ListCost": "0.002", "ContractedCost": "0.0016", "BilledCost": "0.0016",
        "EffectiveCost": "0.0016", "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI",
        "ServiceProviderName": "mill", "SkuId": "mill/agreed/input", "SubAccountId": "unallocated",
        "SubAccountType": "CostCenter", "x_Environment": "production", "x_Feature": "summarizer",
        "x_LedgerRowCount": "2.0", "Tags": '{"environment":"production","feature":"summarizer"}',
        "SkuPriceDetails": '{"x_ModelId":"agreed","x_ServiceTier":"standard","x_TokenCacheAction":"Uncached",'
        '"x_TokenDirection":"Input"}',
    }  # fmt: skip
    assert {name: row[name] for name in said} == said


def test_calls_without_a_price_are_no_rows_of_focus(acme):
    models = Counter(row["x_Model"] for row in read_focus(acme, PROVIDER))
    assert models["batcher"] == 2  # input and output of the batch tier, which alone has a price
    assert {row["x_LedgerRowCount"] for row in read_focus(acme, PROVIDER) if row["x_Model"] == "batcher"} == {"2.0"}


def test_a_daily_fee_is_a_purchase_and_a_tiers_difference_an_adjustment(acme):
    rows = {
        (row["x_Model"], row["ChargeCategory"]): row for row in read_focus(acme, PROVIDER) if row["x_Feature"] == ""
    }
    assert rows["cluster", "Purchase"]["ChargeFrequency"] == "Recurring"
    assert rows["cluster", "Purchase"]["ContractedUnitPrice"] == "240.0"
    assert rows["ladder", "Adjustment"]["BilledCost"] == "-0.0016"


def test_parquet_has_the_rows_of_the_csv_with_their_types(acme):
    of_csv, of_parquet = read_focus(acme, CHARGEBACK), read_focus(acme, CHARGEBACK, "focus_parquet")
    assert len(of_csv) == len(of_parquet)
    for text, typed in zip(of_csv, of_parquet, strict=True):
        assert isinstance(typed["BilledCost"], Decimal) and typed["BilledCost"] == Decimal(text["BilledCost"])
        assert typed["ChargePeriodStart"].isoformat() == text["ChargePeriodStart"].replace("Z", "+00:00")


# --- the rows themselves ---


def test_the_rows_as_csv_are_all_of_the_month_with_every_digit(acme, monkeypatch):
    monkeypatch.setattr(audit_rows, "ROWS_PER_PIECE", 7)  # 72 rows: ten pieces and a bit, with a new line inside one
    written = read_csv(b"".join(audit_rows.stream_rows(tenant_id=acme.id, period=OCTOBER)))
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    assert len(written) == statement.rows == len({(row["batch_id"], row["line"]) for row in written})
    assert sum(Decimal(row["billed_cost"]) for row in written if row["billed_cost"]) == TOTAL
    assert {"'=cmd|' /C calc'!A0", 'quoted "words", and\nlines', "検索 Ελληνικά"} <= {row["feature"] for row in written}
    assert "'+1" in {row["cost_center"] for row in written}
    assert b"".join(audit_rows.stream_rows(tenant_id=make_tenant("globex").id, period=OCTOBER)).count(b"\n") == 1
