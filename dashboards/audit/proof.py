"""The proof of one entry: its batch's place in the signed tree, and what a page needs to recompute all of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.access import Seat
from ledger.proofs import write_canonical_row
from ledger.sealing.keys import list_announced_keys
from ledger.sealing.proofs import LogProof, SealProof, TreeTorn, prove_batch, prove_logged
from ledger.selectors import Batch, EntryProof


@dataclass(frozen=True, slots=True)
class EntrySeal:
    """Where an entry's batch is sealed. proof: None while it waits; fault: why nothing can be proved, '' mostly.

    logged: None while the log has not published the checkpoint. material: for the script of the page.
    """

    proof: SealProof | None
    logged: LogProof | None
    fault: str
    material: Mapping[str, Any]


def read_entry_seal(
    seat: Seat, entry: Mapping[str, Any], *, batch: Batch, proof: EntryProof, rate_version_hash: str
) -> EntrySeal:
    """The batch's place under the newest checkpoint, and that one's in the log."""
    tenant_id = seat.tenant.id
    sealed, logged, fault = None, None, ""
    try:
        sealed = prove_batch(tenant_id=tenant_id, batch_id=batch.batch_id)
        logged = prove_logged(tenant_id=tenant_id, size=sealed.checkpoint.size) if sealed else None
    except TreeTorn as torn:
        fault = str(torn)
    keys = {
        purpose: {key.key_id: key.public_key.hex() for key in list_announced_keys() if key.purpose == purpose}
        for purpose in ("receipt", "seal")
    }
    material = {
        "row": write_canonical_row(entry, rate_version_hash=rate_version_hash).decode(),
        "leaf": proof.leaf,
        "index": proof.leaf_index,
        "size": proof.tree_size,
        "path": list(proof.path),
        "root": proof.root,
        "receipt": batch.receipt,
        "keys": keys,
        "seal": _write_seal(sealed) if sealed else None,
    }
    return EntrySeal(sealed, logged, fault, material)


def _write_seal(sealed: SealProof) -> dict[str, Any]:
    return {
        "index": sealed.batch.leaf_index,
        "path": [node.hex() for node in sealed.path],
        "note": sealed.checkpoint.note,
    }
