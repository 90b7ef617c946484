"""The pages of chargeback: a month's charge that adds up, its lines, its rules with their trial, rates of exchange."""

import csv
import io
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from chargeback.rules import list_versions
from tests.chargeback.months import OCTOBER, OVERHEAD, PLATFORM, add_rule, make_centers, spend
from tests.dashboards.pages import get_page, read_tables, read_workbook, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")
MONTH = "period=2026-10"
FORM = {
    "name": "Platform", "valid_from": "2026-10", "valid_to": "", "position": "", "percent": "100 %",
    "cost_centers": "platform", "features": "", "providers": "", "models": "", "method": "cost", "targets": "",
}  # fmt: skip


@pytest.fixture
def acme():
    """100 of the platform, 300 of sales, 100 of legal, 50 that is nobody's; all in October."""
    publish_test_rates()
    acme = make_tenant("acme")
    make_centers(acme, "platform", "sales", "legal")
    spend(acme, {"platform": 100, "sales": 300, "legal": 100, "": 50})
    return acme


@pytest.fixture
def finance(acme):
    return sign_in(role="finance")


def post(client, path, fields, *, status=302):
    answer = client.post(path, fields)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return answer.content.decode()


def test_a_month_without_rules_charges_everybody_what_they_cost(acme):
    page = get_page(sign_in(acme), f"/chargeback?{MONTH}")
    assert "Everybody" not in page and "everybody is charged what they cost" in page
    table, proof = read_tables(page)
    assert table[0] == ["Cost centre", "Direct", "Shared", "Markup", "Fees", "Credits", "Charged"]
    assert [(row[0], row[1], row[6]) for row in table[1:]] == [
        ("legal", "100.00", "100.00"), ("platform", "100.00", "100.00"), ("sales", "300.00", "300.00"),
        ("Charged", "500.00", "500.00"), ("Unallocated", "50.00", "50.00"),
    ]  # fmt: skip
    assert proof[-1] == ["✓ Difference", "0.000000000000"]


def test_a_month_by_rules_adds_up_under_a_double_rule_and_says_which_rules(acme):
    add_rule(acme, PLATFORM)
    add_rule(acme, OVERHEAD)
    page = get_page(sign_in(acme), f"/chargeback?{MONTH}")
    table, proof = read_tables(page)
    assert table[1:] == [
        ["legal", "100.00", "+25.00", "+12.50", "–", "–", "137.50"],
        ["platform", "100.00", "−100.00", "–", "–", "–", "0.00"],
        ["sales", "300.00", "+75.00", "+37.50", "–", "–", "412.50"],
        ["Charged", "500.00", "–", "+50.00", "–", "–", "550.00"],
        ["Unallocated", "50.00", "–", "–", "–", "–", "50.00"],
    ]
    assert page.count('class="total cast"') == 2
    assert [row[1] for row in proof[1:4]] == ["550.000000000000", "50.000000000000", "550.000000000000"]
    assert "100 % of platform to everyone, by cost" in page and "+10 % of everything" in page


def test_a_rule_that_did_nothing_says_so(acme):
    add_rule(acme, PLATFORM | {"method": "driver", "targets": None, "drivers": {"sales": "seats"}})
    page = get_page(sign_in(acme), f"/chargeback?{MONTH}")
    assert "▲ Platform: nothing was moved: no target has any weight by drivers." in page


def test_the_lines_of_a_cost_centre_say_how_each_came_about_and_lead_to_the_ledger(acme):
    add_rule(acme, PLATFORM)
    page = get_page(sign_in(acme), f"/chargeback/lines?{MONTH}&cost_center=sales")
    [table] = read_tables(page)
    assert [(row[0], row[3]) for row in table[1:]] == [
        ("Shared cost", "75.00"), ("Direct cost", "300.00"), ("Charged", "375.00")
    ]  # fmt: skip
    assert table[1][2] == "Platform: 100.00 USD × 300.00 USD of 400.00 USD by direct cost rule 1, version 1"
    assert "billing_period=2026-10&amp;cost_center=sales&amp;feature=&amp;provider=openai" in page
    assert sign_in(acme).get(f"/chargeback/lines?{MONTH}&cost_center=nobody").status_code == 404
    assert "charged to nobody" in get_page(sign_in(acme), f"/chargeback/lines?{MONTH}")


