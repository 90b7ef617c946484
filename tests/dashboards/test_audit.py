"""The pages of Audit: what is sealed, a month's statement with its files, and who changed what."""

import csv
import io
import json
import re
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape

import openpyxl
import pytest

from audit.statements import get_statement
from billing.core.drivers import DriverValue
from billing.drivers import keep_drivers
from billing.tenants import change_limits
from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.selectors import EntryFilters, list_entries
from tenants.scope import tenant_scope
from tests.audit.months import OCTOBER, book_october
from tests.audit.verifying import find_faults
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, name_maker, publish_test_rates
from tests.ledger.sealing import LOG_TABLES, seal, tampering

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def october(django_db_setup, django_db_blocker):
    """*acme*'s October with rows of every kind, committed and sealed."""
    with django_db_blocker.unblock():
        tenant = make_tenant("acme")
        book_october(tenant, provider=name_maker(tenant))
        seal(at_once=True)
        yield tenant


@pytest.fixture
def acme(committed_db, october):
    return october


def read_words(html):
    """The page's text in one line."""
    return " ".join(unescape(re.sub("<[^>]+>", "", html)).split())


# --- what is sealed ---


def test_the_page_says_how_far_the_ledger_is_sealed_and_checks_it_on_the_way(acme):
    html = get_page(sign_in(acme), "/audit")
    assert "is sealed" in html or "are sealed" in html
    assert html.count('<dd class="number">✓</dd>') == 3  # signature, root, log
    assert "everything booked is sealed" in html
    assert re.search(r"tokenledger/[0-9a-f]{12}/\d+", html)


def test_what_waits_for_its_seal_is_counted(acme):
    book(acme, {"time": datetime.now(UTC)}, {"time": datetime.now(UTC)})
    html = get_page(sign_in(acme), "/audit")
    assert "with 2 entries, the oldest of" in read_words(html)
    seal(at_once=True)
    assert "everything booked is sealed" in get_page(sign_in(acme), "/audit")


def test_every_batch_is_gone_through_on_request_and_that_it_was_is_kept(acme):
    client = sign_in(acme)
    answer = client.post("/audit", {"act": "verify"})
    assert (answer.status_code, answer["Location"]) == (302, "/audit?done=verified")
    html = get_page(client, answer["Location"])
    assert "Every batch was gone through." in html
    assert "all right" in get_page(client, "/audit")
    assert client.post("/audit", {"act": "other"}).status_code == 400


def test_what_the_sealer_refuses_is_told_to_its_tenant_and_to_no_other(committed_db, administrator_url):
    acme, globex = make_tenant("acme"), make_tenant("globex")
    for tenant in (acme, globex):
        book(tenant, {"time": datetime.now(UTC)})
    with tampering(administrator_url) as administrator:
        said = {"tenant_id": acme.id}
        administrator.change(
            "ledger_batch", "UPDATE ledger_batch SET receipt = receipt || 'A' WHERE tenant_id = %(tenant_id)s", said
        )
        seal(at_once=True)
    assert "The sealer refuses batch" in read_words(get_page(sign_in(acme), "/audit"))
    assert "refuses" not in read_words(get_page(sign_in(globex), "/audit"))
    with tampering(administrator_url) as administrator:  # so that no other test's round meets it
        administrator.change(
            "ledger_batch", "UPDATE ledger_batch SET receipt = left(receipt, -1) WHERE tenant_id = %(tenant_id)s", said
        )
    seal(at_once=True)


def test_a_tree_of_more_batches_than_a_page_goes_through_is_left_to_the_sealer(acme, monkeypatch):
    monkeypatch.setattr("dashboards.views.audit.BATCHES_MAX", 1)
    client = sign_in(acme)
    assert "The sealer compares all of them" in read_words(get_page(client, "/audit"))
    answer = client.post("/audit", {"act": "verify"})
    assert answer.status_code == 400 and "1 batches at most" in answer.content.decode()


def test_before_the_first_checkpoint_the_page_says_so(db):
    html = get_page(sign_in(make_tenant("acme")), "/audit")
    assert "Nothing is sealed yet" in html and "<form" in html  # the one to sign out
    assert "Go through every batch now" not in html


# --- the statement ---


def test_the_statement_adds_up_to_the_ledger_on_the_page_and_in_every_file(acme):
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    client = sign_in(acme)
    html = get_page(client, "/audit/statement?period=2026-10")
    assert f'<data value="{statement.amount:f}"' in html and f"{statement.amount:.12f}" in html
    usage, *_ = read_tables(html)
    cells = [row[-1] for row in usage[1:-1] if len(row) == 5 and not row[0].endswith("lines")]
    shown = [line.shown for group in statement.list_groups("usage") for line in group.lines]
    assert [Decimal(cell.replace(",", "").replace("−", "-")) for cell in cells] == shown
    lines = client.get("/audit/statement/file?period=2026-10&format=jsonl").getvalue().splitlines()
    head, *lines = map(json.loads, lines)
    assert sum(Decimal(line["billed_cost"] or 0) for line in lines) == statement.amount
    assert Decimal(head["totals"]["billed_cost"]) == statement.amount
    rows = list(csv.DictReader(io.StringIO(client.get("/audit/statement/file?period=2026-10").getvalue().decode())))
    assert sum(Decimal(row["billed_cost"] or 0) for row in rows) == statement.amount
    pdf = client.get("/audit/statement/file?period=2026-10&format=pdf").getvalue()
    assert pdf.startswith(b"%PDF-")
    assert client.get("/audit/statement/file?period=2026-10&format=pdf").getvalue() == pdf


