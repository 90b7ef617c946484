"""Who sees what, and the headers that every page has."""

import re

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db(databases=["default", "reader"])
TENANT_PAGES = ("/", "/ledger", "/rejected", "/settings/keys", "/overview/file?table=days", "/ledger/file", "/find?q=x")
FORM_PAGES = ("/rejected", "/settings/keys")


@pytest.fixture
def tenants():
    publish_test_rates()
    return make_tenant("acme"), make_tenant("globex")


def test_who_is_not_signed_in_is_sent_to_sign_in():
    for path in (*TENANT_PAGES, "/tenants", "/tenants/file", "/first-entry", "/ledger/newer"):
        answer = Client().get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/sign-in?next=/") or path == "/"


def test_a_tenants_person_sees_that_tenant_alone(tenants):
    acme, globex = tenants
    book(acme, {"feature": "acme-feature", "time": on(3)})
    client = sign_in(globex, role="owner")
    for path in TENANT_PAGES:
        joint = "&" if "?" in path else "?"
        assert client.get(f"{path}{joint}tenant={acme.slug}").status_code == 404
        assert client.get(f"{path}{joint}tenant=nobody").status_code == 404
        assert acme.slug not in client.get(path).content.decode()
    assert client.get(f"/ledger?tenant={globex.slug}").status_code == 200
    for path in ("/tenants", "/tenants/file"):
        assert client.get(path).status_code == 404
    assert "All tenants" not in get_page(client, "/")


@pytest.mark.parametrize("role", ["admin", "finance", "engineer"])
def test_an_operators_person_chooses_a_tenant_in_the_address(tenants, role):
    acme, globex = tenants
    book(acme, {"feature": "acme-feature", "time": on(3)})
    client = sign_in(role=role)
    assert client.get("/")["Location"] == "/tenants"
    assert re.fullmatch(r"/ledger\?feature=a&tenant=[\w-]+", client.get("/ledger?feature=a")["Location"])
    assert "acme-feature" in get_page(client, f"/ledger?tenant={acme.slug}")
    assert "acme-feature" not in get_page(client, f"/ledger?tenant={globex.slug}")
    assert client.get("/ledger?tenant=nobody").status_code == 404
    page = get_page(client, f"/ledger?tenant={acme.slug}")
    without_menus = re.sub('<details class="menu">.*?</details>', "", page, flags=re.DOTALL)  # of all tenants, too
    links = re.findall(r'href="(/(?:ledger|rejected)?\?[^"]*)"', without_menus)
    assert links and all(f"tenant={acme.slug}" in link for link in links)


def test_the_number_of_queries_does_not_grow_with_the_tenants(tenants):
    client = sign_in(role="finance")

    def count_queries():
        with CaptureQueriesContext(connections["default"]) as own, CaptureQueriesContext(connections["reader"]) as all_:
            get_page(client, "/tenants")
        return len(own), len(all_)

    few = count_queries()
    for _ in range(50):
        make_tenant("more")
    assert count_queries() == few


def test_nothing_of_a_page_is_kept_by_a_cache(tenants):
    client = sign_in(tenants[0])
    for path in (*TENANT_PAGES, "/first-entry", "/ledger/newer?than="):
        answer = client.get(path)
        assert answer["Cache-Control"] == "private, no-store", path
        assert "Cookie" in answer["Vary"], path


def test_every_page_keeps_to_its_own_scripts_and_styles(tenants):
    acme, _ = tenants
    book(acme, {"time": on(3)})
    client, operator = sign_in(acme), sign_in(role="admin")
    answers = [client.get(path) for path in (*TENANT_PAGES, "/?from=2026-11-01&to=2026-11-19", "/nowhere")]
    answers += [operator.get("/tenants"), Client().get("/sign-in"), Client().get("/nowhere")]
    for answer in answers:
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
        if answer["Content-Type"].startswith("text/html"):
            html = answer.content.decode()
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html), answer.request["PATH_INFO"]
            scripts = re.findall(r"<script([^>]*)>", html)
            assert all("src=" in script or 'type="application/json"' in script for script in scripts)
            assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_pages_are_for_reading(tenants, method):
    client = sign_in(tenants[0])
    for path in TENANT_PAGES:
        is_form = method == "post" and path in FORM_PAGES  # whose forms are not a viewer's
        assert getattr(client, method)(path).status_code == (403 if is_form else 405)


def test_a_fault_of_ours_is_a_page_without_a_figure(tenants, monkeypatch):
    def fail(**arguments):
        raise RuntimeError("no")

    monkeypatch.setattr("dashboards.views.ledger.list_entries", fail)
    client = sign_in(tenants[0])
    client.raise_request_exception = False
    answer = client.get("/ledger")
    assert answer.status_code == 500
    assert "This page could not be made" in answer.content.decode()
    assert "RuntimeError" not in answer.content.decode()


def test_a_demo_says_so_on_every_page(tenants):
    publish_test_rates()
    demo = make_tenant("demo", is_demo=True)
    client = sign_in(demo)
    for path in ("/", "/ledger", "/rejected"):
        assert "Demo data: simulated" in get_page(client, path)
    assert "Demo data" not in get_page(sign_in(tenants[0]), "/ledger")
