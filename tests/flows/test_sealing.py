"""A whole installation seals what is booked, within seconds, whatever happens to the sealer."""

import json
import threading
import time
import urllib.request
from base64 import urlsafe_b64decode

import pytest

from ledger.core.headers import read_header
from ledger.core.merkle import hash_leaf, is_included
from ledger.core.notes import verify_checkpoint
from ledger.key_files import verify
from ledger.sealing.keys import SEAL_KEY_PLACE
from tests.factories import make_wire_event
from tests.installation import PUBLISH_TEST_RATES, run_installation

SEALED_WITHIN_SECONDS = 5
KILLS = 6


@pytest.fixture(scope="module")
def place():
    """An installation that runs, and a key of acme's."""
    with run_installation() as installation:
        *_, key = installation.manage_in_turn(
            PUBLISH_TEST_RATES,
            ("create_tenant", "acme"),
            ("create_api_key", "acme", "--scopes", "ingest,read,audit"),
        )
        for name in ("web", "worker", "sealer", "beat"):
            installation.start_service(name)
        installation.wait_for_web()
        wait_until_sealed(installation, key, post(installation, key), seconds=60)  # processes take their time to start
        yield installation, key


def ask(installation, path, key="", body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{installation.port}{path}")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        data = answer.read()
        return json.loads(data) if "json" in answer.headers["Content-Type"] else data.decode()


def post(installation, key, count=1):
    return ask(installation, "/v1/events", key, [make_wire_event() for _ in range(count)])["batch_id"]


def wait_until_sealed(installation, key, batch_id, *, seconds):
    """How long it took."""
    begun = time.monotonic()
    while True:
        answer = ask(installation, f"/v1/audit/receipt/{batch_id}", key)
        if answer["seal"]["status"] == "sealed":
            return time.monotonic() - begun, answer
        if time.monotonic() - begun > seconds:
            pytest.fail(f"not sealed within {seconds} s:\n{installation.read_log('sealer')[-3000:]}")
        time.sleep(0.1)


def read_seal_keys(installation):
    keys = ask(installation, "/.well-known/tokenledger-keys")["keys"]
    return [urlsafe_b64decode(key["x"] + "=") for key in keys if key["purpose"] == "seal"]


def test_an_event_is_under_a_signed_checkpoint_within_five_seconds(place):
    installation, key = place
    batch_id = post(installation, key)
    seconds, answer = wait_until_sealed(installation, key, batch_id, seconds=30)
    assert seconds < SEALED_WITHIN_SECONDS
    checkpoint = answer["seal"]["checkpoint"]
    signed = verify_checkpoint(
        checkpoint["note"], origin=checkpoint["origin"], public_keys=read_seal_keys(installation), verify=verify
    )
    payload = answer["receipt"].split(".")[1]
    header = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    assert read_header(header).batch_id == batch_id
    path = [bytes.fromhex(node) for node in answer["seal"]["path"]]
    index = answer["seal"]["leaf_index"]
    assert is_included(leaf=hash_leaf(header), index=index, size=signed.size, path=path, root=signed.root)


def test_the_page_of_jobs_hears_of_the_sealer(place):
    installation, _ = place
    with installation.connect() as connection:
        jobs = connection.execute("SELECT job FROM job_run WHERE job = 'task ledger.seal'").fetchall()
    assert jobs == [("task ledger.seal",)]
    assert "could not be kept" not in installation.read_log("sealer")


def test_the_key_and_the_memory_are_the_sealers_alone_on_disk(place):
    installation, _ = place
    key, memory = installation.home / "keys" / SEAL_KEY_PLACE.file_name, installation.home / "sealer" / "memory.sqlite3"
    assert key.stat().st_mode & 0o077 == memory.stat().st_mode & 0o077 == 0


def test_a_sealer_that_is_killed_again_and_again_seals_every_batch_once(place):
    installation, key = place
    booked, stop = [], threading.Event()

    def write():
        while not stop.is_set():
            booked.append(post(installation, key, count=2))
            time.sleep(0.02)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for number in range(KILLS):
        time.sleep(0.7 + 0.4 * number)
        installation.kill_service("sealer")
        installation.start_service("sealer")
    stop.set()
    for writer in writers:
        writer.join()
    wait_until_sealed(installation, key, booked[-1], seconds=60)
    with installation.connect() as connection:
        waiting = "SELECT count(*) FROM outbox WHERE topic = 'seal'"
        deadline = time.monotonic() + 30
        while connection.execute(waiting).fetchone() != (0,):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        leaves = connection.execute("SELECT leaf_index, batch_id::text FROM seal_leaf ORDER BY leaf_index").fetchall()
        headers = connection.execute("SELECT tenant_id, batch_id::text FROM ledger_batch").fetchall()
        alarms = connection.execute("SELECT subject, kind, detail FROM seal_alarm").fetchall()
    acme = [batch_id for tenant_id, batch_id in headers if batch_id in set(booked)]
    assert set(booked) <= {batch_id for _, batch_id in leaves}
    assert len(acme) == len(booked) > 50
    assert alarms == []
    assert installation.manage("seal", "--check") == "0 faults"


def test_a_sealer_that_is_asked_to_end_publishes_what_it_sealed(place):
    installation, key = place
    batch_id = post(installation, key)
    _, answer = wait_until_sealed(installation, key, batch_id, seconds=30)
    installation.stop_service("sealer")
    installation.start_service("sealer")
    answer = ask(installation, f"/v1/audit/receipt/{batch_id}", key)
    log = answer["seal"]["checkpoint"]["log"]
    assert log is not None
    assert ask(installation, "/v1/log/checkpoint") == log["note"]
    assert (installation.home / "log" / "heads.txt").read_text().endswith(f"{log['note']}\n")
