"""Seals over HTTP: what a tenant checks with nothing but the answers, the public keys and SHA-256."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from django.test import Client

from ledger.core.merkle import hash_leaf, is_consistent, is_included
from ledger.core.notes import verify_checkpoint
from ledger.key_files import verify
from ledger.sealing.proofs import get_salt
from ledger.sealing.rounds import seal_round
from tests.api.conftest import Machine
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.ledger.sealing import TREE_TABLES, tampering

pytestmark = pytest.mark.usefixtures("committed_db")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def machine(acme):
    return Machine(make_key(acme, "ingest,read,audit"))


def post(machine, count=3):
    answer = machine.post("/v1/events", json.dumps([make_wire_event() for _ in range(count)])).json()
    return answer["batch_id"]


def seal():
    seal_round(now=datetime.now(UTC), at_once=True)


def read_keys(purpose):
    keys = Client().get("/.well-known/tokenledger-keys").json()["keys"]
    return [decode(key["x"]) for key in keys if key["purpose"] == purpose]


def check_note(note, origin):
    return verify_checkpoint(note, origin=origin, public_keys=read_keys("seal"), verify=verify)


def unhex(path):
    return [bytes.fromhex(node) for node in path]


def test_an_entry_is_proved_up_to_the_published_head_of_the_log(acme, machine):
    batch_id = post(machine)
    seal()
    proof = machine.get(f"/v1/audit/proof/{batch_id}.1").json()
    header = decode(proof["receipt"].split(".")[1])
    stated = json.loads(header)
    # row → batch
    assert is_included(
        leaf=bytes.fromhex(proof["leaf"]), index=1, size=3, path=unhex(proof["path"]),
        root=bytes.fromhex(stated["root"]),
    )  # fmt: skip
    # batch → tree
    seal_, checkpoint = proof["seal"], proof["seal"]["checkpoint"]
    assert seal_["leaf"] == hashlib.sha256(b"\x00" + header).hexdigest()
    signed = check_note(checkpoint["note"], checkpoint["origin"])
    assert is_included(
        leaf=hash_leaf(header), index=seal_["leaf_index"], size=signed.size, path=unhex(seal_["path"]),
        root=signed.root,
    )  # fmt: skip
    # tree → log
    log = checkpoint["log"]
    leaf = json.loads(log["data"])
    assert (leaf["root"], leaf["size"]) == (signed.root.hex(), str(signed.size))
    salt = get_salt(tenant_id=acme.id)
    assert leaf["origin"] == hmac.new(salt, checkpoint["origin"].encode(), "sha256").hexdigest()
    head = check_note(log["note"], log["note"].split("\n")[0])
    assert is_included(
        leaf=hash_leaf(log["data"].encode()), index=log["leaf_index"], size=head.size, path=unhex(log["path"]),
        root=head.root,
    )  # fmt: skip


def test_before_its_seal_an_entry_waits(machine):
    batch_id = post(machine)
    assert machine.get(f"/v1/audit/proof/{batch_id}.0").json()["seal"] == {
        "status": "waiting", "leaf": None, "leaf_index": None, "path": [], "checkpoint": None,
    }  # fmt: skip
    proof = machine.get(f"/v1/entries/{batch_id}.0").json()["proof"]
    assert (proof["status"], proof["seal"]["status"]) == ("receipted", "waiting")
    seal()
    proof = machine.get(f"/v1/entries/{batch_id}.0").json()["proof"]
    assert proof["status"] == "sealed"
    assert proof["seal"] == {"status": "sealed", "leaf_index": 0, "checkpoint_size": 1}


def test_between_two_checkpoints_the_tree_only_grew(machine):
    sizes = []
    for _ in range(3):
        post(machine), post(machine)
        seal()
        sizes.append(machine.get("/v1/audit/checkpoint").json()["size"])
    assert sizes == [2, 4, 6]
    old, new = (machine.get(f"/v1/audit/checkpoint/{size}").json() for size in (2, 6))
    answer = machine.get("/v1/audit/consistency", {"from": 2}).json()
    assert (answer["from"], answer["to"]) == (2, 6)
    assert (answer["from_root"], answer["to_root"]) == (old["root"], new["root"])
    roots = {"old_root": bytes.fromhex(old["root"]), "new_root": bytes.fromhex(new["root"])}
    assert is_consistent(old_size=2, new_size=6, path=unhex(answer["path"]), **roots)
    assert not is_consistent(old_size=2, new_size=6, path=unhex(answer["path"])[:-1], **roots)


def test_a_proof_can_be_asked_for_under_a_checkpoint_that_was_kept(machine):
    first = post(machine)
    seal()
    post(machine)
    seal()
    proof = machine.get(f"/v1/audit/receipt/{first}", {"size": 1}).json()["seal"]
    assert (proof["leaf_index"], proof["path"], proof["checkpoint"]["size"]) == (0, [], 1)
    assert machine.get(f"/v1/audit/receipt/{first}").json()["seal"]["checkpoint"]["size"] == 2


def test_a_batch_that_was_sealed_after_the_named_checkpoint_does_not_pass_for_one_that_waits(machine):
    post(machine)
    seal()
    second = post(machine)
    waiting = machine.get(f"/v1/audit/receipt/{second}", {"size": 1}).json()["seal"]
    assert waiting["status"] == "waiting"
    seal()
    for path in (f"/v1/audit/receipt/{second}", f"/v1/audit/proof/{second}.0"):
        answer = machine.get(path, {"size": 1})
        assert (answer.status_code, answer.json()["code"]) == (422, "query_invalid")
        assert answer.json()["detail"] == "size: The batch is none of the first 1: it is sealed as leaf 1."


def test_a_tree_that_something_was_taken_out_of_is_named_as_such(acme, machine, administrator_url, caplog):
    batch_ids = [post(machine), post(machine)]
    seal()
    with tampering(administrator_url) as administrator, administrator.keep(*TREE_TABLES):
        administrator.change("seal_leaf", "DELETE FROM seal_leaf WHERE tenant_id = %s AND leaf_index = 0", [acme.id])
        month = datetime.now(UTC).strftime("%Y-%m")
        for path, query in (
            (f"/v1/audit/receipt/{batch_ids[1]}", {}),
            (f"/v1/audit/proof/{batch_ids[1]}.0", {}),
            ("/v1/audit/consistency", {"from": 1}),
        ):
            answer = machine.get(path, query)
            assert (answer.status_code, answer.json()["code"]) == (500, "tree_torn"), path
            assert answer.json()["detail"] == ("The subtree 0 of level 0 is missing: nothing can be proved from it.")
        assert machine.get("/v1/audit/bundle", {"period": month}).json()["code"] in ("tree_torn", "period_unsealed")
    assert "failed, request" in caplog.text


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/v1/audit/checkpoint/7", {}, "checkpoint_unknown"),
        ("/v1/audit/checkpoint/0", {}, "checkpoint_unknown"),
        (f"/v1/audit/checkpoint/{10**30}", {}, "checkpoint_unknown"),
        ("/v1/audit/consistency", {"from": 2, "to": 1}, "query_invalid"),
        ("/v1/audit/consistency", {"from": 1, "to": 2}, "query_invalid"),
        ("/v1/audit/consistency", {}, "query_invalid"),
        ("/v1/audit/consistency", {"from": 0}, "query_invalid"),
        ("/v1/audit/proof/nonsense", {}, "entry_unknown"),
        ("/v1/audit/receipt/019a8f00-0000-7000-8000-000000000001", {}, "batch_unknown"),
    ],
)
def test_what_is_not_there_is_refused_in_words(machine, path, query, code):
    post(machine)
    seal()
    answer = machine.get(path, query).json()
    assert answer["code"] == code and answer["detail"]


def test_before_anything_is_sealed_there_is_no_checkpoint(machine):
    assert machine.get("/v1/audit/checkpoint").json()["code"] == "checkpoint_unknown"
    assert machine.get("/v1/audit/consistency", {"from": 1}).json()["code"] == "checkpoint_unknown"


def test_two_published_heads_of_the_log_are_joined_for_everybody(machine):
    heads = []
    for _ in range(2):
        post(machine)
        seal()
        note = Client().get("/v1/log/checkpoint").content.decode()
        heads.append(check_note(note, note.split("\n")[0]))
    old, new = heads
    answer = Client().get("/v1/log/consistency", {"from": old.size}).json()
    assert (answer["to"], answer["to_root"], answer["from_root"]) == (new.size, new.root.hex(), old.root.hex())
    assert is_consistent(
        old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root, path=unhex(answer["path"])
    )
    refused = Client().get("/v1/log/consistency", {"from": new.size + 1})
    assert (refused.status_code, refused.json()["code"]) == (422, "query_invalid")


def test_the_keys_name_the_log_and_their_announcements(machine):
    post(machine)
    seal()
    answer = Client().get("/.well-known/tokenledger-keys").json()
    note = Client().get("/v1/log/checkpoint")
    assert note["Content-Type"] == "text/plain; charset=utf-8"
    assert note.content.decode().startswith(f"{answer['log']['origin']}\n")
    by_purpose = {key["purpose"]: key for key in answer["keys"]}
    assert set(by_purpose) == {"receipt", "seal"}
    for key in answer["keys"]:
        statement = key["announcement"]["statement"]
        assert json.loads(statement)["public_key"] == decode(key["x"]).hex()
        signature = decode(key["announcement"]["signatures"][key["kid"]])
        assert verify(decode(key["x"]), signature, statement.encode())
    assert any(vkey.startswith(answer["log"]["origin"] + "+") for vkey in answer["log"]["vkeys"])
