"""A batch's header: the exact bytes that its receipt signs, and that are its leaf in the tenant's tree.

JSON by the same rules as a row (`core/rows.py`): members sorted by name, no white space, no numbers. `docs/proof.md`
states the format.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from ledger.core.rows import format_time, pico

BATCH_VERSION = "tokenledger/batch/2"


class BatchHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members of a header, in the order of their names. Numbers are decimal strings, money 10^-12 units.

    billing_periods: the first day of each month that the batch's entries are charged in -> how many of them.
    """

    api_key_id: str
    batch_id: str
    billed_cost: str
    billing_periods: dict[str, str]
    entry_count: str
    kind: str
    recorded_at: str
    root: str
    tenant_id: str
    unpriced_count: str
    v: str


class HeaderInvalid(ValueError):
    """Not a header of this version, or not that of the stored batch; the text says which."""


class HeaderOutdated(HeaderInvalid):
    """A header of a version from before there were seals: it cannot be sealed."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(BatchHeader).decode


def write_header(
    *,
    tenant_id: int,
    batch_id: UUID,
    recorded_at: datetime,
    api_key_id: str,
    kind: str,
    entry_count: int,
    unpriced_count: int,
    billed_cost: int,
    billing_periods: Mapping[str, int],
    root: bytes,
) -> bytes:
    """The bytes of a header. billed_cost: 10^-12 units, of the priced entries. billing_periods: in their order."""
    return _encode(
        BatchHeader(
            api_key_id,
            str(batch_id),
            str(billed_cost),
            {period: str(count) for period, count in billing_periods.items()},
            str(entry_count),
            kind,
            format_time(recorded_at),
            root.hex(),
            str(tenant_id),
            str(unpriced_count),
            BATCH_VERSION,
        )
    )


def read_header(data: bytes) -> BatchHeader:
    """A header of this version. Raises HeaderInvalid, also for another spelling of the same members."""
    try:
        header = _decode(data)
    except msgspec.DecodeError:
        raise _explain(data) from None
    if header.v != BATCH_VERSION:
        raise _explain(data)
    periods = header.billing_periods
    if _encode(header) != data or list(periods) != sorted(periods):
        raise HeaderInvalid("the header is not written canonically")
    counts = [header.entry_count, *periods.values()]
    if not all(map(str.isdecimal, counts)) or sum(map(int, periods.values())) != int(header.entry_count):
        raise HeaderInvalid("its billing periods hold another number of entries than the batch")
    return header


def _explain(data: bytes) -> HeaderInvalid:
    try:
        version = msgspec.json.decode(data).get("v")
    except (msgspec.DecodeError, AttributeError):
        version = None
    if version == "tokenledger/batch/1":
        return HeaderOutdated("its receipt is of version 1, from before there were seals: it cannot be sealed")
    return HeaderInvalid(f"the receipt signs no header of {BATCH_VERSION}")


def list_differing(header: BatchHeader, *, tenant_id: int, stored: Mapping[str, object]) -> list[str]:
    """The columns in which a stored batch differs from its header, each with what either says.

    stored: the columns of `ledger_batch`, money as Decimal, root as bytes.
    """
    recorded_at, billed_cost = stored["recorded_at"], stored["billed_cost"]
    assert isinstance(recorded_at, datetime) and isinstance(billed_cost, Decimal)
    columns = {
        "tenant_id": str(tenant_id),
        "batch_id": str(stored["batch_id"]),
        "recorded_at": format_time(recorded_at),
        "api_key_id": str(stored["api_key_id"]),
        "kind": str(stored["kind"]),
        "entry_count": str(stored["entry_count"]),
        "unpriced_count": str(stored["unpriced_count"]),
        "billed_cost": str(pico(billed_cost)),
        "root": bytes(stored["root"]).hex(),  # type: ignore[call-overload]
    }
    return [
        f"{name} is {value!r}, its receipt says {signed!r}"
        for name, value in columns.items()
        if value != (signed := getattr(header, name))
    ]
