"""A file that is dropped on the page is checked in the browser: the product's own, and others that were changed."""

import base64
import io
import json
import re
import zipfile
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from audit.exports import open_bundle
from audit.sealed_months import find_sealed_month
from billing.rates import forget_rate_book
from ledger.selectors import EntryFilters, list_entries
from tests.audit.cases import ANSWERS, list_cases
from tests.audit.months import OCTOBER, book_october
from tests.browsing import PHONE, WIDE, list_too_wide, list_violations
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, name_maker
from tests.ledger.sealing import seal

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def acme(chromium, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        tenant = make_tenant("acme")
        book_october(tenant, provider=name_maker(tenant))
        seal(at_once=True)
        yield tenant
        forget_rate_book()


@pytest.fixture(scope="module")
def bundle(acme, django_db_blocker):
    """*acme*'s archive of October, with rows of every kind."""
    with django_db_blocker.unblock():
        file = open_bundle(find_sealed_month(tenant=acme, period=OCTOBER, now=datetime.now(UTC)))
        with file.content as content:
            return content.read()


def rewrite(bundle, change):
    """The archive with each file as `change(name, data)` gives it; None leaves a file out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = change(name, source.read(name))
            if data is not None:
                target.writestr(name, data)
    return out.getvalue()


def read_files(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def drop(page, data, name="evidence.zip"):
    """Drop a file on the page, as one does with a mouse, and wait for the verdict."""
    transfer = page.evaluate_handle(
        """([bytes, name]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
            return data;
        }""",
        [base64.b64encode(data).decode(), name],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#found .strip")).to_be_visible(timeout=60_000)
    return page.locator("#found")


def test_an_archive_of_the_product_is_found_right_and_nothing_is_sent(open_page, acme, bundle):
    page = open_page("/audit", client=sign_in(acme))
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    found = drop(page, bundle)
    expect(found).to_contain_text("✓ All agrees.")
    expect(found).to_contain_text("compare it with the one that you know")
    rows = len(zipfile.ZipFile(io.BytesIO(bundle)).read("entries.jsonl").splitlines())
    expect(found).to_contain_text(f"{rows:,} in ")
    assert [url for url in sent if not url.endswith("/mark.svg")] == []  # the browser asks for the page's mark itself
    assert page.complaints == []


def change_line(name, number, change):
    """number: of the line, or a pattern of which the first line that has it is changed."""

    def rewritten(each, data):
        if each != name:
            return data
        lines = data.split(b"\n")
        at = number if isinstance(number, int) else next(i for i, line in enumerate(lines) if re.search(number, line))
        lines[at] = change(lines[at])
        return b"\n".join(lines)

    return rewritten


def more(pattern):
    """Add one to the first number that the pattern finds."""
    return lambda line: re.sub(pattern, lambda found: found[1] + b"%d" % (int(found[2]) + 1) + found[3], line, count=1)


def forget_line(name, number):
    def rewritten(each, data):
        lines = data.split(b"\n")
        return b"\n".join(lines[:number] + lines[number + 1 :]) if each == name else data

    return rewritten


def change_file(name, change):
    return lambda each, data: change(data) if each == name else data


def change_rates(name, data):
    return data.replace(b'"price":"2.5"', b'"price":"2.4"') if name.startswith("rates/") else data


def change_statement(data):
    document = json.loads(data)
    document["totals"]["billed_cost"] = "1.000000000000"
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def spoil_signature(line):
    return line[:-8] + (b"AAAA" if line[-8:-4] != b"AAAA" else b"BBBB") + line[-4:]


NEXT_AMOUNT, NEXT_QUANTITY = more(rb'("billed_cost":")(-?\d+)(")'), more(rb'("output_tokens":")(\d+)(")')
PLAIN = rb'"kind":"usage".*"model":"plain".*"pricing_status":"priced"'
# What somebody does to an archive, and the words that say so.
TAMPERED = {
    "an amount": (change_line("entries.jsonl", PLAIN, NEXT_AMOUNT), "is not quantity × price"),
    "a fee": (change_line("entries.jsonl", rb'"kind":"fee"', NEXT_AMOUNT), "do not add up to what is due"),
    "a quantity": (change_line("entries.jsonl", PLAIN, NEXT_QUANTITY), "their hashes do not give the root"),
    "a reversal": (
        change_line("entries.jsonl", rb"tokenledger.reverses", lambda row: row.replace(b'"maker-', b'"taker-')),
        "it takes back something else than entries.jsonl line",
    ),
    "a line's price": (
        change_file("statement.json", lambda data: re.sub(rb'("price":")[1-9]', rb"\g<1>7", data, count=1)),
        "that it names",
    ),
    "a row dropped": (forget_line("entries.jsonl", 5), "rows in all: its receipt says"),
    "a batch dropped": (forget_line("batches.jsonl", 0), "it has not the batches that bundle.json names"),
    "a receipt": (change_line("batches.jsonl", 0, spoil_signature), "batches.jsonl line 1"),
    "the checkpoint": (
        change_file("checkpoint.txt", lambda data: re.sub(rb"\n(\d+)\n", rb"\n1\1\n", data, count=1)),
        "signature is wrong",
    ),
    "a price list": (change_rates, "the price list is not the one of this name"),
    "the statement": (change_file("statement.json", change_statement), "billed_cost is not what the rows add up to"),
    "the log": (
        change_file("log.json", lambda data: re.sub(rb'("salt":")..', rb"\g<1>00", data)),
        "the leaf is of another checkpoint",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_an_archive_that_was_changed_is_found_out_and_told_where(open_page, acme, bundle, what):
    change, said = TAMPERED[what]
    changed = rewrite(bundle, change)
    assert read_files(changed) != read_files(bundle)
    page = open_page("/audit", client=sign_in(acme))
    found = drop(page, changed)
    expect(found).to_contain_text("wrong.")
    expect(found).to_contain_text(said)
    assert list_violations(page) == []


CHECK_ARCHIVE = """async (bytes) => {
    const file = new Blob([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))]);
    try {
        const { findings, unchecked } = await new ArchiveCheck(await openArchive(file), async () => {}).run();
        return findings.count + unchecked;
    } catch {
        return 1;
    }
}"""


def test_the_page_finds_wrong_what_the_script_does_and_nothing_else(open_page, acme):
    page = open_page("/audit", client=sign_in(acme))
    answers = json.loads(ANSWERS.read_text())
    found, expected = {}, {}
    for name, make in list_cases().items():
        bundles, options = make()
        if list(bundles) == ["a.zip"] and not options:  # the page compares no two, and knows no kept receipts
            expected[name] = any(not line.startswith("note") for line in answers[name])
            found[name] = bool(page.evaluate(CHECK_ARCHIVE, base64.b64encode(bundles["a.zip"]).decode()))
    assert len(found) > 250
    assert [name for name in found if found[name] != expected[name]] == []


def test_what_is_no_archive_is_refused_in_words(open_page, acme, bundle):
    page = open_page("/audit", client=sign_in(acme))
    expect(drop(page, b"PK, or so it says", "notes.zip")).to_contain_text(
        "notes.zip cannot be checked: it is no ZIP archive"
    )
    expect(drop(page, bundle[: len(bundle) // 2])).to_contain_text("cannot be checked")
    without = rewrite(bundle, lambda name, data: None if name == "tree.json" else data)
    expect(drop(page, without)).to_contain_text("tree.json: it is named in bundle.json and missing in the archive")


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone"])
def test_the_pages_of_audit_fit_and_are_accessible(open_page, acme, size, theme):
    """Full, and of a tenant of whom nothing is booked."""
    for tenant in (acme, make_tenant("acme")):
        page = open_page("/audit", client=sign_in(tenant), size=size, theme=theme)
        for path in ("/audit", "/audit/statement?period=2026-10&recompute=yes", "/audit/log"):
            page.goto(path)
            assert list_too_wide(page) == [], path
            assert list_violations(page) == [], path
        assert page.complaints == []


def test_an_entrys_proof_is_recomputed_on_the_page(open_page, acme):
    newest = list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("usage",)), limit=1).entries[0]
    page = open_page(f"/ledger/{newest['id']}", client=sign_in(acme))
    page.get_by_role("button", name="Verify on this computer").click()
    expect(page.locator("#verified")).to_contain_text("✓ Recomputed here, and it agrees.")
    expect(page.locator("#verified li")).to_have_count(6)
    page.evaluate('material.row = material.row.replace(\'"kind":"usage"\', \'"kind":"credit"\')')
    page.get_by_role("button", name="Verify on this computer").click()
    expect(page.locator("#verified")).to_contain_text("▲ Not all of it agrees.")
    assert list_violations(page) == []
    assert page.complaints == []
