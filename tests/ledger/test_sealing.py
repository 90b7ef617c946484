"""The sealer on a real database, as its own role: what it signs, what it refuses, and what a crash leaves."""

import base64
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
from django.conf import settings
from django.db import connections

from ledger import receipts
from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.core.merkle import fold_subtrees, hash_leaf, hash_root, is_consistent, is_included
from ledger.core.notes import read_checkpoint, read_note, verify_checkpoint
from ledger.key_files import make_pair, verify
from ledger.receipts import load_receipt_key, open_receipt
from ledger.sealing import proofs, rounds
from ledger.sealing.alarms import list_alarms
from ledger.sealing.keys import list_announced_keys
from ledger.sealing.memory import Remembered, name_tree, open_memory
from ledger.sealing.tenant_trees import seal_tenant
from ledger.selectors import get_batch
from tenants.scope import tenant_scope
from tests.conftest import URLS
from tests.factories import make_tenant
from tests.ledger.sealing import LOG_TABLES, book_batches, list_leaves, seal, tampering

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme():
    return make_tenant("acme").id


@pytest.fixture
def tamperer(administrator_url, django_db_setup):
    with tampering(administrator_url) as tamperer:
        yield tamperer


def read_payload(tenant_id, batch_id):
    key = load_receipt_key()
    return open_receipt(get_batch(tenant_id=tenant_id, batch_id=batch_id).receipt, keys={key.key_id: key.public_key})


def seal_keys():
    return [key.public_key for key in list_announced_keys() if key.purpose == "seal"]


