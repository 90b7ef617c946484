"""Whose signatures the sealer believes, how a key is replaced, and what an operator may decide."""

import base64
import contextlib
import io
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from ledger import receipts
from ledger.core.announcements import read_announcement
from ledger.core.notes import NoteInvalid, verify_checkpoint
from ledger.key_files import load_key, make_pair, verify
from ledger.receipts import RECEIPT_KEY_PLACE, ReceiptKey, load_receipt_key
from ledger.sealing import proofs, rounds
from ledger.sealing.alarms import list_alarms
from ledger.sealing.checks import Fault, TreeCheck, check_tree
from ledger.sealing.keys import SEAL_KEY_PLACE, announce_key, list_announced_keys, settle_keys
from ledger.sealing.memory import NOTHING, Memory, Remembered, open_memory
from ledger.selectors import EntryFilters, list_entries
from tenants.selectors import get_tenant
from tests.factories import make_tenant
from tests.ledger.sealing import LOG_TABLES, TREE_TABLES, book_batches, list_leaves, seal, tampering

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme():
    return make_tenant("acme").id


@pytest.fixture
def tamperer(administrator_url, django_db_setup):
    with tampering(administrator_url) as tamperer:
        yield tamperer


@pytest.fixture
def own_keys(acme, tamperer):
    """Keys, memory and tables as they were, at the end of the test."""
    book_batches(acme, 1)
    seal()
    files = {place.path: place.path.read_bytes() for place in (SEAL_KEY_PLACE, RECEIPT_KEY_PLACE)}
    with tamperer.keep(*LOG_TABLES, *TREE_TABLES):
        yield
        for path, content in files.items():
            path.unlink()
            path.write_bytes(content)
        load_receipt_key.cache_clear()


def alarms():
    return {alarm.subject: alarm.kind for alarm in list_alarms() if alarm.tenant_id == 0}


def call(*arguments, **options):
    said = io.StringIO()
    call_command(*arguments, stdout=said, **options)
    return said.getvalue().splitlines()


def sign_receipts_with(monkeypatch, pair):
    protected = base64.urlsafe_b64encode(f'{{"alg":"EdDSA","kid":"{pair.key_id}"}}'.encode()).rstrip(b"=").decode()
    monkeypatch.setattr(receipts, "load_receipt_key", lambda: ReceiptKey(pair, protected))


def test_a_rotated_seal_key_signs_from_the_next_round_and_the_old_checkpoints_stay_good(own_keys, acme):
    old = load_key(SEAL_KEY_PLACE)
    before = proofs.get_head(tenant_id=acme)
    key_id = call("rotate_key", "seal")[-1]
    new = load_key(SEAL_KEY_PLACE)
    assert new.key_id == key_id != old.key_id
    book_batches(acme, 1)
    seal(at_once=True)
    after = proofs.get_head(tenant_id=acme)
    assert (before.key_id, after.key_id, after.size) == (old.key_id, new.key_id, 2)
    verify_checkpoint(after.note, origin=after.origin, public_keys=[new.public_key], verify=verify)
    with pytest.raises(NoteInvalid):
        verify_checkpoint(after.note, origin=after.origin, public_keys=[old.public_key], verify=verify)
    announced = {key.key_id: read_announcement(key.announcement) for key in list_announced_keys()}
    assert announced[new.key_id].previous == old.key_id
    assert alarms() == {}
    [act] = list_entries(
        tenant_id=get_tenant("operator").id, filters=EntryFilters(kinds=["admin_act"]), limit=1
    ).entries
    assert (act["operation"], act["tags"]["key"]) == ("key.rotated", new.key_id)


def test_a_keys_announcement_is_a_leaf_of_the_log(own_keys):
    key_id = call("rotate_key", "seal")[-1]
    seal(at_once=True)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT data FROM log_leaf WHERE key_id = %s", [key_id])
        [(data,)] = cursor.fetchall()
    assert read_announcement(data).key_id == key_id


def test_a_rotated_receipt_key_is_believed_and_so_is_the_old_one_of_processes_that_run_on(own_keys, acme):
    old = load_receipt_key()
    call("rotate_key", "receipt")
    book_batches(acme, 1)  # this process has not begun again
    load_receipt_key.cache_clear()
    assert load_receipt_key().key_id != old.key_id
    book_batches(acme, 1)
    seal()
    assert len(list_leaves(acme)) == 3
    assert alarms() == {}


