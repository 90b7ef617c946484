"""The review of an import: looked at without a change, accepted by row, by provider and whole, by two people."""

import json
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.core.rate_documents import read_rates
from billing.models import RateUpload, RateVersion
from billing.rates import IMPORTED, UPLOAD_BYTES_MAX, list_published_rates, publish_rates, read_source
from ledger.selectors import EntryFilters, list_entries
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant
from tests.dashboards.luna import AFTER, BEFORE, CUT, write_list
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, put_drafts_aside

pytestmark = [pytest.mark.django_db(databases=["default", "reader"]), pytest.mark.usefixtures("fresh_rate_book")]
ROW_ID = re.compile(r'name="row" value="([^"]+)"')


@pytest.fixture
def acme():
    put_drafts_aside()
    return make_tenant("acme")


def read_text(html):
    inline = re.sub(r"</?(?:a|b|code|data|span|time)\b[^>]*>", "", html)
    return " ".join(re.sub(r"<[^>]+>", " ", inline).split())


def write_rate(model, price="2", provider="northwind", **fields):
    return {
        "provider": provider, "model": model, "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
        "meters": {"input": {"price": price, "per": 1_000_000}, "output": {"price": "8", "per": 1_000_000}},
        "source": {"name": "a file"},
    } | fields  # fmt: skip


def send(client, tenant, *rates, content=None):
    text = json.dumps({"rates": list(rates)}) if content is None else content
    file = SimpleUploadedFile("ours.json", text if isinstance(text, bytes) else text.encode())
    return client.post(f"/rates/import?tenant={tenant.slug}", {"act": "upload", "file": file})


def list_acts():
    """Those in the operator's ledger, newest first."""
    operator = get_tenant(OPERATOR_SLUG)
    return list_entries(tenant_id=operator.id, filters=EntryFilters(kinds=("admin_act",)), limit=1000).entries


def list_ids(html):
    return ROW_ID.findall(html)


def click(client, path, source, **fields):
    answer = client.post(path.split("&")[0], {"act": "accept", "source": source, **fields})
    assert answer.status_code == 302, answer.content.decode()
    return get_page(client, answer["Location"])


def test_a_file_as_windows_saves_it_is_read(acme):
    text = json.dumps({"rates": [write_rate("from-windows")]})
    answer = send(sign_in(role="finance"), acme, content=text.encode("utf-8-sig"))
    assert (answer.status_code, "source=" in answer.headers.get("Location", "")) == (302, True)


def test_the_pinned_table_is_shown_whole_page_by_page_and_changes_nothing(acme):
    client, path = sign_in(role="finance"), f"/rates/import?tenant={acme.slug}"
    published = list_published_rates()
    html = get_page(client, path)
    total = len(read_source(IMPORTED).documents)
    assert f"{total:,} lists of genai-prices" in html and "differ from what is published" in html
    [table] = read_tables(html)
    assert len(table) == 41
    last = get_page(client, f"{path}&page=999")
    assert f"to {total:,} of {total:,}" in last and "After these" not in last and "Before these" in last
    assert len(html.encode()) < 110_000
    openai = get_page(client, f"{path}&provider=openai&q=gpt-4o-2024-08-06")
    assert [row[0] for row in read_tables(openai)[0][1:]][0].startswith("gpt-4o-2024-08-06 openai")
    assert "input 2.50" in read_text(openai)
    assert list_published_rates() == published


