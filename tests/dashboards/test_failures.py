"""When something is away, a page says so, and no figure stands on it that could be read as zero."""

import re

import psycopg
import pytest
import redis.connection
from django.db import close_old_connections, connection

from dashboards import access
from dashboards.views import explore
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, sign_in
from tests.factories import make_tenant, publish_test_rates

PAGES = ("/?{}", "/explore?{}&by=feature", "/ledger?{}", "/rejected", "/rates?{}", "/find?q=x")
NOVEMBER = "from=2026-11-01&to=2026-11-19"


@pytest.fixture
def client(committed_db):
    """As a browser sees it: a fault is a page, and not the test's."""
    publish_test_rates()
    acme = make_tenant("acme")
    book(acme, {"time": on(3)})
    client = sign_in(acme)
    client.raise_request_exception = False
    return client


def assert_no_figures(response):
    page = response.content.decode()
    assert "<data" not in page and "<table" not in page
    assert not re.search(r"\$?\b0\.00\b", page)
    assert "no-store" in response["Cache-Control"]


def test_a_database_that_goes_away_within_a_page_gives_a_page_that_says_so(client, administrator_url, monkeypatch):
    read = explore.read_exploration

    def cut_and_read(*arguments, **options):
        with psycopg.connect(administrator_url, autocommit=True) as administrator:
            administrator.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
        return read(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(explore, "read_exploration", cut_and_read)
        response = client.get(f"/explore?{NOVEMBER}")
    assert response.status_code == 503 and response["Retry-After"] == "5"
    assert "The database does not answer" in response.content.decode()
    assert_no_figures(response)
    close_old_connections()  # what the server does between two requests, and the test client does not
    assert client.get(f"/explore?{NOVEMBER}").status_code == 200
    connection.close()


def test_a_database_that_is_too_slow_is_stopped_and_the_page_shows_no_part_of_an_answer(client, monkeypatch):
    monkeypatch.setattr(access, "TAKE_SNAPSHOT_SQL", access.TAKE_SNAPSHOT_SQL.replace("20s", "20ms"))
    real = explore.read_exploration

    def wait_and_read(*arguments, **options):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1)")
        return real(*arguments, **options)

    monkeypatch.setattr(explore, "read_exploration", wait_and_read)
    response = client.get(f"/explore?{NOVEMBER}")
    assert response.status_code == 503 and "This took too long" in response.content.decode()
    assert_no_figures(response)


def test_pages_are_read_without_redis(client, monkeypatch):
    def refuse(self, *arguments, **options):
        raise redis.exceptions.ConnectionError("away")

    monkeypatch.setattr(redis.connection.AbstractConnection, "connect", refuse)
    for page in PAGES:
        expected = 404 if page.startswith("/find") else 200  # nothing is called so
        assert client.get(page.format(NOVEMBER)).status_code == expected, page


def test_a_fault_of_ours_is_a_page_without_a_figure(client, monkeypatch):
    monkeypatch.setattr(explore, "read_exploration", lambda *arguments, **options: 1 / 0)
    response = client.get(f"/explore?{NOVEMBER}")
    assert response.status_code == 500 and "The fault is ours" in response.content.decode()
    assert_no_figures(response)


def test_an_unknown_id_and_another_tenants_are_the_same_page(client, committed_db):
    globex = make_tenant("globex")
    theirs = f"/ledger/{book(globex, {'time': on(3)}).batch_id}.0"
    nobodys = "/ledger/019a8f00-0000-7000-8000-000000000001.0"
    pages = [client.get(path) for path in (theirs, nobodys)]
    assert {page.status_code for page in pages} == {404}
    assert pages[0].content == pages[1].content
    assert "what it names is not yours to see" in pages[0].content.decode()
    assert "<data" not in pages[0].content.decode()


def test_a_session_that_ended_asks_to_sign_in_and_comes_back_also_from_a_part_of_a_page(client):
    get_page(client, f"/explore?{NOVEMBER}")
    client.logout()
    answer = client.get(f"/explore?{NOVEMBER}")
    assert answer["Location"] == "/sign-in?next=/explore%3Ffrom%3D2026-11-01%26to%3D2026-11-19"
    part = client.get(
        "/explore/values?add=feature",
        headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver/explore?{NOVEMBER}"},
    )
    assert part["HX-Redirect"] == answer["Location"] and part.content == b""


def test_what_a_page_refuses_it_names(client):
    page = client.get(f"/explore/file?{NOVEMBER}&table=everything")
    assert page.status_code == 400
    assert "the page has the tables time and groups" in page.content.decode()