def list_waiting(tenant_id):
    """What waits for its seal: batch, tries, error."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT batch_id, tries, last_error FROM outbox WHERE topic = 'seal' AND tenant_id = %s"
            " ORDER BY recorded_at, batch_id",
            [tenant_id],
        )
        return cursor.fetchall()


def alarms_of(tenant_id):
    return {alarm.subject: alarm.kind for alarm in list_alarms() if alarm.tenant_id == tenant_id}


def head_of(tenant_id):
    return proofs.get_head(tenant_id=tenant_id)


def recall(tenant_id):
    with open_memory() as memory:
        return memory.recall(name_tree(tenant_id))


# --- what is sealed ---


def test_every_batch_becomes_a_leaf_in_the_order_of_booking_under_a_signed_checkpoint(acme):
    batch_ids = book_batches(acme, 5)
    seal()
    leaves = list_leaves(acme)
    assert [leaf.leaf_index for leaf in leaves] == [0, 1, 2, 3, 4]
    assert [leaf.batch_id for leaf in leaves] == batch_ids
    assert [leaf.leaf for leaf in leaves] == [hash_leaf(read_payload(acme, batch_id)) for batch_id in batch_ids]
    head = head_of(acme)
    assert (head.size, head.root) == (5, hash_root([leaf.leaf for leaf in leaves]))
    signed = verify_checkpoint(head.note, origin=head.origin, public_keys=seal_keys(), verify=verify)
    assert (signed.size, signed.root) == (5, head.root)
    assert head.origin.endswith(f"/{acme}")
    assert list_waiting(acme) == []
    assert (recall(acme).size, recall(acme).root) == (5, head.root)


def test_rounds_go_on_where_the_last_one_ended_and_an_idle_one_signs_nothing(acme):
    for count in (1, 3, 2, 7):
        book_batches(acme, count)
        seal()
    seal()
    leaves = [leaf.leaf for leaf in list_leaves(acme)]
    for size in (1, 4, 6, 13):
        assert proofs.get_checkpoint(tenant_id=acme, size=size).root == hash_root(leaves[:size])
    assert proofs.get_checkpoint(tenant_id=acme, size=5) is None
    assert proofs.get_checkpoint_over(tenant_id=acme, size=5).size == 6
    assert proofs.get_checkpoint_over(tenant_id=acme, size=14) is None


def test_every_proof_that_is_made_of_stored_nodes_verifies(acme):
    book_batches(acme, 11)
    seal()
    book_batches(acme, 10)
    seal()
    leaves = [leaf.leaf for leaf in list_leaves(acme)]
    for size in range(1, 22):
        root = proofs.hash_tree(tenant_id=acme, size=size)
        assert root == hash_root(leaves[:size])
        for index in range(0, size, 3):
            path = proofs.prove_inclusion(tenant_id=acme, leaf_index=index, size=size)
            assert is_included(leaf=leaves[index], index=index, size=size, path=path, root=root)
        path = proofs.prove_consistency(tenant_id=acme, old_size=size, new_size=21)
        assert is_consistent(old_size=size, new_size=21, old_root=root, new_root=hash_root(leaves), path=path)


@pytest.mark.parametrize(("start", "end"), [(0, 13), (0, 5), (3, 9), (12, 13), (8, 13), (5, 5)])
def test_a_range_of_batches_is_completed_to_the_root(acme, start, end):
    book_batches(acme, 13)
    seal()
    leaves = proofs.list_sealed_batches(tenant_id=acme, start=start, end=end)
    around = proofs.complete_range(tenant_id=acme, start=start, end=end, size=13)
    within = [((0, leaf.leaf_index), leaf.leaf) for leaf in leaves]
    assert len(within) == end - start
    parts = [*around.left, *((proofs.Subtree(*place), leaf) for place, leaf in within), *around.right]
    assert fold_subtrees(parts) == head_of(acme).root


def test_an_act_is_sealed_and_in_no_rollups_work(acme):
    with tenant_scope(acme):
        entry_id = book_act(tenant_id=acme, act=Act("rate.approved", "person 1"), now=datetime.now(UTC))
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT topic FROM outbox WHERE tenant_id = %s", [acme])
        assert cursor.fetchall() == [("seal",)]
    seal()
    assert [f"{leaf.batch_id}.0" for leaf in list_leaves(acme)] == [entry_id]


def test_two_tenants_have_two_trees_and_neither_sees_the_others(acme):
    globex = make_tenant("globex").id
    ours, theirs = book_batches(acme, 2), book_batches(globex, 1)
    seal()
    assert [leaf.batch_id for leaf in list_leaves(acme)] == ours
    assert [leaf.batch_id for leaf in list_leaves(globex)] == theirs
    assert proofs.get_sealed_batch(tenant_id=globex, batch_id=ours[0]) is None
    assert head_of(acme).origin != head_of(globex).origin


def test_sealers_that_work_at_once_make_one_tree(acme, monkeypatch):
    batch_ids = book_batches(acme, 30)
    failures = []

    def work():
        try:
            for _ in range(4):
                seal()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    monkeypatch.setattr(rounds, "seal_tenant", partial(seal_tenant, batches_max=4))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    batch_ids += book_batches(acme, 10)
    for thread in threads:
        thread.join()
    while seal().has_more:
        pass
    assert failures == []
    leaves = list_leaves(acme)
    assert [leaf.leaf_index for leaf in leaves] == list(range(40))
    assert {leaf.batch_id for leaf in leaves} == set(batch_ids)
    assert alarms_of(acme) == {}


# --- what a crash leaves ---


class Killed(BaseException):
    """The sealer's process ends here."""


def die(*args, **kwargs):
    raise Killed


@pytest.mark.parametrize(
    "place",
    [
        "ledger.sealing.tenant_trees._sort_out",
        "ledger.sealing.tenant_trees._keep_growth",
        "ledger.sealing.tenant_trees._keep_checkpoint",
        "ledger.sealing.tenant_trees._clear_outbox",
        "ledger.sealing.rounds._log_tree",
        "ledger.sealing.log._grow_log",
    ],
)
def test_a_sealer_that_dies_before_its_commit_has_done_nothing(acme, monkeypatch, place):
    book_batches(acme, 2)
    seal()
    before = head_of(acme)
    batch_ids = book_batches(acme, 3)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(place, die)
        seal()
    assert head_of(acme) == before
    assert [batch_id for batch_id, _, _ in list_waiting(acme)] == batch_ids
    seal()
    assert head_of(acme).size == 5
    assert alarms_of(acme) == {}