def test_a_row_a_provider_and_all_are_accepted_by_two(acme):
    ann, bob = sign_in(role="finance"), sign_in(role="admin")
    acts_before = len(list_acts())
    rates = [write_rate("one"), write_rate("two"), write_rate("three", provider="fabrikam")]
    path = send(ann, acme, *rates)["Location"]
    source = path.rpartition("source=")[2]
    html = get_page(ann, path)
    assert "3 lists of ours.json differ from what is published" in html
    assert [row[:2] for row in read_tables(html)[0][1:]] == [
        ["three fabrikam", "new"], ["one northwind", "new"], ["two northwind", "new"],
    ]  # fmt: skip
    html = click(ann, path, source, row=list_ids(html)[1])
    assert "1 waits for a second person." in html and "accepted by finance-" in read_text(html)
    html = click(ann, path, source, count=1, provider="northwind")
    assert "1 waits for a second person." in html
    assert RateVersion.objects.filter(state="in_review").count() == 2 and not list_published_rates(provider="northwind")
    assert "waits for another" in get_page(ann, path) and "Approve" not in get_page(ann, path)
    html = click(bob, path, source, count=3)
    assert "2 lists are published." in html and "1 waits for a second person." in html
    assert {rate.model for rate in list_published_rates(provider="northwind")} == {"one", "two"}
    html = click(ann, path, source, count=1)
    assert "1 list is published." in html and "Nothing differs." in html
    acts = list_acts()[: -acts_before or None]
    assert [act["operation"] for act in acts].count("rates.published") == 2
    assert all(re.fullmatch(r"person \d+", act["tags"]["actor"]) for act in acts)


def test_where_one_person_is_enough_a_click_publishes_and_a_second_one_changes_nothing(acme, settings):
    settings.RATES_FOUR_EYES = False
    client = sign_in(role="finance")
    path = send(client, acme, write_rate("one"))["Location"]
    source = path.rpartition("source=")[2]
    row = list_ids(get_page(client, path))[0]
    assert "1 list is published." in click(client, path, source, row=row)
    assert "1 is no longer different." in click(client, path, source, row=row)


def test_what_differs_is_told_price_by_price_with_what_is_asked(acme):
    """Luna's cut, and a price ten times away; the long prices change alike."""
    publish_rates(
        [write_list(BEFORE, CUT - timedelta(days=90))], origin="file", created_by="ann", approved_by="bob",
        now=timezone.now(),
    )  # fmt: skip
    client = sign_in(role="finance")
    cut = write_list(AFTER, CUT)
    rate = cut.content | {"effective_from": CUT.isoformat(), "effective_to": None}
    html = get_page(client, send(client, acme, dict(rate))["Location"])
    [table] = read_tables(html)
    assert table[1][1] == "changed"
    assert table[1][2].startswith("input 1.00 → 0.20 ▼ 80.0 % less; ") and table[1][2].endswith("; 4 more")
    assert table[1][3] == "30 Jul 2026"
    slip = get_page(client, send(client, acme, dict(write_list(("20", "25", "2", "120"), CUT).content) | {
        "effective_from": CUT.isoformat()})["Location"])  # fmt: skip
    assert "▲ input goes from 1 to 20 USD per 1,000,000" in read_text(slip)
    assert "Accept what is ticked" in slip and "the 1 in question" in read_text(slip)


def test_a_question_is_left_out_by_a_click_on_all_unless_it_is_taken_in(acme, settings):
    settings.RATES_FOUR_EYES = False
    publish_rates(
        read_rates({"rates": [write_rate("slip")]}), origin="custom", created_by="ann", approved_by="bob",
        now=timezone.now(),
    )  # fmt: skip
    client = sign_in(role="finance")
    path = send(client, acme, write_rate("slip", "20"), write_rate("plain"))["Location"]
    source = path.rpartition("source=")[2]
    html = get_page(client, path)
    assert "written by hand, gives way to it" in html and "conflicting 1" in read_text(html)
    assert "1 list is published." in click(client, path, source, count=1)
    assert {rate.model for rate in list_published_rates(provider="northwind")} == {"slip", "plain"}
    assert "1 list is published." in click(client, path, source, count=0, asked="1")


