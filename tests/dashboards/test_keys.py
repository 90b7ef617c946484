"""A tenant's keys: made by who may, shown once and kept nowhere, rotated in peace, revoked at once."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.ingestion import ingest_events
from ledger.selectors import EntryFilters, list_entries
from tenants.keys import find_api_key, issue_api_key
from tenants.limits import Limits
from tenants.models import User
from tenants.scope import tenant_scope
from tenants.selectors import list_api_keys
from tests.dashboards.drafting import read_form, read_text
from tests.dashboards.pages import BACKEND, get_page, read_tables, sign_in
from tests.factories import make_event, make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
TOKEN = re.compile(r"tl_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}")


def make(client, path="/settings/keys", **fields):
    form = read_form(get_page(client, path), "New key")
    return client.post(path, form | {"name": "checkout", "scope": ["ingest", "read"], "act": "make"} | fields)


def act(client, kind, key_id, path="/settings/keys", **fields):
    form = read_form(get_page(client, path), "New key")["form"]
    return client.post(path, {"act": kind, "key": key_id, "form": form} | fields)


def find_token(answer):
    [token] = set(TOKEN.findall(answer.content.decode()))
    return token


def list_acts(tenant):
    page = list_entries(tenant_id=tenant.id, filters=EntryFilters(kinds=("admin_act",)))
    return [(entry["operation"], entry["tags"]) for entry in reversed(page.entries)]


def test_a_key_is_made_with_its_scopes_and_name_and_is_an_act_of_its_maker():
    acme = make_tenant("acme")
    client = sign_in(acme, role="owner")
    answer = make(client, scope=["read", "ingest"])
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    holder = find_api_key(find_token(answer))
    assert (holder.slug, holder.name, holder.scopes) == (acme.slug, "checkout", {"ingest", "read"})
    [key] = list_api_keys(acme.id)
    person = f"person {client.session['_auth_user_id']}"
    assert key.created_by == person
    assert list_acts(acme) == [
        ("key.made", {"actor": person, "key": key.key_id, "name": "checkout", "scopes": "ingest,read"})
    ]
    [entry] = list_entries(tenant_id=acme.id, filters=EntryFilters()).entries
    told = read_text(get_page(client, f"/ledger/{entry['id']}"))
    assert "An act of you" in told
    assert "API key made" in told


def test_its_secret_stands_on_one_answer_and_nowhere_in_the_database():
    acme = make_tenant("acme")
    client = sign_in(acme, role="owner")
    token = find_token(make(client))
    secret, checksum = token.split("_")[2:]
    rows = list_all_rows(acme)
    assert any(f'"{token.split("_")[1]}"' in row or token.split("_")[1] in row for row in rows)  # the public part
    for hidden in (secret, f"{secret}_{checksum}".encode().hex(), secret.encode().hex()):
        assert [row[:200] for row in rows if hidden in row] == []
    assert secret not in str(SessionStore(client.session.session_key).load())
    assert secret not in get_page(client, "/settings/keys")
    assert secret not in get_page(client, f"/settings/keys/{token.split('_')[1]}/first-entry")


def list_all_rows(tenant):
    """Every row of every table that the application reads, inside the tenant's scope, as text."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("""
            SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT')
              AND NOT c.relispartition""")
        tables = [name for (name,) in cursor.fetchall()]
        assert {"api_key", "ledger_entry", "django_session"} <= set(tables)
        rows = []
        for table in tables:
            cursor.execute(f"SELECT row.*::text FROM {table} AS row")
            rows += [text for (text,) in cursor.fetchall()]
    return rows


def test_the_same_form_sent_again_makes_no_second_key_and_shows_none():
    acme = make_tenant("acme")
    client = sign_in(acme, role="owner")
    form = read_form(get_page(client, "/settings/keys"), "New key") | {"name": "checkout", "act": "make"}
    find_token(client.post("/settings/keys", form))
    again = client.post("/settings/keys", form)
    assert again.status_code == 409
    assert TOKEN.findall(again.content.decode()) == []
    assert "This form was sent before: its key was made then and shown that once." in read_text(again)
    assert len(list_api_keys(acme.id)) == 1
    assert [name for name, _ in list_acts(acme)] == ["key.made"]


def test_a_form_of_another_person_or_of_nobody_makes_nothing():
    acme, globex = make_tenant("acme"), make_tenant("globex")
    form = read_form(get_page(sign_in(acme, role="owner"), "/settings/keys"), "New key")
    sent = form | {"name": "checkout", "act": "make"}
    for client in (sign_in(acme, role="owner"), sign_in(globex, role="owner")):
        assert client.post("/settings/keys", sent).status_code == 400
        assert client.post("/settings/keys", sent | {"form": "mine"}).status_code == 400
        assert client.post("/settings/keys", sent | {"act": "burn"}).status_code == 400
        assert client.post("/settings/keys", sent | {"name": "a\0"}).status_code == 400
    assert list_api_keys(acme.id) == list_api_keys(globex.id) == []


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"name": " "}, 422, "A name is 1 to 60 characters"),
        ({"name": "x" * 61}, 422, "A name is 1 to 60 characters"),
        ({"scope": []}, 422, "a key without a scope opens nothing"),
        ({"name": "taken"}, 409, "Two live keys have this name already"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(change, status, said):
    acme = make_tenant("acme")
    make_key(acme, name="taken")
    make_key(acme, name="taken")
    answer = make(sign_in(acme, role="owner"), **change)
    assert answer.status_code == status
    assert said in read_text(answer)
    assert len(list_api_keys(acme.id)) == 2


def test_only_owners_and_the_operators_administrator_make_keys_and_all_who_see_the_tenant_see_them():
    acme = make_tenant("acme")
    key_id = make_key(acme, name="checkout").split("_")[1]
    path = f"/settings/keys?tenant={acme.slug}"
    for client in (sign_in(acme, role="viewer"), sign_in(role="finance"), sign_in(role="engineer")):
        html = get_page(client, path)
        assert f"tl_{key_id}…" in html
        assert "New key" not in html and "Revoke" not in html and '<form method="post" action="/settings' not in html
        for kind in ("make", "rotate", "revoke"):
            assert client.post(path, {"act": kind, "key": key_id}).status_code == 403
    assert len(list_api_keys(acme.id)) == 1
    admin = sign_in(role="admin")
    assert find_api_key(find_token(make(admin, path, name="of the operator"))).slug == acme.slug
    owner = get_page(sign_in(acme, role="owner"), "/settings/keys")
    assert "by the operator" in owner and "admin-" not in owner


def test_another_tenants_keys_are_in_no_list_and_out_of_reach():
    acme, globex = make_tenant("acme"), make_tenant("globex")
    token = make_key(acme, name="checkout")
    key_id = token.split("_")[1]
    theirs = sign_in(globex, role="owner")
    assert key_id not in get_page(theirs, "/settings/keys")
    assert theirs.get(f"/settings/keys?tenant={acme.slug}").status_code == 404
    assert theirs.get(f"/settings/keys/{key_id}/first-entry").status_code == 404
    for kind in ("rotate", "revoke"):
        answer = act(theirs, kind, key_id, overlap="now")
        assert (answer.status_code, answer["Location"]) == (302, "/settings/keys?done=gone")
    assert find_api_key(token)
    assert list_acts(globex) == list_acts(acme) == []


def test_without_its_csrf_token_a_form_changes_nothing():
    acme = make_tenant("acme")
    signed_in = sign_in(acme, role="owner")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(pk=signed_in.session["_auth_user_id"]), backend=BACKEND)
    answer = client.post("/settings/keys", {"act": "make", "name": "x", "scope": "read"})
    assert answer.status_code == 403
    assert list_api_keys(acme.id) == []


@pytest.mark.parametrize(("overlap", "hours"), [("1h", 1), ("24h", 24), ("7d", 168)])
def test_a_rotation_makes_a_key_alike_and_lets_the_old_one_live_as_long_as_was_chosen(overlap, hours):
    acme = make_tenant("acme")
    now = timezone.now()
    old = issue_api_key(tenant_id=acme.id, scopes=["read", "audit"], name="books", now=now, limits=Limits(requests=5))
    client = sign_in(acme, role="owner")
    answer = act(client, "rotate", old.split("_")[1], overlap=overlap)
    assert answer.status_code == 200
    new = find_api_key(find_token(answer))
    assert (new.name, new.scopes, new.key_limits) == ("books", {"read", "audit"}, Limits(requests=5))
    assert find_api_key(old)
    kept = next(key for key in list_api_keys(acme.id) if key.key_id == old.split("_")[1])
    assert abs(kept.revoked_at - now - timedelta(hours=hours)) < timedelta(minutes=1)
    [(name, facts)] = list_acts(acme)
    assert (name, facts["key"], facts["new_key"]) == ("key.rotated", old.split("_")[1], new.key_id)
    assert facts["ends_at"] == kept.revoked_at.isoformat()
    page = get_page(client, "/settings/keys")
    assert [row[0].split()[1] for row in read_tables(page)[0][1:3]] == [f"tl_{new.key_id}…", f"tl_{kept.key_id}…"]
    assert "ends" in page
    # a third of the name waits until the first has ended
    assert act(client, "rotate", new.key_id, overlap="now").status_code in (200, 409)


def test_a_rotation_at_once_refuses_the_old_key_with_the_next_request():
    acme = make_tenant("acme")
    old = make_key(acme, name="books")
    client = sign_in(acme, role="owner")
    new = find_token(act(client, "rotate", old.split("_")[1], overlap="now"))
    assert find_api_key(old) is None
    assert find_api_key(new).name == "books"
    assert act(client, "rotate", old.split("_")[1], overlap="now")["Location"].endswith("done=gone")
    assert act(client, "rotate", new.split("_")[1], overlap="never").status_code == 400


def test_a_third_key_of_a_name_waits_and_the_key_that_was_to_be_rotated_stays_as_it_was():
    acme = make_tenant("acme")
    make_key(acme, name="books")
    second = make_key(acme, name="books")
    answer = act(sign_in(acme, role="owner"), "rotate", second.split("_")[1], overlap="24h")
    assert answer.status_code == 409
    assert "Revoke that one first" in read_text(answer)
    assert [key.revoked_at for key in list_api_keys(acme.id)] == [None, None]
    assert list_acts(acme) == []


def test_a_revoked_key_is_refused_by_the_next_request_and_stands_among_the_ended():
    acme = make_tenant("acme")
    token = make_key(acme, name="books")
    headers = {"Authorization": f"Bearer {token}"}
    assert Client().get("/v1/me", headers=headers).status_code == 200
    client = sign_in(acme, role="owner")
    answer = act(client, "revoke", token.split("_")[1])
    assert (answer.status_code, answer["Location"]) == (302, "/settings/keys?done=revoked")
    assert Client().get("/v1/me", headers=headers).status_code == 401
    html = get_page(client, "/settings/keys?done=revoked")
    assert "The key is revoked" in html and "No key is live" in html
    [ended] = read_tables(html)
    assert ended[1][0].startswith(f"books tl_{token.split('_')[1]}… ended ")
    assert [name for name, _ in list_acts(acme)] == ["key.revoked"]
    assert act(client, "revoke", token.split("_")[1])["Location"].endswith("done=gone")


def test_what_came_with_each_key_is_summed_and_when_it_last_sent_is_told_by_the_hour(fresh_rate_book):
    publish_test_rates()
    acme = make_tenant("acme")
    busy, idle = (make_key(acme, name=name).split("_")[1] for name in ("busy", "idle"))
    reading = make_key(acme, "read", name="reading").split("_")[1]
    now = datetime.now(UTC)
    for key_id, count in ((busy, 2), ("operators-key", 1)):
        events = [(line, make_event(time=now)) for line in range(count)]
        ingest_events(tenant_id=acme.id, api_key_id=key_id, events=events, now=now)
    [table] = read_tables(get_page(sign_in(acme), "/settings/keys"))
    rows = {row[0].split(" tl_")[0]: row for row in table[1:]}
    hour = f"{now.day} {now:%b %H}:00 UTC"
    assert rows["busy"][3:] == [hour, "2", "0.00950"]  # 2 × 0.00475
    assert rows["idle"][3:] == ["nothing yet", "0", "0.00"]
    assert rows["reading"][3:] == ["only reads", "0", "0.00"]
    assert rows["Other keys, the operator's"][4:] == ["1", "0.00475"]
    assert rows["Total"][4:] == ["3", "0.0142"]
    assert {idle, reading} <= {key.key_id for key in list_api_keys(acme.id)}


def test_the_number_of_queries_does_not_grow_with_the_keys():
    acme = make_tenant("acme")
    client = sign_in(acme, role="owner")

    def count_queries():
        get_page(client, "/settings/keys")
        with CaptureQueriesContext(connection) as queries:
            get_page(client, "/settings/keys")
        return len(queries)

    make(client)
    few = count_queries()
    for number in range(20):
        issue_api_key(
            tenant_id=acme.id, scopes=["read"], name=f"key {number}", now=timezone.now(), created_by=f"person {number}"
        )
    assert count_queries() == few


def test_the_page_says_when_the_first_event_of_a_key_arrives(fresh_rate_book):
    publish_test_rates()
    acme = make_tenant("acme")
    client = sign_in(acme, role="owner")
    answer = make(client)
    key_id = find_token(answer).split("_")[1]
    fragment = f"/settings/keys/{key_id}/first-entry"
    assert f'hx-get="{fragment}"' in answer.content.decode()
    other = make_key(acme).split("_")[1]
    ingest_events(tenant_id=acme.id, api_key_id=other, events=[(0, make_event())], now=timezone.now())
    assert "Listening." in get_page(client, fragment)
    receipt = ingest_events(tenant_id=acme.id, api_key_id=key_id, events=[(0, make_event())], now=timezone.now())
    arrived = get_page(client, fragment)
    assert "It arrived." in arrived and "hx-get" not in arrived
    assert f'href="/ledger/{receipt.results[0].entry_id}"' in arrived
    assert "$0.00475" in arrived


def test_an_act_on_a_key_is_no_first_event():
    acme = make_tenant("acme")
    client = sign_in(acme, role="owner")
    make(client)
    assert "Nothing has been sent yet" in get_page(client, "/")
    assert client.get("/first-entry").status_code == 200