@pytest.mark.parametrize("place", ["ledger.sealing.memory.Memory.remember", "ledger.sealing.rounds._tell"])
def test_a_sealer_that_dies_between_its_commit_and_its_memory_goes_on_from_what_it_signed(acme, monkeypatch, place):
    book_batches(acme, 2)
    seal()
    book_batches(acme, 3)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(place, die)
        seal()
    assert head_of(acme).size == 5
    if place.endswith("remember"):
        assert recall(acme).size == 2
    book_batches(acme, 1)
    seal()
    assert head_of(acme).size == recall(acme).size == 6
    assert alarms_of(acme) == {}


def test_a_new_tree_whose_first_commit_was_not_remembered_goes_on(acme, monkeypatch):
    book_batches(acme, 3)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("ledger.sealing.memory.Memory.remember", die)
        seal()
    assert (head_of(acme).size, recall(acme).size) == (3, 0)
    book_batches(acme, 1)
    seal()
    assert head_of(acme).size == recall(acme).size == 4


def test_a_head_that_was_signed_and_not_filed_is_filed_by_the_next_round(acme, monkeypatch):
    book_batches(acme, 1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("ledger.sealing.log.file_heads", die)
        seal(at_once=True)
    head = proofs.get_log_head()
    assert read_last_filed().size < head.size
    seal()
    assert read_last_filed().size == head.size


# --- what a database administrator does ---


def test_a_changed_header_keeps_that_batch_alone_from_its_seal(acme, tamperer):
    one, other, third = book_batches(acme, 3)
    tamperer.change(
        "ledger_batch", "UPDATE ledger_batch SET billed_cost = billed_cost / 2 WHERE batch_id = %s", [other]
    )
    done = seal()
    assert [leaf.batch_id for leaf in list_leaves(acme)] == [one, third]
    [(waiting, tries, error)] = list_waiting(acme)
    assert (waiting, tries) == (other, 1)
    assert error == "billed_cost is '3500000000', its receipt says '7000000000'"
    assert done.refused >= 1
    assert alarms_of(acme) == {f"batch {other}": "batch"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("entry_count = entry_count + 1", "entry_count is '3', its receipt says '2'"),
        ("unpriced_count = 1", "unpriced_count is '1', its receipt says '0'"),
        ("root = sha256('x')", "root is "),
        ("kind = 'fee'", "kind is 'fee', its receipt says 'usage'"),
        ("api_key_id = 'another'", "api_key_id is 'another', its receipt says 'ab12CD34ef56'"),
        ("recorded_at = recorded_at + interval '1 microsecond'", "recorded_at is "),
        ("receipt = ''", "the receipt is no JWS"),
        ("receipt = replace(receipt, '.', '')", "the receipt is no JWS"),
        ("receipt = left(receipt, -4) || 'AAAA'", "the receipt's signature is wrong"),
        ("receipt = replace(receipt, split_part(receipt, '.', 2), 'e30')", "the receipt's signature is wrong"),
    ],
)
def test_whatever_is_changed_of_a_batch_is_found_and_named(acme, tamperer, change, error):
    [batch_id] = book_batches(acme, 1)
    tamperer.change("ledger_batch", f"UPDATE ledger_batch SET {change} WHERE batch_id = %s", [batch_id])
    seal()
    [(_, _, said)] = list_waiting(acme)
    assert said.startswith(error)
    assert head_of(acme) is None


def test_another_batchs_receipt_is_not_this_ones(acme, tamperer):
    one, other = book_batches(acme, 2)
    tamperer.change(
        "ledger_batch",
        "UPDATE ledger_batch SET receipt = (SELECT receipt FROM ledger_batch WHERE batch_id = %s) WHERE batch_id = %s",
        [one, other],
    )
    seal()
    [(waiting, _, error)] = list_waiting(acme)
    assert waiting == other and "batch_id is " in error


