"""What a receipt signs, byte for byte, and what is told of a batch that differs from it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from ledger.core.announcements import (
    AnnouncementInvalid,
    check_announcement,
    read_announcement,
    write_announcement,
    write_statement,
)
from ledger.core.headers import HeaderInvalid, HeaderOutdated, list_differing, read_header, write_header
from ledger.core.log_leaves import write_checkpoint_leaf
from ledger.key_files import make_pair, verify

BATCH = {
    "tenant_id": 7,
    "batch_id": UUID("019aa4c5-9d3a-7c11-8a54-02b6a8c0f001"),
    "recorded_at": datetime(2026, 11, 22, 5, 0, 0, 123456, tzinfo=UTC),
    "api_key_id": "ab12CD34ef56",
    "kind": "usage",
    "entry_count": 3,
    "unpriced_count": 1,
    "billed_cost": 9_500_000_000,
    "billing_periods": {"2026-10-01": 1, "2026-11-01": 2},
    "root": bytes(range(32)),
}
WRITTEN = (
    b'{"api_key_id":"ab12CD34ef56","batch_id":"019aa4c5-9d3a-7c11-8a54-02b6a8c0f001","billed_cost":"9500000000",'
    b'"billing_periods":{"2026-10-01":"1","2026-11-01":"2"},"entry_count":"3","kind":"usage",'
    b'"recorded_at":"2026-11-22T05:00:00.123456Z",'
    b'"root":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","tenant_id":"7","unpriced_count":"1",'
    b'"v":"tokenledger/batch/2"}'
)
STORED = {**BATCH, "billed_cost": Decimal("0.009500000000")}


def test_a_header_is_these_bytes():
    assert write_header(**BATCH) == WRITTEN
    assert json.dumps(json.loads(WRITTEN), sort_keys=True, separators=(",", ":")).encode() == WRITTEN
    assert list_differing(read_header(WRITTEN), tenant_id=7, stored=STORED) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"entry_count": 4}, "entry_count is '4', its receipt says '3'"),
        ({"billed_cost": Decimal("0.0095000000010")}, "billed_cost is '9500000001', its receipt says '9500000000'"),
        ({"root": bytes(32)}, f"root is '{'00' * 32}', its receipt says '{bytes(range(32)).hex()}'"),
        ({"kind": "fee"}, "kind is 'fee', its receipt says 'usage'"),
    ],
)
def test_a_stored_batch_that_differs_is_told_by_column(change, said):
    assert list_differing(read_header(WRITTEN), tenant_id=7, stored=STORED | change) == [said]


def test_another_tenants_header_is_not_this_ones():
    assert list_differing(read_header(WRITTEN), tenant_id=8, stored=STORED) == [
        "tenant_id is '8', its receipt says '7'"
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"nonsense", WRITTEN[:-1], WRITTEN.replace(b'":"', b'": "'),
        WRITTEN.replace(b"batch/2", b"batch/3"),
        WRITTEN.replace(b'"kind":"usage",', b'"kind":"usage","more":"1",'),
        WRITTEN.replace(b'"2026-10-01":"1","2026-11-01":"2"', b'"2026-11-01":"2","2026-10-01":"1"'),
        WRITTEN.replace(b'"2026-11-01":"2"', b'"2026-11-01":"3"'),
        WRITTEN.replace(b'"2026-11-01":"2"', b'"2026-11-01":"+2"'),
        WRITTEN.replace(b'"entry_count":"3"', b'"entry_count":"three"'),
    ],
)  # fmt: skip
def test_what_is_no_header_of_this_version_is_refused(data):
    with pytest.raises(HeaderInvalid):
        read_header(data)


def test_a_header_from_before_there_were_seals_is_known():
    with pytest.raises(HeaderOutdated, match="version 1"):
        read_header(b'{"v":"tokenledger/batch/1"}')


def test_a_leaf_of_the_log_hides_the_tenant_under_its_salt():
    leaf = write_checkpoint_leaf(
        origin="tokenledger/0123456789ab/7", salt=b"s" * 32, size=42, root=bytes(32), signed_at=BATCH["recorded_at"]
    )
    # printf tokenledger/0123456789ab/7 | openssl dgst -sha256 -hmac ssssssssssssssssssssssssssssssss
    hidden = "dfa8256d5d5842545d1f96b2f18de6c4c0d4b0756194635010cf30affd61b0f2"
    assert json.loads(leaf) == {
        "origin": hidden, "root": "00" * 32, "signed_at": "2026-11-22T05:00:00.123456Z", "size": "42",
        "v": "tokenledger/checkpoint/1",
    }  # fmt: skip


# --- announcements ---

OLD, NEW, STRANGER = (make_pair(bytes([number]) * 32) for number in (1, 2, 3))


def announce(pair=NEW, previous=OLD, signers=(NEW, OLD), **changes):
    statement = write_statement(
        purpose="receipt", key_id=pair.key_id, public_key=pair.public_key, previous=previous.key_id if previous else "",
        installation="0123456789ab", announced_at=BATCH["recorded_at"],
    )  # fmt: skip
    for name, value in changes.items():
        statement = json.dumps(json.loads(statement) | {name: value}, separators=(",", ":"))
    return write_announcement(statement, {signer.key_id: signer.sign(statement.encode()) for signer in signers})


def believe(text, *known):
    return check_announcement(text, known={pair.key_id: pair.public_key for pair in known}, verify=verify)


def test_a_new_key_is_believed_when_it_and_a_known_one_before_it_signed():
    statement = believe(announce(), OLD)
    assert (statement.key_id, statement.previous, statement.purpose) == (NEW.key_id, OLD.key_id, "receipt")
    assert read_announcement(announce()) == statement
    assert believe(announce(previous=None, signers=[NEW])).key_id == NEW.key_id  # the first of its kind


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (announce(signers=[NEW]), [OLD]),
        (announce(signers=[OLD]), [OLD]),
        (announce(signers=[NEW, STRANGER]), [OLD]),
        (announce(previous=STRANGER, signers=[NEW, STRANGER]), [OLD]),
        (announce(previous=None, signers=[NEW]), [OLD]),
        (announce(signers=[]), []),
        (announce(v="tokenledger/key/2"), [OLD]),
        (announce(purpose="other"), [OLD]),
        (announce().replace("0123456789ab", "ba9876543210"), [OLD]),
        ("{}", [OLD]),
        ("", [OLD]),
    ],
)
def test_an_announcement_that_lacks_a_signature_or_was_touched_is_not_believed(text, known):
    with pytest.raises(AnnouncementInvalid):
        believe(text, *known)
