"""A rejected event that is booked by several at once."""

import json
from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.utils import timezone

from billing.ingestion import RejectedItem, ingest_events
from tests.dashboards.pages import sign_in
from tests.dashboards.test_rejected import list_acts, list_usage, make_wrong, mend, send
from tests.factories import make_tenant, make_wire_event, publish_test_rates


def test_two_clicks_at_once_book_once(committed_db):
    publish_test_rates()
    acme = make_tenant("acme")
    [rejected] = send(acme, make_wrong())
    client = sign_in(acme, role="owner")
    path = f"/rejected/{rejected.id}"
    texts = [json.dumps(json.loads(mend(rejected.body)) | {"id": f"click-{i}"}) for i in range(4)]

    def click(text):
        try:
            return client.post(path, {"act": "book", "text": text}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(click, texts)) == [302] * 4
    assert len(list_usage(acme)) == 1
    assert len(list_acts(acme)) == 1


def test_the_list_is_read_by_two_while_two_others_try_all_again_and_more_come(committed_db):
    """What passes now and what still does not, resent by its machine at the same time in another order."""
    publish_test_rates()
    acme = make_tenant("acme")
    clients = [sign_in(acme, role="owner") for _ in range(4)]
    bodies = [make_wire_event() | {"id": f"late-{number}"} for number in range(60)]

    def keep(number):
        part = bodies[number * 6 : number * 6 + 6]
        items = [RejectedItem(i, body["id"], "clock", "too early", json.dumps(body)) for i, body in enumerate(part)]
        ingest_events(tenant_id=acme.id, api_key_id="testkey1", events=[], rejected=items, now=timezone.now())
        send(acme, make_wrong() | {"id": f"wrong-{number}"}, *reversed(part[:2]))
        return 200

    def read(number):
        query = ("", "code=clock", "state=all", "state=booked", "q=late")[number % 5]
        return clients[number % 2].get(f"/rejected?{query}").status_code

    def replay(number):
        return clients[2 + number % 2].post("/rejected?code=clock", {"act": "replay"}).status_code

    def work(job):
        try:
            return [job(number) for number in range(10)]
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(work, (keep, read, read, replay, replay)))
    assert [set(one) for one in answers] == [{200}, {200}, {200}, {302}, {302}]
    replay(0)
    assert len(list_usage(acme)) == 60  # each once