def test_a_receipt_of_a_key_that_nobody_announced_is_refused(acme, tamperer, monkeypatch):
    stranger = make_pair(b"7" * 32)
    protected = f'{{"alg":"EdDSA","kid":"{stranger.key_id}"}}'.encode()
    with monkeypatch.context() as patch:
        encoded = base64.urlsafe_b64encode(protected).rstrip(b"=").decode()
        patch.setattr(receipts, "load_receipt_key", lambda: receipts.ReceiptKey(stranger, encoded))
        book_batches(acme, 1)
    seal()
    [(_, _, error)] = list_waiting(acme)
    assert error == f"the receipt is signed by key {stranger.key_id}, which is not known"


def test_a_batch_that_is_put_right_is_sealed_and_its_alarm_is_over(acme, tamperer):
    [batch_id] = book_batches(acme, 1)
    tamperer.change("ledger_batch", "UPDATE ledger_batch SET kind = 'fee' WHERE batch_id = %s", [batch_id])
    seal()
    assert alarms_of(acme) != {}
    tamperer.change("ledger_batch", "UPDATE ledger_batch SET kind = 'usage' WHERE batch_id = %s", [batch_id])
    rounds.seal_round(now=datetime.now(UTC) + timedelta(minutes=2))
    assert [leaf.batch_id for leaf in list_leaves(acme)] == [batch_id]
    assert alarms_of(acme) == {}


def test_a_batch_that_was_deleted_before_its_seal_is_missed(acme, tamperer):
    one, other = book_batches(acme, 2)
    tamperer.change("ledger_batch", "DELETE FROM ledger_batch WHERE batch_id = %s", [one])
    seal()
    [(waiting, _, error)] = list_waiting(acme)
    assert (waiting, error) == (one, "the batch is not in the ledger any more")
    assert [leaf.batch_id for leaf in list_leaves(acme)] == [other]


def test_one_tenants_refused_tree_keeps_nobody_else_waiting(acme, tamperer):
    globex = make_tenant("globex").id
    book_batches(acme, 2)
    seal()
    tamperer.change("seal_leaf", "DELETE FROM seal_leaf WHERE tenant_id = %s AND leaf_index = 1", [acme])
    book_batches(acme, 1), book_batches(globex, 1)
    seal()
    assert head_of(globex).size == 1
    assert head_of(acme).size == 2 and len(list_waiting(acme)) == 1


