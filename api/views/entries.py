"""GET /v1/entries, /v1/entries/{id}: the ledger's rows, newest first, and one row with its explanation and proof."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import (
    BOUNDARY_SCHEMA,
    TEXT_SCHEMA,
    Parameter,
    find_moment,
    make_match_parameters,
    read_boundary,
    read_choice,
    read_query,
    read_text,
    read_uuid,
    read_whole,
)
from api.problems import Problem
from api.renderers import write_money, write_time
from api.schema import describe_call
from billing.explanations import Explanation, explain_entry
from ledger.proofs import check_leaf, check_receipt
from ledger.sealing.proofs import get_head, get_sealed_batch
from ledger.selectors import (
    ENTRIES_PER_PAGE_MAX,
    MATCHED,
    EntryCursor,
    EntryFilters,
    get_entry,
    list_corrections,
    list_entries,
    prove_entry,
)

ENTRIES_PER_PAGE = 100
KINDS = ("usage", "fee", "rating", "correction", "credit", "adjustment", "admin_act")
PRICING_STATUSES = ("priced", "unpriced", "reported")

# A parameter's name, the filter that it sets, and what it means.
TEXT_FILTERS = (
    ("feature", "features", "'' for entries without one, as in every text filter."),
    ("model", "models", "As the provider answered it."),
    ("provider", "providers", ""),
    ("environment", "environments", ""),
    ("cost_center", "cost_centers", ""),
    ("operation", "operations", ""),
    ("service_tier", "service_tiers", ""),
    ("user", "users", "As the events named the user, or a `user_ref`."),
    ("key", "keys", "The public part of an API key."),
    ("status", "statuses", "`ok` or `error`."),
    ("event_id", "event_ids", ""),
    ("response_id", "response_ids", ""),
    ("trace_id", "trace_ids", ""),
    ("session_id", "session_ids", ""),
)
CHOICE_FILTERS = (("pricing_status", "pricing_statuses", PRICING_STATUSES), ("kind", "kinds", KINDS))

MATCHES = make_match_parameters(MATCHED)


def _read_month(text: str) -> date:
    try:
        if len(text) != 7:
            raise ValueError
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ValueError("This is a month, written as 2026-10.") from None


def _read_rate_version(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError("This is the number of a rate version, or ''.")
    return int(text) if text else None


ENTRIES_PARAMETERS = (
    Parameter("from", read_boundary, "Used at or after this time, or day in the tenant's zone.", BOUNDARY_SCHEMA),
    Parameter("to", read_boundary, "Used before this time, or day in the tenant's zone.", BOUNDARY_SCHEMA),
    *(
        Parameter(name, read_text, f"Any of these. {meaning}".strip(), TEXT_SCHEMA, is_repeatable=True)
        for name, _, meaning in TEXT_FILTERS
    ),
    *(
        Parameter(name, read_choice(*words), "Any of these.", {"enum": list(words)}, is_repeatable=True)
        for name, _, words in CHOICE_FILTERS
    ),
    *MATCHES,
    Parameter(
        "billing_period",
        _read_month,
        "Charged in any of these months, as 2026-10.",
        {"type": "string", "pattern": r"^\d{4}-\d\d$"},
        is_repeatable=True,
    ),
    Parameter(
        "rate_version",
        _read_rate_version,
        "Priced by any of these rate versions, by number; '' for entries that name none.",
        {"type": "string", "pattern": r"^\d{0,18}$"},
        is_repeatable=True,
    ),
    Parameter(
        "context_tier",
        read_whole(0, 100),
        "At any of these tiers of its price list; 0 is the base.",
        {"type": "integer", "minimum": 0, "maximum": 100},
        is_repeatable=True,
    ),
    Parameter(
        "cache_hit",
        read_choice("yes", "no"),
        "Whether a cache of responses answered it.",
        {"enum": ["yes", "no"]},
        is_repeatable=True,
    ),
    Parameter(
        "usage",
        read_text,
        "Used any of these quantities, as `output_tokens`, `images`.",
        TEXT_SCHEMA,
        is_repeatable=True,
    ),
    Parameter("batch_id", read_uuid, "Booked by this request.", {"type": "string", "format": "uuid"}),
    Parameter(
        "limit",
        read_whole(1, ENTRIES_PER_PAGE_MAX),
        "Entries on a page.",
        {"type": "integer", "minimum": 1, "maximum": ENTRIES_PER_PAGE_MAX},
        default=ENTRIES_PER_PAGE,
    ),
    Parameter(
        "cursor",
        EntryCursor.read,
        "`next` of the page before.",
        {"type": "string", "pattern": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(0|[1-9][0-9]{0,8})$"},
    ),
)


class Entries(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_entries",
        summary="Ledger rows by filter, newest first",
        description="Order: when they were booked, latest first. `next` is the `cursor` of the following page.",
        tag="reading",
        scope=required_scope,
        parameters=ENTRIES_PARAMETERS,
        answers={200: "Entries"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, ENTRIES_PARAMETERS)
        page = list_entries(
            tenant_id=request.auth.tenant_id,
            filters=_read_filters(values, timezone=request.auth.timezone),
            before=values["cursor"],
            limit=values["limit"],
        )
        return Response({"entries": [write_entry(entry) for entry in page.entries], "next": page.next})


def _read_filters(values: Mapping[str, Any], *, timezone: str) -> EntryFilters:
    lists = {field: values[name] for name, field, _ in (*TEXT_FILTERS, *CHOICE_FILTERS)}
    start, end = (None if values[n] is None else find_moment(values[n], timezone=timezone) for n in ("from", "to"))
    matches = {each.name: values[each.name] for each in MATCHES if values[each.name]}
    return EntryFilters(
        start=start,
        end=end,
        billing_periods=values["billing_period"],
        rate_versions=values["rate_version"],
        context_tiers=values["context_tier"],
        cache_hits=tuple(each == "yes" for each in values["cache_hit"]),
        usages=values["usage"],
        batch_id=values["batch_id"],
        matches=matches,
        **lists,
    )


class Entry(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_entry",
        summary="One ledger row with its explanation and proof status",
        tag="reading",
        scope=required_scope,
        answers={200: "ExplainedEntry"},
        problems=["entry_unknown", "query_invalid"],
    )
    def get(self, request: Request, entry_id: str) -> Response:
        read_query(request.query_params, ())
        tenant_id = request.auth.tenant_id
        entry = get_entry(tenant_id=tenant_id, entry_id=entry_id)
        if entry is None:
            raise Problem("entry_unknown", "No entry of this tenant has this id.")
        explanation = explain_entry(entry=entry)
        return Response(
            {
                "entry": write_entry(entry),
                "explanation": write_explanation(explanation),
                "corrections": [
                    write_entry(correction) for correction in list_corrections(tenant_id=tenant_id, entry=entry)
                ],
                "proof": write_proof(entry, explanation),
            }
        )


def write_explanation(explanation: Explanation) -> dict[str, Any]:
    """Costs with all twelve decimals, prices and quantities as they are written in the rate and in the entry."""
    return {
        "status": explanation.status,
        "reason": explanation.reason,
        "lines": [
            {
                "usage": line.usage,
                "meter": line.meter,
                "quantity": line.quantity,
                "price": f"{line.price:f}",
                "list_price": f"{line.list_price:f}",
                "per": line.per,
                "cost": write_money(line.cost),
                "list_cost": write_money(line.list_cost),
                "column": line.column,
                "formula": line.formula,
                "is_exact": line.is_exact,
                "note": line.note,
            }
            for line in explanation.lines
        ],
        "total": write_money(explanation.total),
        "stored": write_money(explanation.stored),
        "difference": write_money(explanation.difference),
        "differences": {name: write_money(difference) for name, difference in explanation.differences.items()},
        "agrees": explanation.agrees,
        "context_tier": explanation.context_tier,
        "tier": explanation.tier,
        "formula": explanation.formula,
        "rounding": explanation.rounding,
        "rate": write_entry(asdict(explanation.rate)) if explanation.rate else None,
    }


def write_proof(entry: Mapping[str, Any], explanation: Explanation) -> dict[str, Any]:
    """The proof, checked now from what is stored: row to leaf, leaf to root, root to receipt."""
    proof = asdict(prove_entry(tenant_id=entry["tenant_id"], entry=entry))
    receipt = check_receipt(proof["receipt"])
    checks = {
        "row_agrees": check_leaf(entry, rate_version_hash=explanation.rate.content_hash if explanation.rate else ""),
        "path_agrees": proof.pop("is_included"),
        "receipt_agrees": receipt.is_valid if receipt.root == proof["root"] else False,
    }
    seal = write_seal_status(tenant_id=entry["tenant_id"], batch_id=entry["batch_id"])
    good = "sealed" if seal["status"] == "sealed" else "receipted"
    return {"status": "broken" if False in checks.values() else good, **checks, **proof, "seal": seal}


def write_seal_status(*, tenant_id: int, batch_id: UUID) -> dict[str, Any]:
    """Whether a batch is in the tenant's signed tree, without the proof of it."""
    batch = get_sealed_batch(tenant_id=tenant_id, batch_id=batch_id)
    head = get_head(tenant_id=tenant_id) if batch else None
    if batch is None or head is None or head.size <= batch.leaf_index:
        return {"status": "waiting", "leaf_index": None, "checkpoint_size": None}
    return {"status": "sealed", "leaf_index": batch.leaf_index, "checkpoint_size": head.size}


def write_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A stored entry as JSON has it: money and times as text, quantities as numbers."""
    return {name: _write_value(name, value) for name, value in entry.items()}


def _write_value(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return write_money(value)
    if isinstance(value, datetime):
        return write_time(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
