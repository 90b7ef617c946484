import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import rfc8785
from hypothesis import given

from ledger.core.entries import NewEntry
from ledger.core.rows import encode_row, format_time, pico, write_place
from tests.ledger.core.strategies import RECORDED_AT, entries

WHERE = {
    "tenant_id": 7,
    "batch_id": UUID("019a8f00-0000-7000-8000-000000000001"),
    "recorded_at": RECORDED_AT,
    "api_key_id": "ab12CD34ef56",
}
# What identifies an event for deduplication is derived from columns that the leaf covers.
NOT_IN_THE_LEAF = {"key", "fingerprint"}


@given(entry=entries())
def test_a_row_is_canonical_json_as_rfc_8785_writes_it(entry):
    row = encode_row(entry, place=write_place(**WHERE))
    assert rfc8785.dumps(json.loads(row)) == row


@given(entry=entries())
def test_a_row_holds_every_field_of_the_entry_as_text_and_no_number(entry):
    row = json.loads(encode_row(entry, place=write_place(**WHERE)))
    expected = set(NewEntry.__struct_fields__) - NOT_IN_THE_LEAF | set(WHERE) | {"v"}
    assert set(row) == expected
    assert not any(isinstance(value, int | float) and not isinstance(value, bool) for value in row.values())
    assert row["v"] == "tokenledger/entry/1"


@given(one=entries(), other=entries())
def test_two_rows_are_equal_only_when_their_entries_are(one, other):
    facts = [
        {name: str(getattr(entry, name)) for name in NewEntry.__struct_fields__ if name not in NOT_IN_THE_LEAF}
        for entry in (one, other)
    ]
    assert (encode_row(one, place=write_place(**WHERE)) == encode_row(other, place=write_place(**WHERE))) == (
        facts[0] == facts[1]
    )


def test_a_time_is_utc_with_six_decimals():
    assert format_time(datetime(2026, 11, 22, 5, tzinfo=UTC)) == "2026-11-22T05:00:00.000000Z"


def test_money_becomes_whole_pico_units():
    assert pico(Decimal("0.026001600000")) == 26_001_600_000
    assert pico(Decimal("-1")) == -1_000_000_000_000
    assert pico(None) is None
