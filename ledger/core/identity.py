"""What makes an event the same event: its key, and the fingerprint of what it is billed by."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def identify_event(*, provider: str, response_id: str, source: str, event_id: str) -> bytes:
    """16 bytes that are equal for two reports of one event, and for no other two.

    The provider's response id where one is known, so that a call reported through two doors is one entry; else
    the source and the id that the source gave. Each part is preceded by its length: no two tuples run together.
    """
    kind, scope, name = ("response", provider, response_id) if response_id else ("event", source, event_id)
    text = f"tokenledger/event/1\n{kind}\n{len(scope)}:{scope}{len(name)}:{name}"
    return sha256(text.encode()).digest()[:16]


def identify_booking(kind: str, *parts: str) -> bytes:
    """16 bytes for an entry that is ours and no event's: a side of a correction, an act, a fee.

    No event can claim such a key: its text begins otherwise, whatever source and id are sent.
    """
    text = f"tokenledger/{kind}/1\n" + "".join(f"{len(part)}:{part}" for part in parts)
    return sha256(text.encode()).digest()[:16]


def fingerprint_facts(facts: Sequence[object]) -> bytes:
    """16 bytes over the billable facts of an event, in order: texts, integers, Decimals, booleans, None."""
    return sha256(_encode_facts(facts)).digest()[:16]


_encode_facts = msgspec.json.Encoder().encode


def make_uuid7(moment: datetime, random: bytes) -> UUID:
    """The UUID version 7 of a moment: milliseconds, then the rest of the microsecond in `rand_a` (RFC 9562, 6.2).

    random: 8 bytes, of which 62 bits are used. Ids made later sort later, to the microsecond.
    """
    microseconds = (moment - EPOCH) // MICROSECOND
    milliseconds, rest = divmod(microseconds, 1000)
    tail = int.from_bytes(random, "big") & 0x3FFFFFFFFFFFFFFF
    return UUID(int=milliseconds << 80 | 0x7 << 76 | (rest * 4096 // 1000) << 64 | 0b10 << 62 | tail)
