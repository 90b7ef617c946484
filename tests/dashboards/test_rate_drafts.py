"""The list of rates under way, and who sees any page of them."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import RateVersion
from tests.dashboards.bookings import book
from tests.dashboards.drafting import (
    CUT,
    begin_with_luna,
    draft_cut,
    fill,
    new_path,
    read_text,
    send,
    state,
    take,
)
from tests.dashboards.pages import get_page, read_tables, sign_in

pytestmark = [pytest.mark.django_db(databases=["default", "reader"]), pytest.mark.usefixtures("fresh_rate_book")]


@pytest.fixture
def acme():
    return begin_with_luna()


def test_the_list_tells_what_is_under_way_and_what_was_decided(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    published = draft_cut(acme, finance, "submit")
    take(admin, published, "approve")
    withdrawn = draft_cut(acme, finance, effective_from="2026-08-01", price=["0.3", "0.02", "0.25", "1.2", ""])
    take(finance, withdrawn, "withdraw")
    waiting = draft_cut(acme, finance, "submit", effective_from="2026-09-01", price=["0.3", "0.02", "0.25", "1.2", ""])
    draft = draft_cut(acme, finance, effective_from="2026-10-01", **{"for": acme.slug})
    html = get_page(finance, f"/rates/drafts?tenant={acme.slug}")
    in_review, drafts, decided = read_tables(html)
    name = "gpt-5.6-luna openai version"
    assert [row[0] for row in in_review[1:]] == [f"{name} {waiting}"]
    assert in_review[1][1:3] == ["input 0.20 → 0.30 ▲ 50.0 % more", "1 Sep 2026"]
    assert [row[0] for row in drafts[1:]] == [f"{name} {draft}, {acme.slug} alone"]
    assert drafts[1][1] == "no price changes"
    assert [(row[0], row[3]) for row in decided[1:3]] == [
        (f"{name} {withdrawn}", "withdrawn"), (f"{name} {published}", "published"),
    ]  # fmt: skip
    assert decided[2][1].startswith("input 1.00 → 0.20, cache reads 0.10 → 0.02, cache writes 1.25 → 0.25 and 5 more")
    assert "1 version waits for a second person, 1 draft is being written." in read_text(html)

    book(acme, {"time": timezone.now(), "provider": "acme-gpu", "model": "llama"})
    rates = get_page(finance, f"/rates?tenant={acme.slug}")
    book(acme, {"time": timezone.now(), "provider": "openai", "model": "gpt-5.6-luna"})
    row = next(row for row in read_tables(get_page(finance, f"/rates?tenant={acme.slug}"))[0] if "luna" in row[0])
    assert row[7] == f"in review version {waiting} of gpt-5.6-luna"
    for client in (sign_in(acme, role="owner"), sign_in(role="engineer")):
        for page in ("/rates", "/rates/openai/gpt-5.6-luna"):
            html = client.get(page, {"tenant": acme.slug}, follow=True).content.decode()
            assert f"version {waiting}" not in html.lower()
    luna = f"/rates/openai/gpt-5.6-luna?tenant={acme.slug}"
    assert f"Version {waiting} waits for a second person." in read_text(get_page(finance, luna))
    assert "Drafts, 2" in rates and f"/rates/drafts?tenant={acme.slug}" in rates
    assert f"/rates/new?tenant={acme.slug}&amp;provider=acme-gpu&amp;model=llama" in rates
    assert "/rates/new?" in get_page(finance, f"/rates/openai/gpt-5.6-luna?tenant={acme.slug}")


def test_lists_longer_than_a_page_lead_to_the_older_ones(acme, monkeypatch):
    monkeypatch.setattr("dashboards.rates.drafts.ROWS_MAX", 2)
    client = sign_in(role="finance")
    ids = [draft_cut(acme, client, effective_from=f"2026-08-0{day}") for day in range(1, 6)]
    seen, path = [], f"/rates/drafts?tenant={acme.slug}"
    while path:
        html = get_page(client, path)
        seen += [int(row[0].split()[-1]) for row in read_tables(html)[0][1:]]
        older = re.search(r'href="([^"]*before=[^"]*)"', html)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == ids[::-1]
    for rate_id in ids:
        take(client, rate_id, "withdraw")
    html = get_page(client, f"/rates/drafts?tenant={acme.slug}")
    older = re.search(r'href="([^"]*before_act=[^"]*)"', html)[1].replace("&amp;", "&")
    assert [int(row[0].split()[-1]) for row in read_tables(get_page(client, older))[0][1:]] == [ids[2], ids[1]]


def test_only_those_who_keep_the_rates_find_these_pages(acme):
    finance = sign_in(role="finance")
    rate_id = draft_cut(acme, finance)
    paths = ["/rates/new", "/rates/drafts", f"/rates/drafts/{rate_id}", f"/rates/drafts/{rate_id}/edit"]
    for client in (sign_in(role="engineer"), sign_in(acme, role="owner"), sign_in(acme)):
        for path in paths:
            assert client.get(path, follow=True).status_code == 404, path
            assert client.post(path, {"act": "withdraw"}).status_code in (404, 405), path
        assert client.post("/rates/check", {}).status_code == 404
        for page in ("/rates", "/rates/openai/gpt-5.6-luna"):
            html = client.get(page, follow=True).content.decode()
            assert "/rates/new" not in html and "/rates/drafts" not in html
    for path in paths:
        assert Client().get(path)["Location"].startswith("/sign-in?")
    assert state(rate_id) == "draft"
    for path in ("/rates/drafts/0", f"/rates/drafts/{10**25}", f"/rates/drafts/{10**25}/edit", "/rates/new?from=0"):
        address = f"{path}{'&' if '?' in path else '?'}tenant={acme.slug}"
        assert finance.get(address).status_code == 404, path
        if "edit" not in path and "new" not in path:
            assert finance.post(address, {"act": "withdraw"}).status_code == 404, path


def test_what_is_sent_by_hand_is_refused_and_never_an_error(acme):
    client = sign_in(role="finance")
    path = new_path(acme)
    for fields in (
        {}, {"base": "["}, {"base": "[]"}, {"base": '{"meters": 7, "context_tiers": {"a": 1}}', "tier": "1"},
        {"tier": ["1", "x", "-1", "99"], "tier-1-above": "5"},
        {"meter": "a", "price": "1", "base": '{"meters": {"a": 1}}'},
        {"meter": "\0", "price": "\0"}, {"for": "nobody", "provider": "x", "model": "y"},
        {"document": "[1"},
        {"price_from": "magic"}, {"minimum": "x", "base": '{"minimum": {"amount": "1", "period": "year"}}'},
        {"meter": "input", "price": "1", "per": "9" * 40, "effective_from": "0001-01-01"},
    ):  # fmt: skip
        for act in ("draft", "submit", "check", "more", "text"):
            assert send(client, path, fields, act).status_code in (200, 400), (fields, act)
        assert client.post(f"/rates/check?tenant={acme.slug}", fields).status_code == 200, fields
    assert send(client, path, {}, "burn").status_code == 400
    fields = fill(get_page(client, path), **CUT | {"for": "nobody"})
    answer = send(client, path, fields)
    assert answer.status_code == 400 and "is not known. Make it first: create_tenant nobody." in read_text(answer)
    assert not RateVersion.objects.filter(state="draft").exists()


def count_queries(client, path):
    get_page(client, path)
    with CaptureQueriesContext(connection) as queries:
        get_page(client, path)
    return len(queries)


def test_the_number_of_queries_grows_with_nothing(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")

    def make_some(days):
        for day in days:
            rate_id = draft_cut(acme, finance, "submit", effective_from=f"2026-08-{day:02}")
            take(admin, rate_id, "comment", comment=f"day {day}")
            if day % 3 == 0:
                take(admin, rate_id, "return")
            if day % 3 == 1:
                take(admin, rate_id, "withdraw")
        return rate_id

    last = make_some(range(1, 5))
    paths = [f"/rates/drafts?tenant={acme.slug}", f"/rates/drafts/{last}?tenant={acme.slug}", new_path(acme)]
    few = [count_queries(finance, path) for path in paths]
    make_some(range(5, 14))
    take(admin, last, "comment", comment="again")
    assert [count_queries(finance, path) for path in paths] == few
    assert max(few) < 25
