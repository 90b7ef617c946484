"""JSON Lines: the head with the control totals, then each line. Every value is text or null, in canonical JSON."""

import hashlib
import io
from typing import BinaryIO

from audit.core.records import canonical_json, write_head, write_lines
from audit.core.statement import Statement


def write_jsonl(statement: Statement, out: BinaryIO) -> None:
    """`{"type":"statement", …}`, and one `{"type":"line", …}` for each line."""
    out.write(canonical_json({"type": "statement", **write_head(statement)}) + b"\n")
    for line in write_lines(statement):
        out.write(canonical_json({"type": "line", **line}) + b"\n")


def hash_statement(statement: Statement) -> str:
    """SHA-256 of the JSONL file, hexadecimal: by it a printed statement names the file that it was made with."""
    out = io.BytesIO()
    write_jsonl(statement, out)
    return hashlib.sha256(out.getvalue()).hexdigest()