def test_what_is_shown_is_taken_away_to_the_last_digit(acme):
    add_rule(acme, PLATFORM)
    client = sign_in(acme)
    text = client.get(f"/chargeback/file?{MONTH}&format=csv").content.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["cost_center"], row["charged_usd"], row["payable"]) for row in rows] == [
        ("legal", "125.000000000000", "125.000000000000"), ("platform", "0.000000000000", "0.000000000000"),
        ("sales", "375.000000000000", "375.000000000000"), ("unallocated", "50.000000000000", ""),
    ]  # fmt: skip
    assert sum(Decimal(row["charged_usd"]) for row in rows) == 550
    book = read_workbook(client, f"/chargeback/file?{MONTH}&format=xlsx&cost_center=sales")
    assert [cell.value for cell in book["Figures"]["F"]] == ["amount_usd", 300, 75]


def test_a_rule_is_tried_then_added_and_the_page_says_so(acme, finance):
    new = f"/chargeback/rules/allocation/new?tenant={acme.slug}"
    page = post(finance, new, FORM | {"act": "try"}, status=200)
    trial = read_tables(page)[0]
    assert trial[1:] == [
        ["legal", "100.00", "125.00", "▲ +25.00"], ["platform", "100.00", "0.00", "▼ −100.00"],
        ["sales", "300.00", "375.00", "▲ +75.00"], ["All", "550.00", "550.00", "0.00"],
    ]  # fmt: skip
    assert list_versions("allocation", tenant_id=acme.id) == []
    post(finance, new, FORM | {"act": "save"})
    [rule] = list_versions("allocation", tenant_id=acme.id)
    assert (rule.terms.name, rule.valid_from) == ("Platform", OCTOBER)
    listed = get_page(finance, f"/chargeback/rules?tenant={acme.slug}&done=created")
    assert "The rule counts from its month on." in listed and "100 % of platform to everyone, by cost" in listed


def test_a_rule_gets_another_version_and_is_ended(acme, finance):
    rule = add_rule(acme, PLATFORM)
    path = f"/chargeback/rules/allocation/{rule.rule_id}?tenant={acme.slug}"
    assert '<textarea id="cost_centers" name="cost_centers" rows="3"' in get_page(finance, path)
    fixed = FORM | {"method": "fixed", "targets": "sales = 60\nlegal = 40 %", "valid_from": "2026-11"}
    post(finance, path, fixed | {"act": "save"})
    refused = post(finance, path, {"act": "end", "end": "soon"}, status=422)
    assert "must be a month, such as 2026-11" in refused and 'value="Platform"' in refused
    post(finance, path, {"act": "end", "end": "2026-12"})
    versions = list_versions("allocation", tenant_id=acme.id)
    assert [(one.version, one.terms.split.method, one.is_ended) for one in versions] == [
        (1, "cost", False), (2, "fixed", False), (3, "fixed", True),
    ]  # fmt: skip
    assert versions[1].terms.split.shares == {"sales": Decimal(60), "legal": Decimal(40)}
    page = get_page(finance, path)
    assert "It has ended, in December 2026." in page and "End the rule" not in page


def test_everything_wrong_with_a_rule_stands_beside_its_field(acme, finance):
    wrong = FORM | {"percent": "many", "method": "fixed", "targets": "sales = 60\nnowhere = 30", "act": "save"}
    page = post(finance, f"/chargeback/rules/allocation/new?tenant={acme.slug}", wrong, status=422)
    assert "Nothing was kept." in page
    assert "must be a decimal as text" in page and "come to 90 and have to come to 100" in page
    many = FORM | {"position": "9" * 5_000, "act": "try"}
    page = post(finance, f"/chargeback/rules/allocation/new?tenant={acme.slug}", many, status=422)
    assert "must be a whole number, 0 to 10,000" in page
    wrong = FORM | {"targets": "sales\nnowhere", "act": "try"}
    page = post(finance, f"/chargeback/rules/allocation/new?tenant={acme.slug}", wrong, status=422)
    assert "names nowhere, which is no cost centre" in page
    assert "must be a month" in post(
        finance, f"/chargeback/rules/charge/new?tenant={acme.slug}", {"kind": "fee", "act": "save"}, status=422
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "markup", "percent": "5", "features": "summarizer"}, "+5 % of summarizer"),
        ({"kind": "fee", "amount": "$1,200", "method": "even"}, "1200 USD a month, borne by everyone, evenly"),
        ({"kind": "minimum", "amount": "500", "targets": "legal"}, "500 USD a month at least, of legal"),
        ({"kind": "credit", "amount": "75", "targets": "legal"}, "75 USD, to legal"),
    ],
    ids=["markup", "fee", "minimum", "credit"],
)
def test_every_kind_of_charge_is_added_and_told_in_a_sentence(acme, finance, fields, said):
    form = FORM | {"name": "It", "percent": "", "cost_centers": "", "targets": "", "act": "save"} | fields
    post(finance, f"/chargeback/rules/charge/new?tenant={acme.slug}", form)
    assert said in get_page(finance, f"/chargeback/rules?tenant={acme.slug}")
    [rule] = list_versions("charge", tenant_id=acme.id)
    page = get_page(finance, f"/chargeback/rules/charge/{rule.rule_id}?tenant={acme.slug}")
    assert f'<option value="{fields["kind"]}" selected>' in page


