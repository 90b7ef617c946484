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
from ledger.selectors import (
    ENTRIES_PER_PAGE_MAX,
    EntryCursor,
    EntryFilters,
    get_entry,
    list_corrections,
    list_entries,
    prove_entry,
)

ENTRIES_PER_PAGE = 100
KINDS = ("usage", "fee", "rating", "correction", "credit", "admin_act")
PRICING_STATUSES = ("priced", "unpriced", "reported")

# A parameter's name, the filter that it sets, and what it means.
TEXT_FILTERS = (
    ("feature", "features", "'' for entries without one, as in every text filter."),
    ("model", "models", "As the provider answered it."),
    ("provider", "providers", ""),
    ("environment", "environments", ""),
    ("cost_center", "cost_centers", ""),
    ("operation", "operations", ""),
    ("user", "users", "As the events named the user, or a `user_ref`."),
    ("key", "keys", "The public part of an API key."),
    ("status", "statuses", "`ok` or `error`."),
    ("event_id", "event_ids", ""),
    ("response_id", "response_ids", ""),
    ("trace_id", "trace_ids", ""),
    ("session_id", "session_ids", ""),
)
CHOICE_FILTERS = (("pricing_status", "pricing_statuses", PRICING_STATUSES), ("kind", "kinds", KINDS))

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
    return EntryFilters(start=start, end=end, batch_id=values["batch_id"], **lists)


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
        proof = asdict(prove_entry(tenant_id=tenant_id, entry=entry))
        return Response(
            {
                "entry": write_entry(entry),
                "corrections": [
                    write_entry(correction) for correction in list_corrections(tenant_id=tenant_id, entry=entry)
                ],
                "proof": {"status": "receipted" if proof.pop("is_included") else "broken", **proof},
            }
        )


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