def test_a_rotation_that_died_is_finished_by_the_next_with_the_same_key(own_keys, monkeypatch):
    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", die)
        call("rotate_key", "seal")
    announced = list_announced_keys()[-1].key_id
    assert load_key(SEAL_KEY_PLACE).key_id != announced
    seal()
    assert call("rotate_key", "seal")[-1] == announced == load_key(SEAL_KEY_PLACE).key_id


def test_a_receipt_key_that_no_known_key_has_signed_for_is_told_and_its_batches_wait(own_keys, acme, monkeypatch):
    stranger = make_pair(os.urandom(32))
    announce_key(purpose="receipt", pair=stranger, now=datetime.now(UTC))
    sign_receipts_with(monkeypatch, stranger)
    book_batches(acme, 1)
    seal()
    assert alarms() == {f"key {stranger.key_id}": "key_unknown"}
    assert len(list_leaves(acme)) == 1
    monkeypatch.undo()
    call("seal", accept=stranger.key_id, reason="the file of the old key was lost")
    rounds.seal_round(now=datetime.now(UTC) + timedelta(minutes=2))
    assert len(list_leaves(acme)) == 2 and alarms() == {}


def test_a_receipt_key_that_a_key_of_another_purpose_announced_is_not_believed(own_keys):
    stranger = make_pair(os.urandom(32))
    announce_key(purpose="receipt", pair=stranger, previous=load_key(SEAL_KEY_PLACE), now=datetime.now(UTC))
    seal()
    assert alarms() == {f"key {stranger.key_id}": "key_unknown"}


def test_a_key_that_is_deleted_or_changed_in_the_table_is_told_and_changes_nothing(own_keys, acme, tamperer):
    key_id = load_receipt_key().key_id
    kept = list_announced_keys()
    tamperer.change("signing_key", "UPDATE signing_key SET public_key = sha256('x') WHERE key_id = %s", [key_id])
    book_batches(acme, 1)
    seal()
    assert alarms() == {f"key {key_id}": "key_changed"}
    tamperer.change("signing_key", "DELETE FROM signing_key WHERE key_id = %s", [key_id])
    book_batches(acme, 1)
    seal()
    assert alarms() == {f"key {key_id}": "key_gone"}
    assert len(list_leaves(acme)) == 3
    assert len(kept) >= 2


def test_another_seal_key_than_the_one_that_signed_before_seals_nothing(own_keys, acme):
    SEAL_KEY_PLACE.path.unlink()
    waiting = book_batches(acme, 1)
    seal()
    assert alarms() == {"sealer": "key_refused"}
    assert len(list_leaves(acme)) == 1
    new = load_key(SEAL_KEY_PLACE)
    call("seal", accept=new.key_id, reason="the disk of the sealer was lost")
    seal()
    assert [leaf.batch_id for leaf in list_leaves(acme)][1:] == waiting
    assert alarms() == {}


def test_a_sealer_that_remembers_nothing_of_a_sealed_database_seals_nothing(own_keys, acme):
    forget_everything()
    waiting = book_batches(acme, 1)
    seal()
    assert alarms() == {"sealer": "memory_lost"}
    assert len(list_leaves(acme)) == 1
    origin = proofs.get_head(tenant_id=acme).origin
    said = call("seal", accept="memory", reason="the disk of the sealer was lost")[-1]
    assert said == f"accepted: installation {origin.split('/')[1]}"
    seal()
    assert [leaf.batch_id for leaf in list_leaves(acme)][1:] == waiting
    assert proofs.get_head(tenant_id=acme).origin == origin
    assert alarms() == {}


def forget_everything():
    for suffix in ("", "-wal", "-shm"):
        Path(f"{settings.SEAL_MEMORY}{suffix}").unlink(missing_ok=True)


def test_a_memory_is_on_disk_and_goes_only_forward(tmp_path):
    memory = Memory(tmp_path / "memory.sqlite3")
    assert memory.recall("tenant 1") == NOTHING
    memory.remember([("tenant 1", Remembered(7, b"7" * 32))])
    memory.remember([("tenant 1", Remembered(5, b"5" * 32))])
    again = Memory(tmp_path / "memory.sqlite3")
    assert again.recall("tenant 1") == Remembered(7, b"7" * 32)
    again.accept("tenant 1", Remembered(5, b"5" * 32))
    assert memory.recall("tenant 1") == Remembered(5, b"5" * 32)
    assert (tmp_path / "memory.sqlite3").stat().st_mode & 0o077 == 0