def test_rates_are_entered_one_by_one_and_from_a_file_and_the_month_is_billed_in_them(acme, finance):
    rates = f"/chargeback/rates?tenant={acme.slug}"
    post(finance, rates, {"act": "currency", "currency": "gel", "valid_from": "2026-10"})
    page = get_page(finance, f"/chargeback?{MONTH}&tenant={acme.slug}")
    assert "▲ No rate of GEL is known" in page
    file = SimpleUploadedFile("rates.csv", b"currency,day,rate\nGEL,2026-10-29,2.7\nGEL,2026-10-30,2.71\n")
    post(finance, rates, {"act": "upload", "file": file})
    post(finance, rates, {"act": "add", "currency": "GEL", "day": "2026-10-30", "rate": "2.72", "source": "NBG"})
    page = get_page(finance, f"/chargeback?{MONTH}&tenant={acme.slug}")
    table = read_tables(page)[0]
    assert table[0][-1] == "GEL" and [row[-1] for row in table[1:]] == ["272.00", "272.00", "816.00", "1,360.00", "–"]
    listed = [row for row in read_tables(get_page(finance, rates))[0] if row[1] == "GEL"]
    assert [row[2:5] for row in listed] == [["2.72", "NBG", "1"], ["2.70", "–", "0"]]
    wrong = SimpleUploadedFile("rates.csv", b"GEL,soon,0\n")
    page = post(finance, rates, {"act": "upload", "file": wrong}, status=422)
    assert [row[:2] for row in read_tables(page)[0][1:]] == [["1", "day"], ["1", "rate"]]
    assert "is no currency" in post(
        finance, rates, {"act": "currency", "currency": "EURO", "valid_from": "2026-10"}, status=422
    )


def test_a_tenants_own_people_read_and_change_nothing(acme):
    owner, rule = sign_in(acme, role="owner"), add_rule(acme, OVERHEAD)
    assert "New rule" not in get_page(owner, "/chargeback/rules")
    page = get_page(owner, f"/chargeback/rules/charge/{rule.rule_id}")
    assert 'name="act"' not in page and "+10 % of everything" in page
    assert 'name="act"' not in get_page(owner, "/chargeback/rates")
    for path in ("/chargeback/rules/charge/new", f"/chargeback/rules/charge/{rule.rule_id}", "/chargeback/rates"):
        assert owner.post(path, FORM | {"act": "save"}).status_code == 404
    assert sign_in(role="engineer").post(f"/chargeback/rates?tenant={acme.slug}", {"act": "add"}).status_code == 404


def test_another_tenants_month_and_rules_are_not_found(acme):
    add_rule(acme, OVERHEAD)
    stranger = sign_in(make_tenant("globex"))
    assert "No cost centre has any cost" in get_page(stranger, f"/chargeback?{MONTH}")
    assert stranger.get("/chargeback/rules/charge/1").status_code == 404
    assert stranger.get(f"/chargeback?{MONTH}&tenant={acme.slug}").status_code == 404


def test_an_address_that_names_no_month_is_refused_in_words(acme):
    client = sign_in(acme)
    assert client.get("/chargeback?period=soon").status_code == 400
    assert client.get("/chargeback/rules/gifts/new").status_code == 404
