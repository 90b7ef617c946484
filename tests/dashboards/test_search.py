"""The search of every page: ids lead to rows, parts of names to what is called so."""

from datetime import UTC, datetime, timedelta

import pytest

from ledger.selectors import EntryFilters, list_entries
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def find(client, text, **more):
    return client.get("/find", {"q": text, **more})


def test_an_id_leads_to_what_has_it(acme):
    book(acme, {"event_id": "order 66", "response_id": "chatcmpl-9f", "trace_id": "4bf92f35", "session_id": "s-1"})
    client = sign_in(acme)
    entry_id = list_entries(tenant_id=acme.id, filters=EntryFilters()).entries[0]["id"]
    assert find(client, f" {entry_id} ")["Location"] == f"/ledger/{entry_id}"
    assert find(client, "order 66")["Location"] == "/ledger?environment=all&event_id=order+66"
    assert find(client, "chatcmpl-9f")["Location"] == "/ledger?environment=all&response_id=chatcmpl-9f"
    assert find(client, "4bf92f35")["Location"] == "/traces/4bf92f35"
    assert find(client, "s-1")["Location"] == "/ledger?environment=all&session_id=s-1"


def test_a_part_of_a_name_leads_to_the_one_thing_that_has_it_and_lists_several_whole_names_first(acme):
    book(acme, {"feature": "chat-old", "time": NOW}, {"feature": "Chat", "cost_center": "retail", "time": NOW})
    client = sign_in(acme)
    assert find(client, "RETA")["Location"] == "/explore?environment=all&period=30d&cost_center=retail"
    rows = read_tables(get_page(client, "/find?q=Chat"))[0]
    assert rows[1:] == [["Chat", "Feature"], ["chat-old", "Feature"]]


def test_a_user_is_found_by_the_whole_name_that_was_sent(acme):
    book(acme, {"user": "ann@acme.example", "time": NOW})
    client = sign_in(acme)
    assert find(client, "ann@acme.example")["Location"] == (
        "/explore?environment=all&period=30d&user=ann%40acme.example"
    )
    assert find(client, "ann@").status_code == 404


def test_what_is_not_there_or_was_not_used_for_long_is_not_found(acme):
    book(acme, {"feature": "forgotten", "time": NOW - timedelta(days=100)})
    client = sign_in(acme)
    for nothing in ("", "order 67", "a\0b", "<b>", "forgotten"):
        answer = find(client, nothing)
        assert answer.status_code == 404
        assert "Nothing found" in answer.content.decode() and "<b><b>" not in answer.content.decode()


def test_an_operator_finds_tenants_and_a_tenants_person_only_what_is_its_own(acme):
    globex = make_tenant("globex")
    book(globex, {"feature": "secret-thing", "time": NOW})
    assert find(sign_in(acme), "secret").status_code == 404
    assert find(sign_in(acme), globex.slug).status_code == 404
    operator = sign_in(role="finance")
    answer = find(operator, globex.slug, tenant=acme.slug)
    assert answer["Location"] == f"/?tenant={globex.slug}"