# --- an operator's decisions ---


def test_a_database_that_came_back_from_a_backup_is_accepted_for_a_reason(own_keys, acme, tamperer):
    slug = find_slug(acme)
    book_batches(acme, 3)
    seal(at_once=True)
    for table, statement in (
        ("seal_leaf", "leaf_index >= 2"),
        ("seal_node", "(node_index + 1) << level > 2"),
        ("checkpoint", "size > 1"),
    ):
        tamperer.change(table, f"DELETE FROM {table} WHERE tenant_id = {acme} AND {statement}")
    with pytest.raises(CommandError, match="there are 2 leaves and a checkpoint over 1"):
        call("seal", accept=slug, reason="the backup of the night")
    tamperer.change("seal_leaf", f"DELETE FROM seal_leaf WHERE tenant_id = {acme} AND leaf_index >= 1")
    tamperer.change("seal_node", f"DELETE FROM seal_node WHERE tenant_id = {acme}")
    with pytest.raises(CommandError, match="the log names a checkpoint over 4, and the newest here is over 1"):
        call("seal", accept=slug, reason="the backup of the night")
    [(first,)] = tamperer.connection.execute(
        "SELECT min(log_index) FROM log_leaf WHERE tenant_id = %s AND size > 1", [acme]
    ).fetchall()
    tamperer.change("log_leaf", "DELETE FROM log_leaf WHERE log_index >= %s", [first])
    tamperer.change("log_node", "DELETE FROM log_node WHERE (node_index + 1) << level > %s", [first])
    tamperer.change("log_head", "DELETE FROM log_head WHERE size > %s", [first])
    with pytest.raises(CommandError, match="say why"):
        call("seal", accept=slug)
    book_batches(acme, 1)
    seal()
    assert ("tree", "shrank") in {(alarm.subject, alarm.kind) for alarm in list_alarms() if alarm.tenant_id == acme}
    assert call("seal", accept="log", reason="the backup of the night")[-1] == f"accepted: the log of {first} leaves"
    assert (
        call("seal", accept=slug, reason="the backup of the night")[-1]
        == f"accepted: the tree of {slug} with 1 batches"
    )
    [act] = list_entries(tenant_id=acme, filters=EntryFilters(kinds=["admin_act"]), limit=1).entries
    assert act["operation"] == "seal.accepted"
    tags = act["tags"]
    assert (tags["signed_size"], tags["accepted_size"], tags["reason"]) == ("4", "1", "the backup of the night")
    rounds.seal_round(now=datetime.now(UTC) + timedelta(minutes=2))
    assert alarms() == {} and [alarm for alarm in list_alarms() if alarm.tenant_id == acme] == []
    assert len(list_leaves(acme)) == 3  # the batch of after the backup, and the act


def find_slug(tenant_id):
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT slug FROM tenant WHERE id = %s", [tenant_id])
        return cursor.fetchone()[0]


# --- what only a whole comparison sees ---


def check(tenant_id):
    now = datetime.now(UTC) + timedelta(minutes=2)
    with open_memory() as memory:
        ring, _ = settle_keys(memory, now=now)
        return check_tree(tenant_id, memory=memory, ring=ring, now=now)


