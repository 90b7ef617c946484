"""POST, GET and DELETE /v1/content: what is taken, what is refused, and what comes back."""

import hashlib
import json
import logging

import pytest
from django.db import connection

from content.contents import change_retention, delete_all_contents
from ledger.rejected import list_rejected
from tenants.scope import tenant_scope
from tests.api.conftest import Machine
from tests.factories import NOW, make_key, make_wire_event

PROMPT = "I am bob@example.com, card 4111 1111 1111 1111. Where is my parcel?"
REDACTED = "I am [e-mail], card [card]. Where is my parcel?"


@pytest.fixture
def acme(acme):
    change_retention(tenant_id=acme.id, days=30)
    return acme


@pytest.fixture
def admin(acme):
    return Machine(make_key(acme, "admin"))


def make_content(**fields):
    return {"id": "req-1", "source": "checkout", "input": PROMPT, "output": "On its way."} | fields


def post(machine, body):
    return machine.post("/v1/content", json.dumps(body) if not isinstance(body, bytes) else body)


def text(content):
    return {"type": "text", "content": content}


def test_a_prompt_is_kept_redacted_under_the_digest_of_what_is_kept(machine, admin):
    answer = post(machine, make_content())
    assert answer.status_code == 200
    kept = answer.json()
    assert (kept["status"], kept["redactions"]) == ("kept", {"card": 1, "email": 1})
    read = admin.get(f"/v1/content/{kept['content_digest']}").json()
    assert read["input"] == [{"parts": [text(REDACTED)], "role": "user"}]
    assert read["output"] == [{"parts": [text("On its way.")], "role": "assistant"}]
    assert (read["id"], read["source"], read["is_intact"]) == ("req-1", "checkout", True)
    assert "sha256:" + hashlib.sha256(read["canonical"].encode()).hexdigest() == kept["content_digest"]
    assert "bob@" not in read["canonical"]


def test_messages_of_every_common_shape_become_one(machine, admin):
    call = {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"mail": "bob@example.com", "limit": 5}}
    kept = post(
        machine,
        make_content(
            input=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}, "there"], "name": "bob"},
                {"role": "user", "parts": [text("Call +49 30 1234567")]},
            ],
            output=[{"role": "assistant", "content": None, "finish_reason": "tool_calls"},
                    {"role": "assistant", "parts": [call]}],
        ),
    ).json()  # fmt: skip
    read = admin.get(f"/v1/content/{kept['content_digest']}").json()
    assert read["input"] == [
        {"role": "system", "parts": [text("Be brief.")]},
        {"role": "user", "parts": [text("Hi"), text("there")], "name": "bob"},
        {"role": "user", "parts": [text("Call [phone]")]},
    ]
    arguments = {"mail": "[e-mail]", "limit": "5"}
    assert read["output"] == [
        {"role": "assistant", "parts": [], "finish_reason": "tool_calls"},
        {"role": "assistant", "parts": [call | {"arguments": arguments}]},
    ]


def test_numbers_names_and_pictures_are_redacted_too(machine, admin):
    arguments = {"card": 4111111111111111, "bob@example.com": True, "eve@example.com": None, "price": 1.5}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 40}}
    parts = [{"type": "tool_call", "arguments": arguments}, picture]
    kept = post(machine, make_content(input=[{"role": "user", "parts": parts}], output=[])).json()
    assert kept["redactions"] == {"card": 1, "data": 1, "email": 2}
    [message] = admin.get(f"/v1/content/{kept['content_digest']}").json()["input"]
    assert message["parts"][0]["arguments"] == {"[e-mail]": True, "[e-mail]'": None, "card": "[card]", "price": "1.5"}
    assert message["parts"][1]["image_url"] == {"url": "data:image/png;base64,[data]"}


def test_the_same_again_answers_the_same_and_another_is_a_conflict(machine):
    first, again = post(machine, make_content()), post(machine, make_content())
    assert (first.json()["status"], again.json()["status"]) == ("kept", "duplicate")
    assert again.json() | {"status": "kept"} == first.json()
    conflict = post(machine, make_content(output="It is lost."))
    assert (conflict.status_code, conflict.json()["code"]) == (409, "content_conflict")
    assert post(machine, make_content(source="other", output="It is lost.")).status_code == 200


def test_equal_contents_have_different_digests(machine):
    digests = {post(machine, make_content(id=f"req-{n}", input="yes")).json()["content_digest"] for n in range(3)}
    assert len(digests) == 3


