import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from tenants.keys import (
    REMEMBERED_MAX,
    KeyMadeAlready,
    KeyNameTaken,
    ScopesUnknown,
    _remembered,
    find_api_key,
    issue_api_key,
    make_key_id,
    recall_api_key,
    revoke_api_key,
)
from tenants.limits import Limits
from tenants.scope import tenant_scope
from tenants.selectors import list_api_keys
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("db")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def acme():
    return make_tenant("acme")


def issue(tenant, scopes=("ingest",), name=""):
    return issue_api_key(tenant_id=tenant.id, scopes=scopes, name=name, now=NOW)


def test_a_key_is_found_with_its_tenant_and_scopes(acme):
    holder = find_api_key(issue(acme, ["read", "ingest"], name="checkout"))
    assert (holder.tenant_id, holder.slug, holder.name) == (acme.id, acme.slug, "checkout")
    assert holder.scopes == {"read", "ingest"}


def test_only_a_hash_of_the_key_is_kept(acme):
    token = issue(acme)
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(api_key)::text FROM api_key")
        [(row,)] = cursor.fetchall()
    secret = token.split("_")[2]
    assert secret not in row
    assert len(secret) == 43


def test_a_mistyped_key_is_refused_by_its_checksum_without_a_query(acme, django_assert_num_queries):
    token = issue(acme)
    flipped = token[:20] + ("a" if token[20] != "a" else "b") + token[21:]
    with django_assert_num_queries(0):
        assert find_api_key(flipped) is None
        assert find_api_key("") is None
        assert find_api_key("tl_short") is None


def test_a_key_that_was_found_is_recalled_without_a_query_for_ten_seconds(acme, django_assert_num_queries, monkeypatch):
    token, clock = issue(acme), [1000.0]
    monkeypatch.setattr("tenants.keys.monotonic", lambda: clock[0])
    holder = recall_api_key(token)
    clock[0] = 1009.9
    with django_assert_num_queries(0):
        assert recall_api_key(token) is holder
    clock[0] = 1010.0
    with django_assert_num_queries(1):
        assert recall_api_key(token) == holder


def test_a_key_that_was_not_found_is_not_remembered(acme):
    token = issue(acme)
    revoke_api_key(tenant_id=acme.id, key_id=token.split("_")[1], now=NOW)
    assert recall_api_key(token) is None
    assert token not in _remembered


def test_no_more_keys_are_remembered_than_the_bound(acme):
    _remembered.update({f"token {number}": (0.0, None) for number in range(REMEMBERED_MAX)})
    token = issue(acme)
    assert recall_api_key(token)
    assert list(_remembered) == [token]


def test_an_unknown_key_of_the_right_form_is_refused(acme):
    from tenants.keys import _checksum

    body = issue(acme).rpartition("_")[0]
    other = body[:-1] + ("a" if body[-1] != "a" else "b")
    assert find_api_key(f"{other}_{_checksum(other)}") is None


def test_a_revoked_key_is_refused_at_once(acme):
    token = issue(acme)
    key_id = token.split("_")[1]
    assert revoke_api_key(tenant_id=acme.id, key_id=key_id, now=NOW)
    assert find_api_key(token) is None
    assert not revoke_api_key(tenant_id=acme.id, key_id=key_id, now=NOW)


def test_another_tenant_cannot_revoke_a_key(acme):
    token = issue(acme)
    globex = make_tenant("globex")
    assert not revoke_api_key(tenant_id=globex.id, key_id=token.split("_")[1], now=NOW)
    assert find_api_key(token)


def test_two_keys_of_one_name_live_together_and_a_third_waits_for_a_revocation(acme):
    first = issue(acme, name="checkout")
    issue(acme, name="checkout")
    with pytest.raises(KeyNameTaken, match="revoke one of them first"):
        issue(acme, name="checkout")
    revoke_api_key(tenant_id=acme.id, key_id=first.split("_")[1], now=NOW)
    assert find_api_key(issue(acme, name="checkout"))


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "write"]])
def test_scopes_that_do_not_exist_are_named(acme, scopes):
    with pytest.raises(ScopesUnknown, match="scopes must be some of ingest, backfill, read"):
        issue(acme, scopes)


def test_a_key_that_ends_later_is_live_until_then_and_its_end_can_only_come_sooner(acme):
    now = datetime.now(UTC)
    token = issue(acme)
    key_id = token.split("_")[1]
    hour = timedelta(hours=1)
    assert revoke_api_key(tenant_id=acme.id, key_id=key_id, now=now, ends_at=now + hour)
    assert find_api_key(token)
    assert list_live(key_id) == [key_id]
    assert not revoke_api_key(tenant_id=acme.id, key_id=key_id, now=now, ends_at=now + 2 * hour)
    assert revoke_api_key(tenant_id=acme.id, key_id=key_id, now=now, ends_at=now + timedelta(seconds=0.2))
    time.sleep(0.25)
    assert find_api_key(token) is None
    assert list_live(key_id) == []
    assert not revoke_api_key(tenant_id=acme.id, key_id=key_id, now=datetime.now(UTC))


def list_live(key_id):
    with connection.cursor() as cursor:
        cursor.execute("SELECT list_live_keys(ARRAY[%s])", [key_id])
        return [found for (found,) in cursor.fetchall()]


def test_at_once_is_by_the_databases_clock(acme):
    token = issue(acme)
    ahead = datetime.now(UTC) + timedelta(minutes=1)
    assert revoke_api_key(tenant_id=acme.id, key_id=token.split("_")[1], now=ahead)
    assert find_api_key(token) is None


def test_a_key_that_ends_later_is_one_of_the_two_of_its_name(acme):
    now = datetime.now(UTC)
    old = issue(acme, name="checkout").split("_")[1]
    revoke_api_key(tenant_id=acme.id, key_id=old, now=now, ends_at=now + timedelta(days=1))
    issue(acme, name="checkout")
    with pytest.raises(KeyNameTaken), transaction.atomic():
        issue(acme, name="checkout")
    revoke_api_key(tenant_id=acme.id, key_id=old, now=now)
    assert find_api_key(issue(acme, name="checkout"))


def test_a_request_that_comes_twice_makes_one_key(acme):
    key_id = make_key_id()
    made = {"tenant_id": acme.id, "scopes": ["read"], "now": NOW, "key_id": key_id, "created_by": "person 7"}
    token = issue_api_key(limits=Limits(events=5), **made)
    with pytest.raises(KeyMadeAlready), transaction.atomic():
        issue_api_key(**made)
    holder = find_api_key(token)
    assert (holder.key_id, holder.name, holder.key_limits) == (key_id, key_id, Limits(events=5))
    [key] = list_api_keys(acme.id)
    assert (key.created_by, key.limits) == ("person 7", Limits(events=5))