HIDDEN_ATTACKS = {
    "an old leaf is changed": (
        "seal_leaf", "SET leaf = sha256('x') WHERE {t} AND leaf_index = 2", {"history", "batch"},
    ),
    "an old leaf is another batch's": (
        "seal_leaf", "SET batch_id = gen_random_uuid() WHERE {t} AND leaf_index = 2", {"batch"},
    ),
    "a node below the edge is changed": (
        "seal_node", "SET hash = sha256('x') WHERE {t} AND level = 1 AND node_index = 1", {"history"},
    ),
    "an old checkpoint's root is changed": ("checkpoint", "SET root = sha256('x') WHERE {t} AND size = 3", {"history"}),
    "an old checkpoint's note is changed": ("checkpoint", "SET note = upper(note) WHERE {t} AND size = 3", {"history"}),
    "a sealed batch's header is changed": (
        "ledger_batch", "SET entry_count = 9 WHERE {t} AND batch_id = '{batch}'", {"batch"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", HIDDEN_ATTACKS)
def test_what_was_changed_behind_the_edge_is_found_by_comparing_everything(acme, tamperer, attack):
    table, statement, subjects = HIDDEN_ATTACKS[attack]
    batch_ids = book_batches(acme, 3)
    seal()
    batch_ids += book_batches(acme, 4)
    seal()
    assert check(acme).faults == ()
    statement = f"UPDATE {table} {statement}".format(t=f"tenant_id = {acme}", batch=batch_ids[2])
    assert tamperer.change(table, statement) == 1
    found = check(acme)
    assert {fault.subject.split()[0] for fault in found.faults} == subjects
    if "batch" in subjects and table == "ledger_batch":
        assert found.faults[0].subject == f"batch {batch_ids[2]}"


def test_a_batch_whose_outbox_row_was_deleted_is_missed_and_can_be_queued_again(acme, tamperer):
    one, other, third = book_batches(acme, 3)
    tamperer.connection.execute("DELETE FROM outbox WHERE topic = 'seal' AND batch_id = %s", [other])
    seal()
    assert [leaf.batch_id for leaf in list_leaves(acme)] == [one, third]
    assert [(fault.subject, fault.kind) for fault in check(acme).faults] == [(f"batch {other}", "missed")]
    rounds.check_seals(now=lambda: datetime.now(UTC) + timedelta(minutes=2))
    standing = {alarm.subject for alarm in list_alarms() if alarm.tenant_id == acme}
    assert standing == {f"batch {other}"}
    assert call("seal", queue=find_slug(acme), reason="it was deleted")[-1] == "1 batches wait for their seal again"
    seal()
    assert {leaf.batch_id for leaf in list_leaves(acme)} >= {other}
    assert check(acme).faults == ()


def test_a_comparison_that_found_more_than_it_tells_ends_no_alarm(acme, monkeypatch):
    first, second = (Fault(f"batch {batch_id}", "changed", "its receipt is another") for batch_id in (uuid4(), uuid4()))
    found = iter([(second,), (first,), ()])
    monkeypatch.setattr(rounds, "FAULTS_MAX", 1)
    monkeypatch.setattr(rounds, "list_tenants", lambda: [acme])
    monkeypatch.setattr(rounds, "check_tree", lambda *_, **__: TreeCheck(acme, 2, 1, 0, next(found)))
    monkeypatch.setattr(Memory, "claim", lambda *_, **__: True)
    standing = []
    for _ in range(3):
        rounds.check_seals(now=lambda: datetime.now(UTC))
        standing.append({alarm.subject for alarm in list_alarms() if alarm.tenant_id == acme})
    assert standing == [{second.subject}, {first.subject, second.subject}, set()]


def test_a_comparison_beside_a_sealer_at_work_finds_no_fault(acme):
    def work():
        for _ in range(8):
            book_batches(acme, 1)
            seal()
        connections.close_all()

    sealer = threading.Thread(target=work)
    sealer.start()
    found = []
    while sealer.is_alive():
        found += check(acme).faults
    sealer.join()
    assert found == []


def test_a_batch_from_before_there_were_seals_is_counted_and_no_fault(acme, tamperer):
    [batch_id] = book_batches(acme, 1)
    receipt = receipts.sign_receipt(b'{"v":"tokenledger/batch/1"}')
    tamperer.change("ledger_batch", "UPDATE ledger_batch SET receipt = %s WHERE batch_id = %s", [receipt, batch_id])
    seal()
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT last_error FROM outbox WHERE topic = 'seal' AND batch_id = %s", [batch_id])
        [(error,)] = cursor.fetchall()
    assert error == "its receipt is of version 1, from before there were seals: it cannot be sealed"
    tamperer.connection.execute("DELETE FROM outbox WHERE topic = 'seal' AND batch_id = %s", [batch_id])
    assert (check(acme).before_seals, check(acme).faults) == (1, ())


def test_the_command_seals_and_compares(acme, tamperer):
    book_batches(acme, 2)
    assert "batches sealed" in call("seal")[-1]
    said = compare()
    assert f"tenant {acme}: 2 batches, 1 checkpoints" in said
    tamperer.change("seal_leaf", "UPDATE seal_leaf SET leaf = sha256('x') WHERE tenant_id = %s", [acme])
    assert [line for line in compare() if line.startswith(f"tenant {acme}, history: ")] != []


def compare():
    said = io.StringIO()
    with contextlib.suppress(SystemExit):
        call_command("seal", check=True, stdout=said)
    return said.getvalue().splitlines()
