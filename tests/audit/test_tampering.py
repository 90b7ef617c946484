"""A superuser at work on what a month's evidence is made of: the verifier finds every change, and says where.

Trials are drawn at random: 220 in `make test`, more by TOKENLEDGER_TAMPER_TRIALS. Each is one transaction that changes
the database past its triggers, makes the archive of what is there then, and is rolled back. TOKENLEDGER_TAMPER_SEED
repeats them; TOKENLEDGER_TAMPER_TABLE=FILE writes what was tried and what it tripped over.
"""

import base64
import copy
import json
import os
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections, transaction
from psycopg.conninfo import conninfo_to_dict

from audit.bundles import stream_bundle
from audit.sealed_months import PeriodUnsealed, find_sealed_month
from billing.core.rate_documents import canonical_json, hash_content
from billing.rates import forget_rate_book
from ledger.core.merkle import hash_leaf, hash_root
from ledger.core.rows import encode_row, rebuild_entry, write_place
from ledger.receipts import load_receipt_key
from ledger.sealing.proofs import TreeTorn
from ledger.selectors import ENTRY_COLUMNS
from tests.audit.months import OCTOBER, at, book, book_october
from tests.audit.verifying import verifier
from tests.conftest import DATABASE
from tests.factories import make_event, make_tenant, name_maker
from tests.ledger.sealing import seal

