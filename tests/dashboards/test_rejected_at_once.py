"""A rejected event that is booked by several at once."""

import json
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from tests.dashboards.pages import sign_in
from tests.dashboards.test_rejected import list_acts, list_usage, make_wrong, mend, send
from tests.factories import make_tenant, publish_test_rates


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