def test_a_tenant_that_did_not_ask_for_it_keeps_nothing_and_is_told_the_cure(stranger, globex):
    answer = post(stranger, make_content())
    assert (answer.status_code, answer.json()["code"]) == (403, "content_off")
    assert f"manage.py log_content {globex.slug} --days 30" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"input": "x"}, ["id"]),
        ({"id": "1"}, ["input"]),
        ({"id": 1, "input": {}, "outputs": ""}, ["outputs", "id", "input"]),
        (
            {"id": "1", "input": [{"role": "", "text": ""}, "hi", {"role": "user", "content": "", "parts": []}]},
            ["input[0].text", "input[0].role", "input[1]", "input[2].parts"],
        ),
        (
            {"id": "1", "output": [{"role": "a", "parts": [{"content": "x"}, 3]}, {"role": "a", "content": 3}]},
            ["output[0].parts[0].type", "output[0].parts[1]", "output[1].content"],
        ),
        ({"id": "1" * 257, "input": "a\0"}, ["id", "input"]),
        ({"id": "1", "input": [{"role": "u"}] * 1001}, ["input"]),
        ([], [""]),
    ],
)
def test_everything_wrong_is_named_at_once(machine, body, fields):
    answer = post(machine, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "content_invalid")
    assert [problem["field"] for problem in answer.json()["problems"]] == fields


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"id": "1", "id": "2", "input": ""}', "content_invalid"),
        (b'{"id": "1", "input": ', "content_invalid"),
        (b'{"id": "1", "input": "' + b"x" * 1_000_000 + b'"}', "body_too_large"),
        (b'{"id": "1", "input": ' + b"[" * 2000 + b"]" * 2000 + b"}", "content_invalid"),
        (b"", "body_empty"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(machine, body, code):
    assert post(machine, body).json()["code"] == code


def test_a_text_of_almost_a_megabyte_is_kept(machine):
    assert post(machine, make_content(input="word " * 198_000)).status_code == 200


def test_only_an_admins_key_reads_or_deletes_and_each_read_is_kept(machine, admin, acme):
    digest = post(machine, make_content()).json()["content_digest"]
    path = f"/v1/content/{digest}"
    assert machine.get(path).json()["code"] == "scope_missing"
    assert machine.client.delete(path, headers=machine.headers).json()["code"] == "scope_missing"
    assert admin.get(path).status_code == 200
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT act, actor, event_id FROM content_act")
        assert cursor.fetchall() == [("read", f"key {admin.headers['Authorization'].split('_')[1]}", "req-1")]


def test_what_was_deleted_on_request_is_gone_and_is_not_taken_again(machine, admin):
    digest = post(machine, make_content()).json()["content_digest"]
    deleted = admin.client.delete(f"/v1/content/{digest}", headers=admin.headers)
    assert (deleted.status_code, deleted.json()) == (200, {"content_digest": digest, "status": "deleted"})
    assert admin.get(f"/v1/content/{digest}").json()["code"] == "content_unknown"
    assert admin.client.delete(f"/v1/content/{digest}", headers=admin.headers).json()["code"] == "content_unknown"
    again = post(machine, make_content())
    assert (again.status_code, again.json()["code"]) == (410, "content_deleted")


def test_globex_sees_and_deletes_nothing_of_acme(machine, globex):
    change_retention(tenant_id=globex.id, days=30)
    digest = post(machine, make_content()).json()["content_digest"]
    theirs = Machine(make_key(globex, "ingest,read,admin"))
    assert theirs.get(f"/v1/content/{digest}").json()["code"] == "content_unknown"
    assert theirs.client.delete(f"/v1/content/{digest}", headers=theirs.headers).json()["code"] == "content_unknown"
    assert post(theirs, make_content(output="It is lost.")).json()["status"] == "kept"
    assert post(machine, make_content()).json()["status"] == "duplicate"


def test_a_digest_that_is_none_is_unknown(admin):
    for digest in ("x", "sha256:", "sha256:" + "0" * 63, "sha256:" + "G" * 64, "sha256:" + "0" * 64):
        assert admin.get(f"/v1/content/{digest}").json()["code"] == "content_unknown"


def test_an_event_carries_the_digest_into_the_ledger_and_none_that_is_malformed(machine, book, acme):
    digest = post(machine, make_content()).json()["content_digest"]
    booked = machine.post("/v1/events", json.dumps(make_wire_event(id="req-1", content_digest=digest))).json()
    entry = machine.get(f"/v1/entries/{booked['batch_id']}.0").json()
    assert (entry["entry"]["content_digest"], entry["proof"]["row_agrees"]) == (digest, True)
    refused = machine.post("/v1/events", json.dumps(make_wire_event(content_digest="sha256:12"))).json()
    assert refused["results"][0]["problems"][0]["field"] == "content_digest"


def test_no_content_is_in_a_log_or_among_rejected_events(machine, acme, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "the-words-of-a-prompt"
    post(machine, make_content(input=secret))
    post(machine, make_content(input=f"{secret} again"))  # a conflict
    post(machine, {"id": "req-2", "input": secret, "wrong": secret})
    post(machine, json.dumps(make_content(input=secret)).encode()[:-1])
    assert secret not in caplog.text
    assert list_rejected(tenant_id=acme.id) == []


def test_turning_it_off_refuses_and_deleting_all_leaves_nothing(machine, admin, acme):
    digest = post(machine, make_content()).json()["content_digest"]
    change_retention(tenant_id=acme.id, days=0)
    assert post(machine, make_content(id="req-2")).json()["code"] == "content_off"
    assert delete_all_contents(tenant_id=acme.id, now=NOW.replace(year=2100)) == 1
    assert admin.get(f"/v1/content/{digest}").json()["code"] == "content_unknown"
