"""The database goes and comes back: 503 with `retry_safe` meanwhile, and no restart of ours afterwards."""

import json
import urllib.error
import urllib.request

import psycopg
import pytest
from django.db import close_old_connections, connection
from django.test import Client

from api.views import entries
from tests.factories import make_key, make_tenant

TERMINATE_SQL = """
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE usename = 'tokenledger_app' AND pid <> %(ours)s"""


@pytest.fixture
def administrator(administrator_url, committed_db):
    with psycopg.connect(administrator_url, autocommit=True) as administrator:
        yield administrator
    connection.close()  # it may have been cut: the next test of this process opens its own


@pytest.fixture
def headers(committed_db):
    return {"Authorization": f"Bearer {make_key(make_tenant('acme'), 'read')}"}


def get(url, headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_connection_that_was_cut_between_two_requests_is_not_noticed(administrator, headers, live_server_url):
    connection.ensure_connection()
    ours = connection.connection.info.backend_pid
    for _ in range(3):
        assert get(f"{live_server_url}/v1/entries", headers) == (200, {"entries": [], "next": None})
        (cut,) = administrator.execute(TERMINATE_SQL, {"ours": ours}).fetchone()
        assert cut >= 1
    assert get(f"{live_server_url}/v1/entries", headers)[0] == 200


def test_a_connection_that_is_cut_within_a_request_is_503_and_the_next_request_is_served(
    administrator, headers, monkeypatch
):
    list_entries = entries.list_entries

    def cut_and_list(**arguments):
        administrator.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
        return list_entries(**arguments)

    with monkeypatch.context() as patch:
        patch.setattr(entries, "list_entries", cut_and_list)
        response = Client().get("/v1/entries", headers=headers)
    assert response.status_code == 503
    assert response["Retry-After"] == "1"
    document = response.json()
    assert (document["code"], document["retry_safe"]) == ("database_away", True)
    assert "terminat" not in response.content.decode()
    close_old_connections()  # what the server does between two requests, and the test client does not
    assert Client().get("/v1/entries", headers=headers).status_code == 200
