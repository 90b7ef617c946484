import pytest

from billing.ingestion import RejectedItem, ingest_events
from ledger.rejected import list_rejected, mark_replayed
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import NOW, make_tenant

pytestmark = pytest.mark.django_db


def reject(tenant, count):
    items = [
        RejectedItem(i, f"req-{i}", "usage_inconsistent", f"detail {i}", f'{{"id": "req-{i}", "x": "<b>"}}')
        for i in range(count)
    ]
    ingest_events(tenant_id=tenant.id, api_key_id="testkey1", events=[], rejected=items, now=NOW)


def test_rejected_events_stand_whole_with_their_reason(settings):
    settings.PUBLIC_URL = "https://ledger.example"
    acme = make_tenant("acme")
    reject(acme, 2)
    newest, oldest = list_rejected(tenant_id=acme.id)
    mark_replayed(tenant_id=acme.id, rejected_ids=[oldest.id], now=NOW)
    html = get_page(sign_in(acme), "/rejected")
    [table] = read_tables(html)
    assert [row[1] for row in table[1:]] == [newest.event_id, oldest.event_id]
    assert f"usage_inconsistent {newest.detail}" in table[1][2]
    assert [row[4].split()[0] for row in table[1:]] == ["not", "booked"]
    assert "&lt;b&gt;" in html and '"x": "<b>"' not in html
    assert f"curl https://ledger.example/v1/rejected/{newest.id}/replay" in html
    assert f"/v1/rejected/{oldest.id}/replay" not in html


def test_pages_of_rejected_events_follow_each_other():
    acme = make_tenant("acme")
    reject(acme, 60)
    client = sign_in(acme)
    first = get_page(client, "/rejected")
    assert len(read_tables(first)[0]) == 1 + 50
    cursor = list_rejected(tenant_id=acme.id)[49].id
    assert f"?cursor={cursor}" in first
    assert len(read_tables(get_page(client, f"/rejected?cursor={cursor}"))[0]) == 1 + 10
    assert client.get("/rejected?cursor=x").status_code == 400


def test_a_tenant_that_was_never_refused_is_told_so():
    assert "Nothing was rejected." in get_page(sign_in(make_tenant("acme")), "/rejected")
