"""The evidence archive: everything that somebody needs to check a month without us (docs/proof.md has the format).

A ZIP that is written as it is read: what is in memory is a few thousand rows, however large the month is. The same
month gives the same bytes, for nothing in it says when it was made.
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any

from audit.core.records import canonical_json, write_document
from audit.entries import MonthBatch, MonthRow, list_batches, list_strays, read_rows
from audit.sealed_months import SealedMonth
from billing.selectors.rate_versions import list_content_hashes, read_rate_versions
from ledger.core.rows import format_time, pico
from ledger.sealing.keys import list_announced_keys

VERSION = "tokenledger/bundle/1"
KEYS_VERSION = "tokenledger/keys/1"
VERIFIER = "verify_tokenledger.py"
EPOCH = (1980, 1, 1, 0, 0, 0)
COMPRESS_LEVEL = 1
PIECE_BYTES = 1 << 18

README = """Evidence archive of {name}: what was charged to {tenant} in {period}, and the proof of it.

    python3 verify_tokenledger.py {name}.zip

checks all of it without network and without Tokenledger. Take verify_tokenledger.py from somewhere you trust, not from
this archive; give it the public keys that you saved one day (--keys) and the receipts that you kept (--receipts).

entries.jsonl     every row, byte for byte as it was hashed when it was booked
batches.jsonl     the signed receipt of every batch of rows, in the order of the tree
tree.json         what completes these batches to the tree of checkpoint.txt, which the sealer signed
log.json          that this checkpoint is in the log of all tenants' checkpoints, whose head is log-head.txt
rates/            the price lists by which the rows were priced
statement.json    the statement: every line and total can be added up from the rows
keys.json         the public keys, each announced by the one before it
bundle.json       what is in this archive
"""


def locate_verifier() -> Path:
    """The file that a tenant runs: it imports nothing of ours."""
    return Path(__file__).parent / "verifier" / VERIFIER


@dataclass
class _Pieces:
    """What was written of the archive and not yet taken: a file that only grows."""

    parts: list[bytes] = field(default_factory=list)
    waiting: int = 0
    written: int = 0

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        self.waiting += len(data)
        self.written += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing to do: whoever sends takes."""

    def take(self) -> bytes:
        taken, self.parts, self.waiting = b"".join(self.parts), [], 0
        return taken


@dataclass
class _Archive:
    """A ZIP under way, and the SHA-256 of each file in it."""

    pieces: _Pieces
    zip: zipfile.ZipFile
    hashes: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, data: bytes) -> None:
        with self.zip.open(_describe_file(name), "w") as file:
            file.write(data)
        self.hashes[name] = hashlib.sha256(data).hexdigest()


def _describe_file(name: str) -> zipfile.ZipInfo:
    """The same for the same name: no time of the day, no owner of ours."""
    info = zipfile.ZipInfo(name, date_time=EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info._compresslevel = COMPRESS_LEVEL  # type: ignore[attr-defined]
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


@dataclass
class _Written:
    """What goes into bundle.json, and which price lists the rows named."""

    batches: int = 0
    entries: int = 0
    price_lists: set[str] = field(default_factory=set)
    leaves: Any = field(default_factory=hashlib.sha256)


def stream_bundle(
    month: SealedMonth, *, using: str = "default", tell: Callable[[int], None] = lambda entries: None
) -> Iterator[bytes]:
    """The archive of a month, in pieces of some PIECE_BYTES. tell: hears how many entries were written so far.

    What was tampered with is written as it stands: it is the verifier that finds it.
    """
    pieces = _Pieces()
    hashes = list_content_hashes(using=using)
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESS_LEVEL) as target:  # type: ignore[call-overload]
        archive, written = _Archive(pieces, target), _Written()
        yield from _write_batches(archive, month, hashes, written, using=using)
        for piece in _write_entries(archive, month, hashes, written, using=using):
            tell(written.entries)
            yield piece
        _add_proofs(archive, month)
        rates = _add_rates(archive, hashes, written, using=using)
        archive.add("statement.json", canonical_json(write_document(month.statement)))
        archive.add("keys.json", canonical_json(_list_keys(month, using=using)))
        archive.add(VERIFIER, locate_verifier().read_bytes())
        archive.add("README.txt", _write_readme(month))
        archive.add("bundle.json", canonical_json(_write_manifest(month, archive.hashes, written, rates=rates)))
    yield pieces.take()


def _write_batches(
    archive: _Archive, month: SealedMonth, hashes: Mapping[int, str], written: _Written, *, using: str
) -> Iterator[bytes]:
    digest = hashlib.sha256()
    with archive.zip.open(_describe_file("batches.jsonl"), "w", force_zip64=True) as file:
        for batches in list_batches(month, using=using):
            mixed = [batch for batch in batches if is_mixed(batch.receipt, period=month.period)]
            rows = read_rows(month, mixed, hashes, using=using)
            for batch in batches:
                line = canonical_json(_write_batch(batch, rows.get(batch.batch_id, ()))) + b"\n"
                digest.update(line)
                file.write(line)
                written.batches += 1
            if archive.pieces.waiting >= PIECE_BYTES:
                yield archive.pieces.take()
    archive.hashes["batches.jsonl"] = digest.hexdigest()