def test_recompute_finds_every_total_another_way_and_shows_the_difference_zero(acme):
    html = get_page(sign_in(acme), "/audit/statement?period=2026-10&recompute=yes")
    text = read_words(html)
    assert re.search(r"Recomputed \d+ \w+ 2026 [0-9:]+ UTC: difference ?0\.000000000000", text)
    assert "none differs" in text
    assert html.count("total cast") == 2  # a double line only where the sum was compared


def test_each_figure_of_a_statement_leads_to_the_rows_beneath_it(acme):
    client = sign_in(acme)
    html = get_page(client, "/audit/statement?period=2026-10")
    found = re.findall(r'class="line">.*?data-l="Ledger rows"><a href="([^"]+)"><data value="(\d+)"', html, re.S)
    assert len(found) == len(get_statement(tenant=acme, period=OCTOBER, now=NOW).lines)
    for href, count in found[::4]:
        page = get_page(client, unescape(href))
        assert len(set(re.findall(r'href="/ledger/([0-9a-f-]{36}\.\d+)"', page))) == int(count), href


def test_what_has_no_price_is_listed_and_never_zero(db):
    publish_test_rates()
    acme = make_tenant("acme")
    book(acme, {"time": on(3)}, {"model": "nobody-knows", "time": on(3)})
    html = get_page(sign_in(acme), "/audit/statement?period=2026-11")
    assert "1 of 2 without a price" in read_words(html)
    assert "no published price; not charged" in html and "no price" in html
    (row,) = [row for row in read_tables(html)[2] if row[0].startswith("output")]
    assert row[-1] == "no price"


def test_a_month_with_nothing_has_a_statement_that_says_so(db):
    html = get_page(sign_in(make_tenant("acme")), "/audit/statement?period=2026-01")
    assert "no row of the ledger is charged in January 2026" in html
    assert "Nothing was used." in html


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/audit/statement?period=2199-01", "has not begun"),
        ("/audit/statement?period=October", "a calendar month in UTC"),
        ("/audit?period=2026-13", "a calendar month in UTC"),
        ("/audit/statement/file?period=2026-10&format=exe", "a format is"),
        ("/audit/statement/file?period=2026-10&format=focus&view=mine", "a view"),
        ("/audit/bundle?period=2026-01", "2026"),
        ("/audit/log?from=yesterday", "from and to are days"),
        ("/audit/log?to=9999-12-31", "from and to are days"),
        ("/audit/log?from=0001-01-01", "from and to are days"),
        ("/audit/log?cursor=1", "cursor"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_in_words(db, path, said):
    answer = sign_in(make_tenant("acme")).get(path)
    assert answer.status_code == 400
    assert said in unescape(answer.content.decode())


def test_the_archive_of_a_month_is_verified_by_the_file_alone(acme, tmp_path):
    client = sign_in(acme, role="owner")
    answer = client.get("/audit/bundle?period=2026-10")
    data = answer.getvalue()
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"] == f'attachment; filename="evidence-{acme.slug}-2026-10.zip"'
    assert find_faults(tmp_path, data) == []
    script = client.get("/audit/verifier").content
    assert zipfile.ZipFile(io.BytesIO(data)).read("verify_tokenledger.py") == script


def test_where_the_log_was_cut_into_no_archive_is_made_and_the_page_says_why(acme, administrator_url):
    with tampering(administrator_url) as administrator, administrator.keep(*LOG_TABLES):
        administrator.change("log_node", "DELETE FROM log_node")
        client = sign_in(acme)
        for path in ("/audit/bundle", "/audit/export"):
            answer = client.get(f"{path}?period=2026-10")
            assert (answer.status_code, "no archive can be made of this month" in answer.content.decode()) == (
                400,
                True,
            )
        assert "its path does not lead to the head" in get_page(client, "/audit")


def test_rows_and_focus_are_files_of_the_month(acme):
    client = sign_in(acme)
    rows = b"".join(client.get("/audit/rows?period=2026-10").streaming_content).decode()
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    assert rows.count("\n") >= statement.rows + 1
    focus = client.get("/audit/statement/file?period=2026-10&format=focus&view=provider").getvalue().decode()
    assert focus.startswith("AvailabilityZone,BilledCost,")
    workbook = client.get("/audit/statement/file?period=2026-10&format=xlsx").getvalue()
    assert openpyxl.load_workbook(io.BytesIO(workbook)).sheetnames == ["Lines", "Every digit", "Control", "About"]


# --- the entry's proof ---


def test_an_entrys_page_shows_its_place_in_the_tree_and_holds_what_recomputes_it(acme):
    newest = list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("usage",)), limit=1).entries[0]
    html = get_page(sign_in(acme), f"/ledger/{newest['id']}")
    assert "sealed under the checkpoint of" in " ".join(html.split())
    assert f"{acme.slug} tree</b>, batch" in html
    (material,) = re.findall(r'<script id="proof-material" type="application/json">(.*?)</script>', html, re.S)
    proof = json.loads(material)
    assert proof["leaf"] == newest["leaf"]
    assert json.loads(proof["row"])["batch_id"] == str(newest["batch_id"])
    assert proof["seal"]["note"].startswith("tokenledger/")


