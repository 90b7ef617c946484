"""A receipt is checked with nothing but the public key, the row's JSON and SHA-256, as docs/proof.md says."""

import base64
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.test import Client

from ledger.key_files import read_or_make_seed
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read_receipt(receipt):
    """The header that a receipt signs. Raises InvalidSignature."""
    protected, payload, signature = receipt.split(".")
    header = json.loads(decode(protected))
    keys = {key["kid"]: key for key in Client().get("/.well-known/tokenledger-keys").json()["keys"]}
    assert header == {"alg": "EdDSA", "kid": header["kid"]}
    key = keys[header["kid"]]
    assert key["purpose"] == "receipt"
    Ed25519PublicKey.from_public_bytes(decode(key["x"])).verify(decode(signature), f"{protected}.{payload}".encode())
    return json.loads(decode(payload))


@pytest.fixture
def receipt():
    publish_test_rates()
    events = [make_wire_event(), make_wire_event(), make_wire_event(model="unknown-model")]
    answer = Client().post(
        "/v1/events",
        json.dumps(events),
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {make_key(make_tenant('acme'))}",
    )
    return answer.json()


def test_a_receipt_signs_the_batchs_count_cost_and_root(receipt):
    header = read_receipt(receipt["receipt"])
    assert header["v"] == "tokenledger/batch/2"
    assert header["batch_id"] == receipt["batch_id"]
    assert (header["entry_count"], header["unpriced_count"]) == ("3", "1")
    assert header["billing_periods"] == {f"{datetime.now(UTC):%Y-%m}-01": "3"}
    assert header["billed_cost"] == "9500000000"  # 2 × 0.00475 USD in units of 10^-12
    assert len(header["root"]) == 64


def test_a_receipt_that_was_touched_is_refused(receipt):
    protected, payload, signature = receipt["receipt"].split(".")
    header = json.loads(decode(payload)) | {"billed_cost": "1"}
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidSignature):
        read_receipt(f"{protected}.{forged}.{signature}")


def test_of_many_threads_that_need_the_first_key_all_get_the_same(tmp_path, monkeypatch):
    def take_time(count, draw=os.urandom):
        time.sleep(0.05)
        return draw(count)

    monkeypatch.setattr(os, "urandom", take_time)
    with ThreadPoolExecutor(8) as pool:
        seeds = list(pool.map(lambda _: read_or_make_seed(tmp_path / "keys" / "receipt.key"), range(8)))
    assert len(set(seeds)) == 1
    assert len(seeds[0]) == 32
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["receipt.key"]