def is_mixed(receipt: str | None, *, period: date) -> bool:
    """Whether a receipt says that its batch has entries of this month and of others; what is spoilt has not."""
    try:
        payload = (receipt or "").split(".")[1]
        header = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return period.isoformat() in header["billing_periods"] and len(header["billing_periods"]) > 1
    except (ValueError, LookupError, TypeError):
        return False


def _write_batch(batch: MonthBatch, rows: Iterable[MonthRow]) -> dict[str, Any]:
    """A line of batches.jsonl; of a batch that is gone, the leaf that the tree still has."""
    if batch.receipt is None:
        return {"leaf": batch.leaf.hex(), "leaves": None, "receipt": None}
    others = [[str(row.line), row.leaf.hex()] for row in rows if not row.is_of_month]
    return {"leaves": others or None, "receipt": batch.receipt}


def _write_entries(
    archive: _Archive, month: SealedMonth, hashes: Mapping[int, str], written: _Written, *, using: str
) -> Iterator[bytes]:
    with archive.zip.open(_describe_file("entries.jsonl"), "w", force_zip64=True) as file:
        for batches in list_batches(month, using=using):
            rows = read_rows(month, batches, hashes, using=using)
            for batch in batches:
                _write_rows(file, rows.get(batch.batch_id, ()), written)
            if archive.pieces.waiting >= PIECE_BYTES:
                yield archive.pieces.take()
        _write_rows(file, list_strays(month, hashes, using=using), written)


def _write_rows(file: IO[bytes], rows: Iterable[MonthRow], written: _Written) -> None:
    for row in rows:
        if row.is_of_month:
            file.write(row.data + b"\n")
            written.leaves.update(row.leaf)
            written.entries += 1
            written.price_lists.update(row.price_lists)


def _add_proofs(archive: _Archive, month: SealedMonth) -> None:
    archive.add(
        "tree.json",
        canonical_json(
            {
                "end": str(month.end),
                "first": str(month.first),
                "left": [node.hex() for _, node in month.complement.left],
                "right": [node.hex() for _, node in month.complement.right],
                "size": str(month.checkpoint.size),
            }
        ),
    )
    archive.add("checkpoint.txt", month.checkpoint.note.encode())
    archive.add(
        "log.json",
        canonical_json(
            {
                "index": str(month.log_leaf.log_index),
                "leaf": month.log_leaf.data,
                "path": [node.hex() for node in month.log_path],
                "salt": month.salt.hex(),
            }
        ),
    )
    archive.add("log-head.txt", month.log_head.note.encode())


def _add_rates(archive: _Archive, hashes: Mapping[int, str], written: _Written, *, using: str) -> int:
    """The price lists that the rows name, under the hash that they name them by; how many they are."""
    versions = {
        content_hash: version for version, content_hash in hashes.items() if content_hash in written.price_lists
    }
    contents = read_rate_versions(list(versions.values()), using=using)
    for content_hash in sorted(versions):
        archive.add(f"rates/{content_hash}.json", canonical_json(contents[versions[content_hash]].content))
    return len(versions)


def _list_keys(month: SealedMonth, *, using: str) -> dict[str, Any]:
    """The keys that were announced when the month was sealed: a later one changes nothing of what was signed then."""
    until = max(month.checkpoint.signed_at, month.log_head.signed_at)
    return {
        "keys": [
            {
                "announced_at": format_time(key.announced_at),
                "announcement": key.announcement,
                "key_id": key.key_id,
                "public_key": key.public_key.hex(),
                "purpose": key.purpose,
            }
            for key in list_announced_keys(using=using)
            if key.announced_at <= until
        ],
        "v": KEYS_VERSION,
    }


def _write_readme(month: SealedMonth) -> bytes:
    return README.format(name=month.name, tenant=month.tenant.name, period=f"{month.period:%Y-%m}").encode()


def _write_manifest(month: SealedMonth, hashes: Mapping[str, str], written: _Written, *, rates: int) -> dict[str, Any]:
    """bundle.json. Its totals are the statement's, its counts those of what was written: the verifier compares both."""
    return {
        "counts": {"batches": str(written.batches), "entries": str(written.entries), "rates": str(rates)},
        "end": str(month.end),
        "files": dict(hashes),
        "first": str(month.first),
        "leaves": written.leaves.hexdigest(),
        "origin": month.checkpoint.origin,
        "period": f"{month.period:%Y-%m}",
        "tenant": {"name": month.tenant.name, "number": str(month.tenant.id), "slug": month.tenant.slug},
        "totals": {
            "billed_cost": {month.statement.currency: str(pico(month.statement.amount))},
            "unpriced": str(month.unpriced),
        },
        "v": VERSION,
    }