TRIALS = int(os.environ.get("TOKENLEDGER_TAMPER_TRIALS", "220"))
CLEAN_RUNS = max(TRIALS // 20, 10)
SEED = int(os.environ.get("TOKENLEDGER_TAMPER_SEED", "20261123"))
TABLE = os.environ.get("TOKENLEDGER_TAMPER_TABLE", "")
SUPERUSER = "superuser"
TABLES = (
    "ledger_entry", "ledger_batch", "seal_leaf", "seal_node", "checkpoint", "log_leaf", "log_node", "log_head",
    "signing_key", "rate_version", "seal_tree",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, administrator_url, tmp_path_factory):
    """acme's October, sealed, with a dozen small batches besides; its archive, checkpoint and receipts as acme kept
    them; and a connection that nothing is forbidden to."""
    with django_db_blocker.unblock():
        forget_rate_book()
        acme = make_tenant("acme")
        book_october(acme, provider=name_maker(acme))
        for number in range(12):
            events = [
                make_event(provider=name_maker(acme), model="plain", time=at(6 + number), feature=f"f{line % 3}",
                           usage={"input_tokens": 1000 + 10 * number + line, "output_tokens": 50})
                for line in range(1 + number % 4)
            ]  # fmt: skip
            book(acme, events)
            seal(at_once=True)
        parameters = conninfo_to_dict(administrator_url, dbname=DATABASE)
        settings = copy.deepcopy(connections.databases["default"])
        settings |= {
            "NAME": DATABASE, "USER": parameters.get("user", ""), "PASSWORD": parameters.get("password", ""),
            "HOST": parameters.get("host", ""), "PORT": parameters.get("port", ""),
        }  # fmt: skip
        connections.databases[SUPERUSER] = settings
        made = World(acme, tmp_path_factory.mktemp("tampering"))
        try:
            made.keep()
            yield made
        finally:
            connections[SUPERUSER].close()
            del connections.databases[SUPERUSER]
            forget_rate_book()


class World:
    """What acme kept, and what a superuser does."""

    def __init__(self, tenant, folder: Path) -> None:
        self.tenant = tenant
        self.folder = folder
        self.kept = folder / "kept.zip"
        self.now = folder / "now.zip"
        self.receipts = folder / "receipts.txt"
        self.keys = folder / "keys.json"

    def keep(self) -> None:
        """What a careful tenant has: last week's archive, the keys, and each receipt."""
        with transaction.atomic(using=SUPERUSER):
            self.kept.write_bytes(self.read_bundle())
            self.receipts.write_text(
                "\n".join(self.ask("SELECT receipt FROM ledger_batch WHERE tenant_id = %(tenant)s"))
            )
        self.keys.write_text(json.dumps(verifier.read_json(read_file(self.kept, "keys.json"))))
        self.rows = self.ask_rows(
            "SELECT batch_id, line FROM ledger_entry WHERE tenant_id = %(tenant)s AND billing_period = '2026-10-01'"
            " ORDER BY batch_id, line"
        )
        self.batches = self.ask("SELECT batch_id FROM seal_leaf WHERE tenant_id = %(tenant)s ORDER BY leaf_index")

    def read_bundle(self) -> bytes:
        month = find_sealed_month(tenant=self.tenant, period=OCTOBER, now=datetime.now(UTC), using=SUPERUSER)
        return b"".join(stream_bundle(month, using=SUPERUSER))

    def do(self, statement: str, **values) -> int:
        with connections[SUPERUSER].cursor() as cursor:
            cursor.execute(statement, {"tenant": self.tenant.id, **values})
            return cursor.rowcount

    def ask_rows(self, statement: str, **values) -> list[tuple]:
        with connections[SUPERUSER].cursor() as cursor:
            cursor.execute(statement, {"tenant": self.tenant.id, **values})
            return cursor.fetchall()

    def ask(self, statement: str, **values) -> list:
        return [row[0] for row in self.ask_rows(statement, **values)]

    def verify(self, *, is_careful: bool) -> list[str]:
        """What the verifier says of the archive as it is now; careful: with all that acme kept."""
        if not is_careful:
            return verifier.verify([str(self.now)]).findings.texts
        return verifier.verify(
            [str(self.kept), str(self.now)], keys=str(self.keys), receipts=str(self.receipts)
        ).findings.texts


def read_file(path: Path, name: str) -> bytes:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


# --- what is tried: each changes something, and says in which words the answer must name it ---

MONEY_COLUMNS = ("input_cost", "output_cost", "billed_cost", "list_cost", "saved_cost")
COUNT_COLUMNS = ("input_tokens", "output_tokens", "cache_read_tokens")
TEXT_COLUMNS = ("feature", "model", "provider", "user_ref", "event_id", "environment", "cost_center", "trace_id",
                "response_id", "session_id", "api_key_id", "operation", "finish_reason", "prompt_hash")  # fmt: skip


OF_A_ROW = "WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s AND line = %(line)s"


def set_of_row(world, row, setting, **values):
    batch_id, line = row
    world.do(f"UPDATE ledger_entry SET {setting} {OF_A_ROW}", batch=batch_id, line=line, **values)
    return str(batch_id)


def change_a_cost(world, lot):
    row, column = lot.choice(world.rows), lot.choice(MONEY_COLUMNS)
    setting = (
        f"{column} = coalesce({column}, 0) + %(more)s,"
        " other_cost = CASE WHEN billed_cost IS NULL THEN NULL ELSE other_cost END"
    )
    return set_of_row(world, row, setting, more=lot.choice(["0.000000000001", "-0.01", "1000"]))


def change_a_quantity(world, lot):
    row, column = lot.choice(world.rows), lot.choice(COUNT_COLUMNS)
    return set_of_row(world, row, f"{column} = {column} + %(more)s", more=lot.choice([1, 1000]))


def change_a_text(world, lot):
    row, column = lot.choice(world.rows), lot.choice(TEXT_COLUMNS)
    return set_of_row(world, row, f"{column} = {column} || 'x'")


def change_a_time_or_month(world, lot):
    row = lot.choice(world.rows)
    setting = lot.choice([
        "charge_period_start = charge_period_start + interval '1 microsecond'",
        "billing_period = date '2026-11-01'",
        "latency_ms = coalesce(latency_ms, 0) + 1",
        "tags = tags || '{\"plan\": \"free\"}'",
        "context_tier = context_tier + 1",
        "cache_hit = NOT cache_hit",
    ])  # fmt: skip
    return set_of_row(world, row, setting)


def delete_a_row(world, lot):
    batch_id, line = lot.choice(world.rows)
    world.do(f"DELETE FROM ledger_entry {OF_A_ROW}", batch=batch_id, line=line)
    return str(batch_id)


def insert_a_row(world, lot):
    """A copy of a row on another line: of its own batch, or of one that nobody sealed."""
    batch_id, line = lot.choice(world.rows)
    other = lot.choice([batch_id, "01a0f4c2-c48c-7e41-8a58-b791df6af1d8"])
    columns = ", ".join(name for name in ENTRY_COLUMNS if name not in ("batch_id", "line"))
    world.do(
        f"INSERT INTO ledger_entry (batch_id, line, {columns}) SELECT %(other)s, line + 1000, {columns}"
        f" FROM ledger_entry {OF_A_ROW}",
        batch=batch_id, line=line, other=other,
    )  # fmt: skip
    return str(other)


def swap_two_rows(world, lot):
    """Two lines of a batch change places, or the rows of two batches do."""
    batch_id = lot.choice([batch for batch, line in world.rows if line == 1])
    world.do(
        "UPDATE ledger_entry SET line = CASE line WHEN 0 THEN 1000001 ELSE 1000000 END"
        " WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s AND line IN (0, 1)",
        batch=batch_id,
    )
    world.do(
        "UPDATE ledger_entry SET line = line - 1000000"
        " WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s AND line >= 1000000",
        batch=batch_id,
    )
    return str(batch_id)


def duplicate_a_batch(world, lot):
    """All rows of a batch once more, under another batch's name."""
    batch_id, _ = lot.choice(world.rows)
    other = lot.choice([batch for batch in {batch for batch, _ in world.rows} if batch != batch_id])
    columns = ", ".join(name for name in ENTRY_COLUMNS if name not in ("batch_id", "line"))
    world.do(
        f"INSERT INTO ledger_entry (batch_id, line, {columns}) SELECT %(other)s, line + 500, {columns}"
        " FROM ledger_entry WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s",
        batch=batch_id, other=other,
    )  # fmt: skip
    return str(other)


def delete_a_batch(world, lot):
    """Its rows and its header, or its rows alone, or its header alone."""
    batch_id, _ = lot.choice(world.rows)
    for table in lot.choice([("ledger_entry", "ledger_batch"), ("ledger_entry",), ("ledger_batch",)]):
        world.do(f"DELETE FROM {table} WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s", batch=batch_id)
    place = world.batches.index(batch_id)
    return (str(batch_id), f"batch {place} of the tree")


def edit_a_header(world, lot):
    batch_id, _ = lot.choice(world.rows)
    receipt = world.ask("SELECT receipt FROM ledger_batch WHERE batch_id = %(batch)s", batch=batch_id)[0]
    protected, payload, signature = receipt.split(".")
    header = json.loads(unpad(payload))
    name = lot.choice(["billed_cost", "entry_count", "kind", "unpriced_count"])
    if name == "kind":
        header[name] = "usage" if header[name] == "fee" else "fee"
    else:
        header[name] = str(int(header[name]) + 1)
    if name == "entry_count":
        header["billing_periods"]["2026-10-01"] = str(int(header["billing_periods"]["2026-10-01"]) + 1)
    payload = pad(canonical_json(header).encode())
    world.do(
        "UPDATE ledger_batch SET receipt = %(receipt)s WHERE batch_id = %(batch)s",
        batch=batch_id, receipt=f"{protected}.{payload}.{signature}",
    )  # fmt: skip
    return str(batch_id)


def edit_a_receipt(world, lot):
    """A letter of the signature, or another batch's receipt."""
    batch_id, other = lot.sample(sorted({batch for batch, _ in world.rows}), 2)
    receipts = {
        batch: world.ask("SELECT receipt FROM ledger_batch WHERE batch_id = %(batch)s", batch=batch)[0]
        for batch in (batch_id, other)
    }
    receipt = receipts[other]
    if lot.random() < 0.6:
        head, _, signature = receipts[batch_id].rpartition(".")
        raw = bytearray(unpad(signature))
        raw[lot.randrange(64)] ^= 1 << lot.randrange(8)
        receipt = f"{head}.{pad(bytes(raw))}"
    world.do(
        "UPDATE ledger_batch SET receipt = %(receipt)s WHERE batch_id = %(batch)s", batch=batch_id, receipt=receipt
    )
    place = world.batches.index(batch_id)
    return (str(batch_id), f"batch {place} of the tree", str(other))


def edit_a_checkpoint(world, lot):
    what = lot.choice(["root", "size", "signature"])
    size, note = world.ask_rows(
        "SELECT size, note FROM checkpoint WHERE tenant_id = %(tenant)s ORDER BY size DESC LIMIT 1"
    )[0]
    text, _, signatures = note.partition("\n\n")
    origin, told, root = text.split("\n")
    if what == "root":
        root = base64.b64encode(lot.randbytes(32)).decode()
    elif what == "size":
        told = str(int(told) + 1)
    else:
        dash, name, encoded = signatures.split(" ")
        raw = bytearray(base64.b64decode(encoded))
        raw[4 + lot.randrange(64)] ^= 1
        signatures = f"{dash} {name} {base64.b64encode(bytes(raw)).decode()}\n"
    world.do(
        "UPDATE checkpoint SET note = %(note)s WHERE tenant_id = %(tenant)s AND size = %(size)s",
        size=size, note=f"{origin}\n{told}\n{root}\n\n{signatures}",
    )  # fmt: skip
    return "checkpoint.txt"


def edit_the_tree(world, lot):
    """A leaf of another month's batch, or a node: what stands left and right of the month."""
    changed = world.do(
        "UPDATE seal_leaf SET leaf = sha256(leaf) WHERE tenant_id = %(tenant)s AND leaf_index = 0"
        if lot.random() < 0.5
        else "UPDATE seal_node SET hash = sha256(hash) WHERE tenant_id = %(tenant)s AND level = 1 AND node_index = 0"
    )
    assert changed == 1
    world.do('UPDATE log_leaf SET data = replace(data, \'"size":"\', \'"size":"1\') WHERE tenant_id = %(tenant)s')
    return ("tree.json", "log.json")


def edit_the_log(world, lot):
    if lot.random() < 0.5:
        world.do("UPDATE log_leaf SET leaf = sha256(leaf) WHERE log_index = 0")
        world.do("UPDATE log_node SET hash = sha256(hash)")
    else:
        world.do('UPDATE log_leaf SET data = replace(data, \'"root":"\', \'"root":"0\') WHERE tenant_id = %(tenant)s')
    return "log.json"


def edit_a_price_list(world, lot):
    """The document alone, or its hash with it."""
    version, document = lot.choice(
        world.ask_rows(
            "SELECT id, document FROM rate_version WHERE id IN (SELECT rate_version_id FROM ledger_entry"
            " WHERE tenant_id = %(tenant)s AND billing_period = '2026-10-01') AND document -> 'meters' ? 'input'"
        )
    )
    document = json.loads(document) if isinstance(document, str) else document
    old_hash = hash_content(document)
    document["meters"]["input"]["price"] = "0.01"
    new_hash = hash_content(document) if lot.random() < 0.5 else old_hash
    world.do(
        "UPDATE rate_version SET document = %(document)s::jsonb, content_hash = %(hash)s WHERE id = %(version)s",
        document=canonical_json(document), hash=new_hash, version=version,
    )  # fmt: skip
    return ("rates/", "batches.jsonl")


def replace_the_keys(world, lot):
    """Another key in the place of the sealer's or the web's, announced by itself."""
    purpose = lot.choice(["receipt", "seal"])
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    world.do("UPDATE signing_key SET public_key = %(key)s WHERE purpose = %(purpose)s", key=public, purpose=purpose)
    return ("keys.json", "receipt", "checkpoint.txt")


def recompute_without_the_key(world, lot):
    """A cost, and after it everything that can be computed: leaves, root, header, tree. Not the signatures."""
    return recompute(world, lot, sign=lambda signed: lot.randbytes(64))


def recompute_with_the_key(world, lot):
    """The same by whoever holds the receipt key: what the tree, the receipts and the archive that were kept are for."""
    return recompute(world, lot, sign=load_receipt_key().pair.sign)


def recompute(world, lot, *, sign):
    batch_id, line = lot.choice([(batch, line) for batch, line in world.rows if line == 0])
    world.do(
        "UPDATE ledger_entry SET user_ref = user_ref || 'y', input_tokens = input_tokens + 8"
        " WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s AND line = %(line)s",
        batch=batch_id, line=line,
    )  # fmt: skip
    hashes = dict(world.ask_rows("SELECT id, encode(content_hash, 'hex') FROM rate_version"))
    leaves = []
    for row in world.ask_rows(
        f"SELECT {', '.join(ENTRY_COLUMNS)} FROM ledger_entry WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s"
        " ORDER BY line",
        batch=batch_id,
    ):
        entry = dict(zip(ENTRY_COLUMNS, row, strict=True))
        entry |= {"tags": json.loads(entry["tags"]), "other_usage": json.loads(entry["other_usage"], parse_float=str)}
        place = write_place(
            tenant_id=entry["tenant_id"], batch_id=batch_id, recorded_at=entry["recorded_at"],
            api_key_id=entry["api_key_id"],
        )  # fmt: skip
        rebuilt = rebuild_entry(entry, rate_version_hash=hashes.get(entry["rate_version_id"], ""))
        leaves.append(hash_leaf(encode_row(rebuilt, place=place)))
    receipt = world.ask("SELECT receipt FROM ledger_batch WHERE batch_id = %(batch)s", batch=batch_id)[0]
    protected, payload, _ = receipt.split(".")
    header = json.loads(unpad(payload)) | {"root": hash_root(leaves).hex()}
    payload = pad(canonical_json(header).encode())
    signed = f"{protected}.{payload}"
    world.do(
        "UPDATE ledger_batch SET receipt = %(receipt)s, root = %(root)s WHERE batch_id = %(batch)s",
        batch=batch_id, receipt=f"{signed}.{pad(sign(signed.encode()))}", root=hash_root(leaves),
    )  # fmt: skip
    world.do(
        "UPDATE seal_leaf SET leaf = %(leaf)s WHERE tenant_id = %(tenant)s AND batch_id = %(batch)s",
        batch=batch_id, leaf=hash_leaf(canonical_json(header).encode()),
    )  # fmt: skip
    return (str(batch_id), "batches.jsonl, tree.json")


def roll_back_to_a_backup(world, lot):
    """The last batches with all that was signed over them: only what the tenant kept knows of them."""
    gone = world.batches[-lot.randrange(1, 6) :]
    for table in ("ledger_entry", "ledger_batch", "seal_leaf"):
        world.do(f"DELETE FROM {table} WHERE tenant_id = %(tenant)s AND batch_id = ANY(%(gone)s)", gone=gone)
    left = len(world.batches) - len(gone)
    world.do("DELETE FROM checkpoint WHERE tenant_id = %(tenant)s AND size > %(left)s", left=left)
    world.do(
        "DELETE FROM seal_node WHERE tenant_id = %(tenant)s AND (node_index + 1) * (1 << level) > %(left)s", left=left
    )
    return tuple(map(str, gone))


ALONE = (
    change_a_cost, change_a_quantity, change_a_text, change_a_time_or_month, delete_a_row, insert_a_row, swap_two_rows,
    duplicate_a_batch, delete_a_batch, edit_a_header, edit_a_receipt, edit_a_checkpoint, edit_the_tree, edit_the_log,
    edit_a_price_list, replace_the_keys, recompute_without_the_key, recompute_with_the_key,
)  # fmt: skip
WITH_WHAT_WAS_KEPT = (roll_back_to_a_backup, recompute_with_the_key, replace_the_keys)


def unpad(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pad(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def try_once(world, attack, lot, *, is_careful) -> tuple[str, list[str], tuple[str, ...]]:
    """What the attack tripped over, in words, and the words of which one must stand there."""
    with transaction.atomic(using=SUPERUSER):
        world.do("SET CONSTRAINTS ALL IMMEDIATE")
        world.do("SET session_replication_role = replica")
        for table in TABLES:
            world.do(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for constraint in (
            "entry_billed_is_sum_of_meters",
            "entry_unpriced_has_no_money",
            "entry_reasoning_inside_output",
        ):
            world.do(f"ALTER TABLE ledger_entry DROP CONSTRAINT {constraint}")
        where = attack(world, lot)
        where = (where,) if isinstance(where, str) else where
        try:
            world.now.write_bytes(world.read_bundle())
            found = world.verify(is_careful=is_careful)
        except (TreeTorn, PeriodUnsealed) as error:
            found, where = [f"no archive: {error}"], ("no archive",)
        transaction.set_rollback(True, using=SUPERUSER)
    return attack.__name__.replace("_", " "), found, where


@pytest.mark.timeout(120 + 3 * TRIALS)
def test_whatever_a_superuser_changes_is_found_and_located(world, django_db_blocker):
    lot = random.Random(SEED)
    tried, missed, lost = Counter(), [], []
    with django_db_blocker.unblock():
        for number in range(TRIALS):
            is_careful = number % 4 == 3
            attack = lot.choice(WITH_WHAT_WAS_KEPT) if is_careful else ALONE[number % len(ALONE)]
            name, found, where = try_once(world, attack, lot, is_careful=is_careful)
            tried[name, is_careful] += 1
            if not found:
                missed.append((number, name))
            elif not any(place in text for place in where for text in found):
                lost.append((number, name, where, found[:3]))
        clean = []
        for _ in range(CLEAN_RUNS):
            with transaction.atomic(using=SUPERUSER):
                world.now.write_bytes(world.read_bundle())
            clean += world.verify(is_careful=True)
    assert missed == []
    assert lost == []
    assert clean == []
    assert sum(tried.values()) == TRIALS
    if TABLE:
        lines = [f"| {name} | {'with what was kept' if careful else 'the archive alone'} | {count} | {count} |"
                 for (name, careful), count in sorted(tried.items())]  # fmt: skip
        Path(TABLE).write_text("\n".join(lines) + f"\n| nothing | with what was kept | {CLEAN_RUNS} | 0 |\n")
