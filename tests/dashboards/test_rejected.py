"""Events that could not be booked: found, corrected, tried and booked by people, each once."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from api.parsing.events import parse_events
from api.views.events import _describe_rejected
from billing.ingestion import RejectedItem, ingest_events
from ledger.rejected import list_rejected, mark_replayed
from ledger.selectors import EntryFilters, list_entries
from tenants.models import User
from tests.dashboards.drafting import read_form, read_text
from tests.dashboards.pages import BACKEND, get_page, read_tables, sign_in
from tests.factories import NOW, make_key, make_tenant, make_wire_event, publish_test_rates


@pytest.fixture
def acme(db, fresh_rate_book):
    publish_test_rates()
    return make_tenant("acme")


def send(tenant, *events, key="testkey1", now=None):
    """Post events as a machine does; those that are kept as rejected, newest first."""
    items = parse_events(
        json.dumps(events).encode(), content_type="application/json", now=now or timezone.now(), may_backfill=False
    )
    ingest_events(
        tenant_id=tenant.id,
        api_key_id=key,
        events=[(item.index, item.event) for item in items if item.event],
        rejected=[_describe_rejected(item) for item in items if not item.event],
        now=now or timezone.now(),
    )
    return list_rejected(tenant_id=tenant.id)


def make_wrong(**fields):
    """Its output tokens are text."""
    usage = {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": "300"}
    return make_wire_event(**{"usage": usage} | fields)


def mend(text):
    return re.sub(r'"output_tokens": ?"300"', '"output_tokens": 300', text)


def list_usage(tenant):
    return list_entries(tenant_id=tenant.id, filters=EntryFilters(kinds=("usage",))).entries


def list_acts(tenant):
    entries = list_entries(tenant_id=tenant.id, filters=EntryFilters(kinds=("admin_act",))).entries
    return [(entry["operation"], entry["tags"]) for entry in reversed(entries)]


def reject(tenant, count):
    items = [
        RejectedItem(i, f"req-{i}", "usage_inconsistent", f"detail {i}", f'{{"id": "req-{i}", "x": "<b>"}}')
        for i in range(count)
    ]
    ingest_events(tenant_id=tenant.id, api_key_id="testkey1", events=[], rejected=items, now=NOW)


def test_rejected_events_stand_with_their_reason_and_lead_to_their_pages(acme):
    reject(acme, 2)
    newest, oldest = list_rejected(tenant_id=acme.id)
    mark_replayed(tenant_id=acme.id, rejected_ids=[oldest.id], now=NOW)
    html = get_page(sign_in(acme), "/rejected?state=all")
    codes, table = read_tables(html)
    assert codes[1:] == [["usage_inconsistent", "2"], ["Total", "2"]]
    assert [row[0].split()[-1] for row in table[1:]] == [newest.event_id, oldest.event_id]
    assert table[1][1] == f"usage_inconsistent {newest.detail}"
    assert [row[3].split()[0] for row in table[1:]] == ["not", "booked"]
    assert f'href="/rejected/{newest.id}"' in html
    assert [row[0].split()[-1] for row in read_tables(get_page(sign_in(acme), "/rejected"))[1][1:]] == [newest.event_id]


def test_pages_of_rejected_events_follow_each_other(acme):
    reject(acme, 60)
    client = sign_in(acme)
    first = get_page(client, "/rejected")
    assert len(read_tables(first)[1]) == 1 + 50
    cursor = list_rejected(tenant_id=acme.id)[49].id
    assert f"?cursor={cursor}" in first
    assert len(read_tables(get_page(client, f"/rejected?cursor={cursor}"))[1]) == 1 + 10
    for wrong in ("cursor=x", "state=lost", "q=%00"):
        assert client.get(f"/rejected?{wrong}").status_code == 400


def test_a_tenant_that_was_never_refused_is_told_so(acme):
    assert "Nothing waits." in get_page(sign_in(acme), "/rejected")


def test_they_are_found_by_code_key_text_state_and_days(acme):
    key_id = make_key(acme, name="nightly").split("_")[1]
    send(acme, make_wrong(id="a", source="checkout"), make_wire_event(id="b", source="search", model=...))
    send(acme, make_wrong(id="c", source="search"), key=key_id)
    client = sign_in(acme)

    def find(query):
        tables = read_tables(get_page(client, f"/rejected?{query}"))
        return sorted(row[0].split()[-1] for row in tables[1][1:]) if tables else []

    assert find("") == ["a", "b", "c"]
    assert find("code=wrong_type") == ["a", "c"]
    assert find("code=missing_field") == ["b"]
    assert find(f"key={key_id}") == ["c"]
    assert find("q=SEARCH") == ["b", "c"]
    assert find("q=search&code=wrong_type") == ["c"]
    assert find("state=booked") == find("q=nothing") == []
    assert find("period=7d") == ["a", "b", "c"]
    assert find("from=2026-01-01&to=2026-01-02") == []
    codes = read_tables(get_page(client, "/rejected?code=wrong_type"))[0]
    assert codes[1:] == [["wrong_type", "2"], ["missing_field", "1"], ["Of wrong_type", "2"]]


def test_each_problem_stands_beside_the_line_that_it_names(acme):
    [rejected] = send(acme, make_wrong(id="<b>", feature=7, model=...))
    html = get_page(sign_in(acme), f"/rejected/{rejected.id}")
    [table] = read_tables(html)
    assert [(row[0], row[2]) for row in table[1:]] == [("model", "missing_field"), ("feature", "wrong_type")]
    marked = re.findall(r'<li class="wrong">(.*?)<b>', html)
    assert marked == ["  &quot;feature&quot;: 7,"] or marked == ["  &quot;feature&quot;: 7"]
    assert "&lt;b&gt;" in html and '"<b>"' not in html
    [usage] = send(acme, make_wrong(id="d"))[:1]
    html = get_page(sign_in(acme), f"/rejected/{usage.id}")
    assert re.findall(r'<li class="wrong">(.*?)<b>', html) == ["    &quot;output_tokens&quot;: &quot;300&quot;"]
    assert "must be a number, not text" in html


def test_an_event_is_tried_without_being_booked_and_then_booked_corrected(acme):
    key_id = make_key(acme, name="nightly").split("_")[1]
    event = make_wrong()
    [rejected] = send(acme, event, key=key_id)
    client = sign_in(acme, role="owner")
    path = f"/rejected/{rejected.id}"
    text = read_form(get_page(client, path), "Correct and book")["text"][0]
    assert json.loads(text) == event

    refused = client.post(path, {"act": "book", "text": text})
    assert refused.status_code == 422 and "Nothing was booked. 1 thing is wrong" in read_text(refused)
    tried = client.post(path, {"act": "check", "text": mend(text)})
    assert tried.status_code == 200
    assert "It would be booked: openai gpt-4o-2024-08-06" in read_text(tried) and "$0.00475" in read_text(tried)
    assert read_form(tried.content.decode(), "Correct and book")["text"][0].strip() == mend(text).strip()
    assert list_usage(acme) == [] and list_acts(acme) == []
    assert list_rejected(tenant_id=acme.id)[0].replayed_at is None

    booked = client.post(path, {"act": "book", "text": mend(text).replace("\n", "\r\n")})
    [entry] = list_usage(acme)
    assert booked["Location"] == f"{path}?done=accepted&entry={entry['id']}"
    assert (entry["event_id"], entry["api_key_id"]) == (event["id"], key_id)
    html = get_page(client, booked["Location"])
    assert f'href="/ledger/{entry["id"]}"' in html and "It is booked." in html and "$0.00475" in html
    assert "Correct and book" not in html
    assert list_acts(acme) == [
        (
            "rejected.replayed",
            {
                "actor": f"person {client.session['_auth_user_id']}", "rejected": str(rejected.id),
                "code": "wrong_type", "event_id": event["id"], "entry": entry["id"], "result": "accepted",
                "text": "corrected",
            },
        )
    ]  # fmt: skip


def test_what_was_booked_meanwhile_is_told_by_a_trial_and_booked_no_second_time(acme):
    event = make_wrong(id="twice")
    [rejected] = send(acme, event)
    right = event | {"usage": event["usage"] | {"output_tokens": 300}}
    send(acme, right)
    client = sign_in(acme, role="owner")
    path = f"/rejected/{rejected.id}"
    tried = client.post(path, {"act": "check", "text": json.dumps(right)})
    assert "The ledger has it already" in read_text(tried)
    other = json.dumps(right | {"model": "gpt-4o"})
    assert "It would be refused. It was booked before with another model" in read_text(
        client.post(path, {"act": "check", "text": other})
    )
    conflict = client.post(path, {"act": "book", "text": other})
    assert conflict.status_code == 422 and "was booked before with another model" in read_text(conflict)
    assert client.post(path, {"act": "book", "text": json.dumps(right)})["Location"].startswith(
        f"{path}?done=duplicate"
    )
    assert len(list_usage(acme)) == 1
    again = client.post(path, {"act": "book", "text": json.dumps(right | {"id": "another"})})
    assert again["Location"] == path
    assert len(list_usage(acme)) == 1


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"id": "\\u0000"}', "[" * 3000, '{"tenant": "globex"}', "NaN"])
def test_a_text_that_is_no_event_is_refused_with_its_problems(acme, text):
    [rejected] = send(acme, make_wrong())
    client = sign_in(acme, role="owner")
    for kind, status in (("check", 200), ("book", 422)):
        answer = client.post(f"/rejected/{rejected.id}", {"act": kind, "text": text})
        assert answer.status_code == status
        assert "Nothing was booked." in read_text(answer)
    assert list_usage(acme) == []


def test_an_event_may_name_the_tenant_in_whose_list_it_stands_and_no_other(acme):
    globex = make_tenant("globex")
    [rejected] = send(acme, make_wrong())
    client = sign_in(acme, role="owner")
    for slug, said in ((globex.slug, "is another tenant"), (acme.slug, "It would be booked")):
        text = json.dumps(make_wire_event(tenant=slug))
        assert said in read_text(client.post(f"/rejected/{rejected.id}", {"act": "check", "text": text}))


def test_all_of_a_code_are_tried_at_once_those_that_pass_are_booked_and_the_rest_stays(acme):
    early = datetime.now(UTC) - timedelta(hours=2)
    ahead = (early + timedelta(hours=1)).isoformat()
    one, two = (make_key(acme, name=name).split("_")[1] for name in ("one", "two"))
    send(acme, *(make_wire_event(id=f"ahead-{i}", time=ahead) for i in range(3)), key=one, now=early)
    send(acme, make_wire_event(id="ahead-other", time=ahead), key=two, now=early)
    send(acme, make_wire_event(id="ahead-0", time=ahead), now=early + timedelta(milliseconds=1))  # the same once more
    send(acme, make_wire_event(id="still", time="2031-01-01T00:00:00Z"), now=early)
    send(acme, make_wrong(id="wrong", time=early.isoformat()), now=early)
    client = sign_in(acme, role="owner")
    path = "/rejected?code=time_out_of_window"
    assert 'aria-label="Try all 6 of time_out_of_window again"' in get_page(client, "/rejected")
    answer = client.post(path, {"act": "replay"})
    assert answer.status_code == 302
    html = get_page(client, answer["Location"])
    assert "6 tried: 4 booked, 1 in the ledger before, 1 still refused." in read_text(html)
    assert sorted((entry["event_id"], entry["api_key_id"]) for entry in list_usage(acme)) == [
        ("ahead-0", one), ("ahead-1", one), ("ahead-2", one), ("ahead-other", two),
    ]  # fmt: skip
    assert sorted(event.event_id for event in list_rejected(tenant_id=acme.id) if not event.replayed_at) == [
        "still", "wrong",
    ]  # fmt: skip
    [(name, facts)] = list_acts(acme)
    assert (name, facts["code"], facts["tried"], facts["accepted"]) == (
        "rejected.replayed", "time_out_of_window", "6", "4",
    )  # fmt: skip
    again = client.post(path, {"act": "replay"})
    assert "1 tried, none booked." in read_text(get_page(client, again["Location"]))
    assert len(list_acts(acme)) == 1
    assert client.post("/rejected", {"act": "replay"}).status_code == 400
    assert client.post(path, {"act": "burn"}).status_code == 400


def test_more_than_are_tried_at_once_go_on_where_it_ended(acme, monkeypatch):
    monkeypatch.setattr("billing.replays.REPLAYED_AT_ONCE_MAX", 2)
    send(acme, *(make_wrong(id=f"wrong-{i}") for i in range(3)))
    client = sign_in(acme, role="owner")
    first = client.post("/rejected?code=wrong_type", {"act": "replay"})
    html = get_page(client, first["Location"])
    assert "2 tried, none booked." in read_text(html) and "Go on with the next" in html
    after = re.search(r'name="after" value="([0-9a-f-]+)"', html)[1]
    second = client.post("/rejected?code=wrong_type", {"act": "replay", "after": after})
    html = get_page(client, second["Location"])
    assert "1 tried, none booked." in read_text(html) and "Go on with the next" not in html


def test_only_who_may_send_books_and_another_tenant_finds_nothing(acme):
    globex = make_tenant("globex")
    [rejected] = send(acme, make_wrong(id="acmes-own"))
    path, query = f"/rejected/{rejected.id}", f"?tenant={acme.slug}"
    for client in (sign_in(acme, role="viewer"), sign_in(role="finance"), sign_in(role="engineer")):
        html = get_page(client, path + query)
        assert "acmes-own" in html and "Book it" not in html
        assert "again</button>" not in get_page(client, f"/rejected{query}")
        for target in (path + query, f"/rejected{query}&code=wrong_type"):
            assert client.post(target, {"act": "book", "text": "{}"}).status_code == 403
    theirs = sign_in(globex, role="owner")
    assert "acmes-own" not in get_page(theirs, "/rejected?state=all")
    assert theirs.get(path).status_code == theirs.post(path, {"act": "book"}).status_code == 404
    admin = sign_in(role="admin")
    right = mend(json.dumps(make_wrong(id="by-the-operator")))
    assert admin.post(path + query, {"act": "book", "text": right}).status_code == 302
    assert [entry["event_id"] for entry in list_usage(acme)] == ["by-the-operator"]


def test_without_its_csrf_token_a_form_books_nothing(acme):
    [rejected] = send(acme, make_wrong())
    signed_in = sign_in(acme, role="owner")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(pk=signed_in.session["_auth_user_id"]), backend=BACKEND)
    right = mend(rejected.body)
    assert client.post(f"/rejected/{rejected.id}", {"act": "book", "text": right}).status_code == 403
    assert client.post("/rejected?code=wrong_type", {"act": "replay"}).status_code == 403
    assert list_usage(acme) == []


def test_the_number_of_queries_does_not_grow_with_the_events(acme):
    client = sign_in(acme, role="owner")

    def count_queries():
        get_page(client, "/rejected")
        with CaptureQueriesContext(connection) as queries:
            get_page(client, "/rejected")
        return len(queries)

    send(acme, make_wrong())
    few = count_queries()
    send(acme, *(make_wrong() for _ in range(40)), make_wire_event(model=...))
    assert count_queries() == few
