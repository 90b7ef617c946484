"""The prompt and completion on an entry's page: who is shown them, and what is said of them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from content.contents import change_retention, delete_content, keep_content, prune_contents
from content.core.messages import Message
from content.selectors import list_acts
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture
def acme():
    publish_test_rates()
    tenant = make_tenant("acme")
    change_retention(tenant_id=tenant.id, days=30)
    return tenant


def say(role, text):
    return Message(role, [{"type": "text", "content": text}])


def keep(tenant, event_id="req-1", text="Where is <b>my</b> parcel? bob@example.com", now=NOW):
    return keep_content(
        tenant_id=tenant.id,
        api_key_id="testkey1",
        event_source="checkout",
        event_id=event_id,
        input=[say("system", "Be brief."), say("user", text)],
        output=[say("assistant", "On its way.")],
        now=now,
    ).content


def book_with(tenant, digest, event_id="req-1"):
    receipt = book(tenant, {"time": on(4), "event_id": event_id, "source": "checkout", "content_digest": digest})
    return f"/ledger/{receipt.batch_id}.0"


def read_text(html):
    return " ".join(html.split())


def show(client, path):
    answer = client.post(f"{path}/content")
    assert answer.status_code == 200
    return read_text(answer.content.decode())


def test_an_owner_sees_that_it_is_kept_and_its_words_after_asking_for_them(acme):
    content = keep(acme)
    path = book_with(acme, content.digest)
    owner = sign_in(acme, role="owner")
    html = read_text(get_page(owner, path))
    until = content.kept_until
    assert f"{until.day} {until:%B %Y}</time>" in html
    assert "1 e-mail address" in html
    assert "✓ hashed again just now, it is the one in the ledger" in html
    assert "by nobody yet" in html
    assert "parcel" not in html
    shown = show(owner, path)
    assert "Where is &lt;b&gt;my&lt;/b&gt; parcel? [e-mail]" in shown
    assert "On its way." in shown and "Be brief." in shown
    assert "1 time, last by owner-" in shown
    [act] = list_acts(tenant_id=acme.id, event_source="checkout", event_id="req-1")
    assert (act.act, act.digest) == ("read", content.digest)


@pytest.mark.parametrize(
    ("role", "is_theirs", "may"),
    [("owner", True, True), ("viewer", True, False), ("admin", False, True), ("finance", False, False),
     ("engineer", False, False)],
)  # fmt: skip
def test_owners_and_administrators_may_read_it_and_nobody_else(acme, role, is_theirs, may):
    path = book_with(acme, keep(acme).digest)
    client = sign_in(acme if is_theirs else None, role=role)
    query = "" if is_theirs else f"?tenant={acme.slug}"
    assert ("Prompt and completion" in get_page(client, f"{path}{query}")) is may
    answer = client.post(f"{path}/content{query}")
    assert (answer.status_code, b"parcel" in answer.content) == ((200, True) if may else (404, False))
    assert len(list_acts(tenant_id=acme.id, event_source="checkout", event_id="req-1")) == may


def test_a_tool_call_is_shown_by_its_name_and_what_it_holds(acme):
    call = {"type": "tool_call", "id": "c1", "name": "find_parcel", "arguments": {"label": "<4f>"}}
    content = keep_content(
        tenant_id=acme.id, api_key_id="k", event_source="checkout", event_id="req-1",
        input=[say("user", "Where?")], output=[Message("assistant", [call], finish_reason="tool_calls")], now=NOW,
    ).content  # fmt: skip
    shown = show(sign_in(acme, role="owner"), book_with(acme, content.digest))
    assert "tool call find_parcel" in shown
    assert "&quot;label&quot;: &quot;&lt;4f&gt;&quot;" in shown
    assert "finished: tool_calls" in shown


def test_the_number_of_queries_grows_neither_with_the_messages_nor_with_the_reads(acme):
    owner = sign_in(acme, role="owner")

    def count_queries(event_id, messages):
        content = keep_content(
            tenant_id=acme.id, api_key_id="k", event_source="checkout", event_id=event_id,
            input=[say("user", "Where?")] * messages, output=[], now=NOW,
        ).content  # fmt: skip
        path = book_with(acme, content.digest, event_id=event_id)
        for _ in range(messages):
            show(owner, path)
        with CaptureQueriesContext(connection) as seen:
            get_page(owner, path)
        with CaptureQueriesContext(connection) as shown:
            show(owner, path)
        return len(seen), len(shown)

    assert count_queries("req-1", 1) == count_queries("req-2", 9)


def test_another_tenants_owner_gets_nothing(acme):
    path = book_with(acme, keep(acme).digest)
    globex = make_tenant("globex")
    change_retention(tenant_id=globex.id, days=30)
    client = sign_in(globex, role="owner")
    assert client.get(path).status_code == 404
    assert client.post(f"{path}/content").status_code == 404


def test_the_address_by_itself_leads_to_the_entry(acme):
    path = book_with(acme, keep(acme).digest)
    answer = sign_in(acme, role="owner").get(f"{path}/content")
    assert (answer.status_code, answer["Location"]) == (302, path)


def test_nothing_is_said_where_it_is_off_or_was_never_sent(acme):
    owner = sign_in(acme, role="owner")
    assert "Prompt and completion" not in get_page(owner, book_with(acme, "", event_id="req-2"))
    path = book_with(acme, keep(acme).digest)
    change_retention(tenant_id=acme.id, days=0)
    assert "Prompt and completion" not in get_page(owner, path)
    assert owner.post(f"{path}/content").status_code == 404


def test_content_that_the_event_does_not_name_is_shown_and_not_vouched_for(acme):
    keep(acme)
    html = read_text(get_page(sign_in(acme, role="owner"), book_with(acme, "")))
    assert "the event did not carry it, so the ledger cannot vouch for it" in html


def test_content_with_another_digest_than_the_entrys_is_called_out(acme):
    keep(acme)
    html = read_text(get_page(sign_in(acme, role="owner"), book_with(acme, "sha256:" + "0" * 64)))
    assert "✗ Not what was booked." in html


def test_content_that_was_changed_in_the_database_is_called_out(acme):
    content = keep(acme)
    path = book_with(acme, content.digest)
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT has_column_privilege('content', 'body', 'UPDATE')")
        assert cursor.fetchone() == (False,)  # so it takes the owner, and is made up here
        cursor.execute("DELETE FROM content WHERE digest = %s", [bytes.fromhex(content.digest[7:])])
        cursor.execute(
            "INSERT INTO content SELECT %s, 'checkout', 'req-1', %s, now(), now() + interval '1 day', 'k', '{}', %s",
            [acme.id, bytes.fromhex(content.digest[7:]), content.body.decode().replace("parcel", "money")],
        )
    assert "✗ Not what was booked." in read_text(get_page(sign_in(acme, role="owner"), path))


def test_after_its_time_the_digest_stays_and_the_words_are_gone(acme):
    content = keep(acme, now=NOW - timedelta(days=31))
    path = book_with(acme, content.digest)
    owner = sign_in(acme, role="owner")
    # Over before the job has run, and after it.
    for _ in range(2):
        html = show(owner, path)
        assert "parcel" not in html
        assert "The ledger keeps its digest" in html
        assert content.digest in html
        assert prune_contents(tenant_id=acme.id, now=NOW) in (0, 1)


def test_what_was_deleted_on_request_says_by_whom(acme):
    content = keep(acme)
    path = book_with(acme, content.digest)
    delete_content(tenant_id=acme.id, digest=content.digest, actor="key abc", now=NOW)
    assert "Deleted on request by key abc" in read_text(get_page(sign_in(acme, role="owner"), path))