# --- who changed what ---


def test_the_log_tells_acts_in_words_with_what_was_before(db):
    acme = make_tenant("acme")
    change_limits(tenant_id=acme.id, changes={"events": 500}, actor="person 1", now=NOW)
    change_limits(tenant_id=acme.id, changes={"events": 50}, actor="key abc", now=NOW)
    terms, before = {"name": "chat", "amount": "8"}, {"name": "chat", "amount": "7"}
    facts = {"budget": "3", "terms": json.dumps(terms), "terms_before": json.dumps(before)}
    with tenant_scope(acme.id):
        book_act(tenant_id=acme.id, act=Act("budget.changed", "person 1", facts), now=NOW)
    html = get_page(sign_in(acme), "/audit/log?name=budget")
    (table,) = read_tables(html)
    assert table[1][1:] == ["budget changed", "the operator’s person 1", "amount 7 → 8; budget 3"]
    html = get_page(sign_in(acme), "/audit/log?name=limits.changed&actor=key+abc")
    (table,) = read_tables(html)
    assert [row[2:] for row in table[1:]] == [["key abc", "limits events 500 → events 50"]]
    assert "None of these." in get_page(sign_in(acme), "/audit/log?to=2020-01-01")


def test_the_log_is_paged_and_taken_as_a_file_that_no_spreadsheet_runs(db):
    acme = make_tenant("acme")
    for number in range(60):
        keep_drivers(
            [DriverValue("=cmd|' /C calc'!A0", NOW.date(), Decimal(number))], tenant_id=acme.id, actor="person 1",
            now=NOW,
        )  # fmt: skip
    client = sign_in(acme)
    html = get_page(client, "/audit/log?name=drivers")
    older = unescape(re.search(r'href="(/audit/log\?[^"]*cursor=[^"]*)" rel="next"', html)[1])
    (first,), (second,) = read_tables(html), read_tables(get_page(client, older))
    assert (len(first), len(second)) == (51, 11)
    [file_href] = re.findall(r'href="(/audit/log/file[^"]*)"', get_page(client, older))
    answer = client.get(unescape(file_href))  # the whole of it, from whichever page
    lines = answer.content.decode().splitlines()
    assert len(lines) == 61 and lines[0] == "recorded_at,acted_at,name,actor,facts,ledger,entry"
    assert not [line for line in lines if line.startswith(("=", "+", "-", "@"))]


def test_a_log_that_is_too_long_for_a_file_is_refused_and_never_cut(db, monkeypatch):
    monkeypatch.setattr("dashboards.views.audit_log.ACTS_PER_PAGE_MAX", 2)
    monkeypatch.setattr("dashboards.views.audit_log.FILE_ROWS_MAX", 3)
    acme = make_tenant("acme")
    client = sign_in(acme)
    for number in range(1, 5):
        change_limits(tenant_id=acme.id, changes={"events": number}, actor="person 1", now=NOW)
        answer = client.get("/audit/log/file?name=limits")
        assert (answer.status_code, answer.content.count(b"limits.changed")) == (
            (200, number) if number < 4 else (400, 0)
        )
    assert "a file holds at most 3 acts" in answer.content.decode()


def test_a_viewer_takes_every_file_and_another_tenant_none(acme):
    paths = ("/audit", "/audit/statement?period=2026-10", "/audit/statement/file?period=2026-10", "/audit/rows",
             "/audit/log", "/audit/log/file", "/audit/verifier")  # fmt: skip
    viewer, stranger, operator = sign_in(acme), sign_in(make_tenant("globex")), sign_in(role="engineer")
    for path in paths:
        glue = "&" if "?" in path else "?"
        assert viewer.get(path).status_code == 200, path
        assert stranger.get(f"{path}{glue}tenant={acme.slug}").status_code == 404, path
        assert operator.get(f"{path}{glue}tenant={acme.slug}").status_code == 200, path


@pytest.mark.parametrize("text", ["2026-10", "October 2026", "oct 2026", "{slug}-2026-10", "{SLUG}-2026-10"])
def test_the_search_finds_a_statement_by_its_month(db, text):
    acme = make_tenant("acme")
    wanted = text.format(slug=acme.slug, SLUG=acme.slug.upper())
    answer = sign_in(acme).get("/find", {"q": wanted})
    assert (answer.status_code, answer["Location"]) == (302, "/audit/statement?period=2026-10")
