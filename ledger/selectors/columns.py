"""An entry as it is read: its columns, its public id, and its place in the order of booking."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import sql

LINE_MAX = 2**31 - 1
ENTRY_ID_PATTERN = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.(0|[1-9][0-9]{0,9})")

ENTRY_COLUMNS = (
    "tenant_id", "batch_id", "line", "kind", "corrects", "event_source", "event_id", "response_id", "api_key_id",
    "charge_period_start", "recorded_at", "billing_period",
    "environment", "feature", "user_ref", "cost_center", "customer_tier", "session_id", "trace_id", "span_id",
    "parent_span_id", "tags",
    "operation", "provider", "model", "requested_model", "service_tier", "region", "status", "finish_reason",
    "latency_ms", "cache_hit", "prompt_hash", "content_digest",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "other_usage", "calls",
    "pricing_status", "pricing_reason", "currency", "input_cost", "cache_read_cost", "cache_write_cost",
    "output_cost", "other_cost", "billed_cost", "list_cost", "saved_cost", "reported_cost", "rate_version_id",
    "context_tier", "leaf",
)  # fmt: skip
COLUMN_LIST = sql.SQL(", ").join(map(sql.Identifier, ENTRY_COLUMNS))


class EntryIdInvalid(ValueError):
    """Not of the form `<batch_id>.<line>`."""


@dataclass(frozen=True, slots=True)
class EntryCursor:
    """A place in the ledger's order, newest first: what comes after it is older."""

    batch_id: UUID
    line: int

    @classmethod
    def read(cls, text: str) -> "EntryCursor":
        """The place of an entry's public id. Raises EntryIdInvalid."""
        match = ENTRY_ID_PATTERN.fullmatch(text)
        if not match or int(match[2]) > LINE_MAX:
            raise EntryIdInvalid("an entry's id is written <batch_id>.<line>")
        return cls(UUID(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.batch_id}.{self.line}"


def read_entry(row: Sequence[Any]) -> dict[str, Any]:
    entry = dict(zip(ENTRY_COLUMNS, row, strict=True))
    entry["leaf"] = bytes(entry["leaf"]).hex()
    entry["tags"] = json.loads(entry["tags"])
    entry["other_usage"] = json.loads(entry["other_usage"], parse_float=Decimal)
    return {"id": f"{entry['batch_id']}.{entry['line']}", **entry}