# What is done to a tree of 7 signed batches, by whoever may do anything in the database and has no key; what it is
# called when the next batch comes.
ATTACKS = {
    "its last leaf is deleted": (
        "shrank|unsigned",
        [("seal_leaf", "DELETE FROM seal_leaf WHERE {t} AND leaf_index = 6")],
    ),
    "its last leaf and checkpoint are deleted": (
        "shrank",
        [
            ("seal_leaf", "DELETE FROM seal_leaf WHERE {t} AND leaf_index = 6"),
            ("checkpoint", "DELETE FROM checkpoint WHERE {t} AND size = 7"),
        ],
    ),
    "it is rolled back to a state that was signed": (
        "shrank",
        [
            ("seal_leaf", "DELETE FROM seal_leaf WHERE {t} AND leaf_index >= 4"),
            ("seal_node", "DELETE FROM seal_node WHERE {t} AND (node_index + 1) << level > 4"),
            ("checkpoint", "DELETE FROM checkpoint WHERE {t} AND size > 4"),
        ],
    ),
    "all of it is deleted": (
        "shrank",
        [(name, f"DELETE FROM {name} WHERE {{t}}") for name in ("seal_leaf", "seal_node", "checkpoint", "seal_tree")],
    ),
    "a leaf at its edge is changed": (
        "forked",
        [("seal_leaf", "UPDATE seal_leaf SET leaf = sha256('x') WHERE {t} AND leaf_index = 6")],
    ),
    "a node at its edge is changed": (
        "forked",
        [("seal_node", "UPDATE seal_node SET hash = sha256('x') WHERE {t} AND level = 2 AND node_index = 0")],
    ),
    "a node at its edge is deleted": (
        "torn",
        [("seal_node", "DELETE FROM seal_node WHERE {t} AND level = 1 AND node_index = 2")],
    ),
    "a leaf is added": (
        "unsigned",
        [
            (
                "seal_leaf",
                "INSERT INTO seal_leaf SELECT tenant_id, 7, gen_random_uuid(), sha256('x') FROM seal_tree WHERE {t}",
            )
        ],
    ),
    "its checkpoint's root is changed": (
        "forged",
        [("checkpoint", "UPDATE checkpoint SET root = sha256('x') WHERE {t} AND size = 7")],
    ),
    "its checkpoint's note is changed": (
        "forged",
        [("checkpoint", "UPDATE checkpoint SET note = replace(note, E'\\n7\\n', E'\\n9\\n') WHERE {t} AND size = 7")],
    ),
    "a checkpoint over more is made up": (
        "unsigned",
        [
            (
                "checkpoint",
                "INSERT INTO checkpoint SELECT tenant_id, 9, root, signed_at, key_id,"
                " replace(note, E'\\n7\\n', E'\\n9\\n') FROM checkpoint WHERE {t} AND size = 7",
            )
        ],
    ),
    "it is given another name": (
        "forged",
        [("seal_tree", "UPDATE seal_tree SET origin = 'tokenledger/another/1' WHERE {t}")],
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_tree_that_is_not_the_one_that_was_signed_is_refused(acme, tamperer, attack):
    kind, statements = ATTACKS[attack]
    book_batches(acme, 4)
    seal()
    book_batches(acme, 3)
    seal()
    for table, statement in statements:
        assert tamperer.change(table, statement.format(t=f"tenant_id = {acme}")) >= 1
    [waiting] = book_batches(acme, 1)
    seal()
    assert alarms_of(acme)["tree"] in kind.split("|")
    assert [batch_id for batch_id, _, _ in list_waiting(acme)] == [waiting]
    assert recall(acme).size == 7
    assert proofs.get_checkpoint(tenant_id=acme, size=8) is None


def test_a_tree_rebuilt_from_other_batches_is_refused_with_its_own_signed_head_put_back(acme, tamperer):
    """Rolled back to 4, three other batches sealed by a sealer without the memory, which an attacker lacks: here that
    sealer is ours with its memory of this tree set back, so that even its signatures are real."""
    book_batches(acme, 4)
    seal()
    four = head_of(acme)
    book_batches(acme, 3)
    seal()
    seven = recall(acme)
    for name, statement in (
        ("seal_leaf", "leaf_index >= 4"),
        ("seal_node", "(node_index + 1) << level > 4"),
        ("checkpoint", "size > 4"),
    ):
        tamperer.change(name, f"DELETE FROM {name} WHERE tenant_id = {acme} AND {statement}")
    tamperer.change("log_leaf", f"UPDATE log_leaf SET size = -size WHERE tenant_id = {acme} AND size > 4")
    with open_memory() as memory:
        memory.accept(name_tree(acme), Remembered(four.size, four.root))
    book_batches(acme, 3)
    seal()
    assert head_of(acme).size == 7 and head_of(acme).root != seven.root
    with open_memory() as memory:
        memory.accept(name_tree(acme), seven)
    book_batches(acme, 1)
    seal()
    assert alarms_of(acme)["tree"] == "forked"


def test_the_sealers_role_can_neither_change_what_it_sealed_nor_touch_others_work(acme):
    book_batches(acme, 1)
    seal()
    with psycopg.connect(URLS["DATABASE_SEALER_URL"]) as connection:
        for statement in (
            "UPDATE seal_leaf SET leaf_index = 9",
            "DELETE FROM checkpoint",
            "TRUNCATE seal_node",
            "INSERT INTO ledger_batch SELECT * FROM ledger_batch",
            "SELECT * FROM ledger_entry",
            "SELECT * FROM person",
            "SELECT * FROM api_key",
            f"DELETE FROM outbox WHERE tenant_id = {acme} AND topic = 'rollup'",
            f"UPDATE outbox SET not_before = 'infinity' WHERE tenant_id = {acme} AND topic = 'rollup'",
            "UPDATE outbox SET topic = 'seal'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


# --- the log ---


def read_last_filed():
    lines = settings.LOG_HEADS.read_text().rstrip("\n").split("\n")
    text, _ = read_note("\n".join(lines[-5:]) + "\n")
    return read_checkpoint(text)


def test_each_checkpoint_and_each_key_is_a_leaf_of_the_log_and_its_head_is_filed(acme):
    book_batches(acme, 2)
    seal(at_once=True)
    head = proofs.get_log_head()
    leaf = proofs.get_log_leaf(tenant_id=acme, size=2)
    path = proofs.prove_log_inclusion(log_index=leaf.log_index, size=head.size)
    assert is_included(
        leaf=hash_leaf(leaf.data.encode()), index=leaf.log_index, size=head.size, path=path, root=head.root
    )
    origin = head.note.split("\n")[0]
    signed = verify_checkpoint(head.note, origin=origin, public_keys=seal_keys(), verify=verify)
    assert (signed.size, signed.root) == (head.size, head.root)
    assert read_last_filed() == signed
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM signing_key LEFT JOIN log_leaf USING (key_id) WHERE log_index IS NULL")
        assert cursor.fetchone() == (0,)


def test_the_head_is_published_once_a_minute_and_at_the_end(acme):
    book_batches(acme, 1)
    seal(at_once=True)
    first = proofs.get_log_head()
    book_batches(acme, 1)
    assert seal().is_published is False
    assert rounds.seal_round(now=datetime.now(UTC) + timedelta(seconds=61)).is_published
    second = proofs.get_log_head()
    assert second.size > first.size
    path = proofs.prove_log_consistency(old_size=first.size, new_size=second.size)
    assert is_consistent(
        old_size=first.size, new_size=second.size, old_root=first.root, new_root=second.root, path=path
    )


ADD_LOG_LEAF = """
    INSERT INTO log_leaf SELECT max(log_index) + 1, 1, 99999, NULL, sha256('\\x00' || 'x'::bytea), 'x' FROM log_leaf"""
# A log of an odd number of leaves.
LOG_ATTACKS = {
    "its last leaf is deleted": (
        "shrank",
        [("log_leaf", "DELETE FROM log_leaf WHERE log_index = (SELECT max(log_index) FROM log_leaf)")],
    ),
    "its last leaf is changed": (
        "forked",
        [
            (
                "log_leaf",
                "UPDATE log_leaf SET leaf = sha256('x') WHERE log_index = (SELECT max(log_index) FROM log_leaf)",
            )
        ],
    ),
    "a leaf is added": ("torn", [("log_leaf", ADD_LOG_LEAF)]),
    "a leaf is added, and the nodes above it": (
        "forged",
        [
            ("log_leaf", ADD_LOG_LEAF),
            (
                "log_node",
                "INSERT INTO log_node SELECT level, max(log_index) >> level, sha256('x') FROM log_leaf,"
                " generate_series(1, 12) AS level GROUP BY level"
                " HAVING (max(log_index) + 1) & ((1 << level) - 1) = 0 ON CONFLICT DO NOTHING",
            ),
        ],
    ),
}


@pytest.mark.parametrize("attack", LOG_ATTACKS)
def test_a_log_that_is_not_what_it_was_is_refused_and_tenants_are_sealed_all_the_same(acme, tamperer, attack):
    kind, statements = LOG_ATTACKS[attack]
    with tamperer.keep(*LOG_TABLES):
        while True:  # an odd number of leaves: the last one is at the edge
            book_batches(acme, 1)
            seal()
            with open_memory() as memory:
                if memory.recall("log").size % 2:
                    break
        for table, statement in statements:
            assert tamperer.change(table, statement) >= 1
        [batch_id] = book_batches(acme, 1)
        seal()
        assert alarms_of(0)["log"] == kind
        assert list_leaves(acme)[-1].batch_id == batch_id
        assert proofs.get_log_leaf(tenant_id=acme, size=head_of(acme).size) is None
    # put back as it was: what was sealed meanwhile comes into the log with the next checkpoint
    book_batches(acme, 1)
    seal()
    assert "log" not in alarms_of(0)
    size = head_of(acme).size
    assert proofs.get_log_leaf(tenant_id=acme, size=size) and proofs.get_log_leaf(tenant_id=acme, size=size - 1)