def test_when_what_is_shown_has_changed_a_click_on_all_accepts_nothing(acme):
    client = sign_in(role="finance")
    path = send(client, acme, write_rate("one"), write_rate("two"))["Location"]
    source = path.rpartition("source=")[2]
    answer = client.post(path, {"act": "accept", "source": source, "count": 7})
    assert answer.status_code == 422
    assert "What these filters leave has changed to 2: look again, then accept." in answer.content.decode()
    assert not RateVersion.objects.filter(provider="northwind").exists()


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"\xff\xfe", 422, "ours.json is not UTF-8 text."),
        ("{", 422, "document is not JSON"),
        ('{"rates": [{"provider": "northwind", "model": "one"}]}', 422, "rates[0].meters is missing. Add it."),
        (json.dumps({"rates": [write_rate("one", "0.1234567891234")]}), 422, "rates[0].meters.input.price"),
        (json.dumps({"rates": [write_rate("one", tenant="nobody")]}), 422, "tenant nobody is not known"),
        (b" " * (UPLOAD_BYTES_MAX + 1), 413, "ours.json has more than 4 MB"),
    ],
)
def test_a_file_that_cannot_be_is_refused_by_the_path_of_each_fault(acme, content, status, said):
    answer = send(sign_in(role="finance"), acme, content=content)
    assert answer.status_code == status
    assert said in read_text(answer.content.decode())
    assert RateUpload.objects.count() == 0


def test_what_is_gone_is_ended_on_a_day_by_two_people(acme, settings):
    ann, bob, now = sign_in(role="finance"), sign_in(role="admin"), timezone.now()
    publish_rates(
        read_rates({"rates": [write_rate("left", provider="openai")]}), origin=IMPORTED, created_by="import_rates",
        approved_by="import_rates", now=now,
    )  # fmt: skip
    path = f"/rates/import?tenant={acme.slug}"
    html = get_page(ann, f"{path}&kind=gone")
    assert [row[:2] for row in read_tables(html)[0][1:]] == [["left openai", "gone"]]
    day = (now + timedelta(days=3)).date()
    asked = {"act": "end", "kind": "gone", "count": 1, "ends_on": day.isoformat()}
    refused = ann.post(path, asked | {"ends_on": (now - timedelta(days=1)).date().isoformat()})
    assert refused.status_code == 422 and "An end lies in the future" in refused.content.decode()
    assert "1 waits for a second person." in get_page(ann, ann.post(path, asked)["Location"])
    html = get_page(bob, f"{path}&kind=gone")
    assert "End too" in html and f"end on {day.day} {day:%b %Y} asked by finance-" in read_text(html)
    assert "1 version ends." in get_page(bob, bob.post(path, asked)["Location"])
    [row] = RateVersion.objects.filter(model="left")
    assert row.effective.upper.date() == day


def test_nobody_but_those_who_keep_the_rates_finds_the_review_or_a_file(acme):
    globex = make_tenant("globex")
    number = send(sign_in(role="finance"), acme, write_rate("secret", tenant=acme.slug))["Location"].rpartition("=")[2]
    for client in (sign_in(acme, role="owner"), sign_in(globex, role="owner"), sign_in(role="engineer")):
        for tenant in (acme, globex):
            assert client.get(f"/rates/import?tenant={tenant.slug}&source={number}").status_code == 404
        assert send(client, acme, write_rate("one")).status_code == 404
    keeper = sign_in(role="finance")
    assert keeper.get(f"/rates/import?tenant={acme.slug}&source=99999999").status_code == 404
    assert keeper.get(f"/rates/import?tenant={acme.slug}&source=x").status_code == 404
    assert keeper.post(f"/rates/import?tenant={acme.slug}", {"act": "burn"}).status_code == 400
    assert RateUpload.objects.count() == 1


def test_the_number_of_queries_does_not_grow_with_the_differences(acme):
    client = sign_in(role="finance")

    def count_queries(*rates):
        path = send(client, acme, *rates)["Location"]
        get_page(client, path)
        with CaptureQueriesContext(connection) as queries:
            get_page(client, path)
        return len(queries)

    assert count_queries(write_rate("one")) == count_queries(*(write_rate(f"model-{number}") for number in range(30)))
