"""The bodies that are read and answered, as JSON Schema: what `/v1/schema` says and the tests hold answers against."""

from collections.abc import Iterable, Mapping
from typing import Any

from api.act_shapes import ACT_COMPONENTS
from api.alert_shapes import ALERT_COMPONENTS
from api.bill_shapes import BILL_COMPONENTS
from api.booking_shapes import BOOKING_COMPONENTS
from api.budget_shapes import BUDGET_COMPONENTS
from api.chargeback_shapes import CHARGEBACK_COMPONENTS
from api.content_shapes import CONTENT_COMPONENTS
from api.export_shapes import EXPORT_COMPONENTS
from api.forecast_shapes import FORECAST_COMPONENTS
from api.mapping_shapes import MAPPING_COMPONENTS
from api.period_shapes import PERIOD_COMPONENTS
from api.problems import PROBLEM_TYPES
from api.quota_shapes import QUOTA_COMPONENTS
from api.rate_shapes import RATE_COMPONENTS, RATE_STATES
from api.report_shapes import REPORT_COMPONENTS
from api.seal_shapes import SEAL_COMPONENTS
from api.watch_shapes import WATCH_COMPONENTS
from billing.core.drivers import NAME_LENGTH_MAX
from billing.selectors import CHANGE_KINDS, CHANGE_STEPS, DIMENSIONS
from billing.selectors.traces import TOKEN_COLUMNS
from ledger.selectors import ENTRIES_PER_PAGE_MAX
from tenants.models import SCOPES

Schema = Mapping[str, Any]

PERIODS_PER_QUESTION_MAX = 2_500  # of GET /v1/costs


def refer(name: str) -> Schema:
    """A reference to one of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


def describe_object(
    properties: Mapping[str, Schema], *, optional: Iterable[str] = (), is_open: bool = False, description: str = ""
) -> dict[str, Any]:
    """An object with these members and no others, unless `is_open`; all required but the `optional`."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in set(optional)],
    }
    if not is_open:
        schema["additionalProperties"] = False
    return schema | ({"description": description} if description else {})


def list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
DECIMAL: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
UUID: Schema = {"type": "string", "format": "uuid"}
MONEY, TIME = refer("Money"), refer("Time")

USAGE_COLUMNS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip
COST_COLUMNS = ("input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost",
                "list_cost", "saved_cost", "reported_cost")  # fmt: skip
TEXT_COLUMNS = (
    "event_source", "event_id", "response_id", "api_key_id", "environment", "feature", "user_ref", "cost_center",
    "customer_tier", "session_id", "trace_id", "span_id", "parent_span_id", "operation", "provider", "model",
    "requested_model", "service_tier", "region", "status", "finish_reason", "prompt_hash", "content_digest",
    "pricing_reason", "currency",
)  # fmt: skip

ENTRY = describe_object(
    {
        "id": {"type": "string", "description": "`<batch_id>.<line>`"},
        "tenant_id": COUNT,
        "batch_id": UUID,
        "line": COUNT,
        "kind": {"enum": ["usage", "fee", "rating", "correction", "credit", "adjustment", "admin_act"]},
        "corrects": or_null({"type": "string", "description": "The id of the entry that this one corrects."}),
        "charge_period_start": TIME,
        "recorded_at": TIME,
        "billing_period": {"type": "string", "format": "date"},
        **dict.fromkeys(TEXT_COLUMNS, TEXT),
        "tags": {"type": "object", "additionalProperties": TEXT},
        "latency_ms": or_null(COUNT),
        "cache_hit": FLAG,
        **dict.fromkeys(USAGE_COLUMNS, COUNT),
        "other_usage": {"type": "object", "additionalProperties": {"type": "number"}},
        "calls": COUNT,
        "pricing_status": {"enum": ["priced", "unpriced", "reported"]},
        **dict.fromkeys(COST_COLUMNS, or_null(MONEY)),
        "rate_version_id": or_null(COUNT),
        "context_tier": COUNT,
        "leaf": HASH,
    },
    description="One row of the ledger, in its own column names. Token counts are disjoint, but for "
    "`reasoning_tokens`, a part of `output_tokens`. The costs are null while the entry is unpriced.",
)
QUANTITIES: Mapping[str, Schema] = {
    "events": COUNT,
    "unpriced_events": COUNT,
    "error_events": COUNT,
    **dict.fromkeys(USAGE_COLUMNS, COUNT),
    **dict.fromkeys(COST_COLUMNS, MONEY),
}
COVERAGE = describe_object(
    {"priced": COUNT, "unpriced": COUNT},
    description="Events whose cost is in the totals, and events whose cost is not known and therefore is not.",
)
COST_ROW = describe_object(
    {"period_start": or_null(TIME), **dict.fromkeys(DIMENSIONS, TEXT), **QUANTITIES},
    optional=DIMENSIONS,
    description="Holds each dimension of `group_by`; '' stands for events that say nothing.",
)
COSTS = describe_object(
    {
        "from": TIME,
        "to": TIME,
        "granularity": TEXT,
        "timezone": TEXT,
        "group_by": list_of(TEXT),
        "rows": list_of(refer("CostRow")),
        "totals": refer("Totals"),
        "coverage": refer("Coverage"),
        "currency": TEXT,
        "complete_to": TIME,
        "previous": describe_object(
            {
                "from": TIME,
                "to": TIME,
                "rows": list_of(refer("CostRow")),
                "totals": refer("Totals"),
                "coverage": refer("Coverage"),
            }
        ),
    },
    optional=["previous"],
)
STEPS = describe_object(
    dict.fromkeys(CHANGE_STEPS, MONEY),
    description="From the cost before to the cost after; together they are the difference. `docs/api.md` says what "
    "each counts.",
)
COST_CHANGE = describe_object(
    {
        **dict.fromkeys(CHANGE_KINDS, TEXT),
        "before": refer("Totals"),
        "after": refer("Totals"),
        "difference": MONEY,
        "steps": refer("Steps"),
    },
    optional=CHANGE_KINDS,
)
COST_CHANGES = describe_object(
    {
        "from": TIME,
        "to": TIME,
        "compare_from": TIME,
        "compare_to": TIME,
        "timezone": TEXT,
        "group_by": list_of(TEXT),
        "rows": list_of(refer("CostChange")),
        "totals": refer("CostChange"),
        "currency": TEXT,
        "complete_to": TIME,
    }
)
ENTRIES = describe_object(
    {
        "entries": {"type": "array", "items": refer("Entry"), "maxItems": ENTRIES_PER_PAGE_MAX},
        "next": or_null({"type": "string", "description": "The `cursor` of the next page; null on the last one."}),
    }
)
PROOF = describe_object(
    {
        "status": {"enum": ["sealed", "receipted", "broken"]},
        "row_agrees": FLAG,
        "path_agrees": FLAG,
        "receipt_agrees": or_null(FLAG),
        "leaf": HASH,
        "leaf_index": COUNT,
        "tree_size": COUNT,
        "path": list_of(HASH),
        "root": HASH,
        "receipt": {"type": "string", "description": "JWS, EdDSA, over the batch's header with this root."},
        "seal": describe_object(
            {
                "status": {"enum": ["sealed", "waiting"]},
                "leaf_index": or_null(COUNT),
                "checkpoint_size": or_null(COUNT),
            },
            description="The batch's place in the tenant's tree, and the size of the newest checkpoint over it.",
        ),
    },
    description="That the entry is in the batch whose receipt was signed when it was booked (RFC 9162, 2.1.3).",
)
EXPLANATION_LINE = describe_object(
    {
        "usage": TEXT,
        "meter": TEXT,
        "quantity": {"type": "number"},
        "price": DECIMAL,
        "list_price": DECIMAL,
        "per": COUNT,
        "cost": MONEY,
        "list_cost": MONEY,
        "column": TEXT,
        "formula": TEXT,
        "is_exact": FLAG,
        "note": TEXT,
    },
    description="`quantity` × `price` / `per` = `cost`, which is part of the entry's `column`.",
)
RATE_SUMMARY = describe_object(
    {
        "id": COUNT,
        **dict.fromkeys(("name", "match", "conditions"), TEXT),
        "effective_from": or_null(TIME),
        "effective_to": or_null(TIME),
        **dict.fromkeys(("state", "origin"), TEXT),
        "source": {"type": "object", "additionalProperties": TEXT},
        **dict.fromkeys(("created_by", "approved_by"), TEXT),
        "published_at": or_null(TIME),
        "content_hash": HASH,
        "is_intact": FLAG,
    }
)
EXPLANATION = describe_object(
    {
        "status": TEXT,
        "reason": TEXT,
        "lines": list_of(EXPLANATION_LINE),
        **dict.fromkeys(("total", "stored", "difference"), or_null(MONEY)),
        "differences": {"type": "object", "additionalProperties": MONEY},
        "agrees": FLAG,
        "context_tier": COUNT,
        **dict.fromkeys(("tier", "formula", "rounding"), TEXT),
        "rate": or_null(RATE_SUMMARY),
    },
    description="The entry's cost computed again from its rate version. `difference` is what is stored less that.",
)
TRACE_SPAN = describe_object(
    {
        **dict.fromkeys(("span_id", "parent_span_id", "name", "operation", "service", "provider", "model"), TEXT),
        "started_at": TIME,
        "duration_ms": or_null({"type": "number", "minimum": 0}),
        "status": {"enum": ["ok", "error"]},
        "billing": {"enum": ["booked", "waiting", "inside", "refused", "other"]},
        **dict.fromkeys(TOKEN_COLUMNS, {"type": "integer"}),
        "billed_cost": or_null(MONEY),
        "unpriced": COUNT,
        "entries": list_of(TEXT),
    },
    description="`inside`: another span of the trace says the same usage, and is billed. Tokens are disjoint, as in "
    "the ledger. `billed_cost` is null where nothing was booked for the span, or nothing of it has a price.",
)
TRACE = describe_object(
    {
        "trace_id": TEXT,
        "complete": FLAG,
        "billed_cost": MONEY,
        "unpriced": COUNT,
        "currency": TEXT,
        "spans": list_of(TRACE_SPAN),
    }
)
RATES = describe_object(
    {
        "rates": list_of({"type": "object", "description": "A rate as docs/rates.md writes it."}),
        "versions": list_of(
            describe_object(
                {
                    "id": COUNT,
                    "state": {"enum": list(RATE_STATES)},
                    "content_hash": HASH,
                    "origin": TEXT,
                    "published_at": or_null(TIME),
                }
            )
        ),
        "next": or_null(TEXT),
    }
)
EXPLAINED_ENTRY = describe_object(
    {
        "entry": refer("Entry"),
        "explanation": refer("Explanation"),
        "corrections": list_of(refer("Entry")),
        "proof": refer("Proof"),
    }
)
PROBLEM = describe_object(
    {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "code": {"enum": list(PROBLEM_TYPES)},
        "problems": list_of(
            describe_object({"field": TEXT, "code": TEXT, "detail": TEXT}, optional=["code"], is_open=True)
        ),
        "request_id": TEXT,
        "retry_safe": FLAG,
    },
    optional=["problems", "request_id", "retry_safe"],
    is_open=True,
    description="RFC 9457. `code` is stable; `problems` names everything that is wrong with the input at once.",
)
RATES_PER_SECOND: Schema = {
    "type": "object",
    "description": "By `requests`, `bytes` and `events`.",
    "additionalProperties": describe_object({"per_second": COUNT, "burst": COUNT}),
}
ME = describe_object(
    {
        "key": describe_object({"id": TEXT, "name": TEXT}),
        "tenant": describe_object({"slug": TEXT, "timezone": TEXT}),
        "is_operator": FLAG,
        "scopes": list_of({"enum": list(SCOPES)}),
        "limits": {
            "type": "object",
            "description": "Of one request; and over time, of the tenant and, where it has its own, of the key.",
            "properties": {"tenant": RATES_PER_SECOND, "key": RATES_PER_SECOND},
            "required": ["tenant", "key"],
            "additionalProperties": COUNT,
        },
    }
)
QUANTITY: Schema = {"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,6})?$"}
DAY: Schema = {"type": "string", "format": "date"}
DRIVER_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX}
DRIVER = describe_object(
    {
        "name": DRIVER_NAME | {"description": "What is counted, such as orders."},
        "day": DAY | {"description": "Of the tenant's time zone."},
        "quantity": {"anyOf": [{"type": "number", "minimum": 0}, QUANTITY], "description": "At most six decimals."},
    }
) | {"example": {"name": "orders", "day": "2026-11-03", "quantity": 1250}}
DRIVERS = describe_object(
    {
        "drivers": list_of(
            describe_object(
                {"name": TEXT, "day": DAY, "quantity": QUANTITY, "kept_by": TEXT, "kept_at": TIME},
                description="kept_by: a key or a person, by number.",
            )
        )
    }
)
KEPT_DRIVERS = describe_object({"kept": COUNT, "unchanged": COUNT})
HEALTH = describe_object({"status": {"const": "alive"}})
CHECK = describe_object({"state": {"enum": ["ok", "degraded", "failed"]}, "detail": TEXT})
READINESS = describe_object(
    {
        "status": {"enum": ["ok", "degraded", "failed"]},
        "checks": {"type": "object", "additionalProperties": refer("Check")},
    },
    optional=["checks"],
)

COMPONENTS: Mapping[str, Schema] = {
    **BOOKING_COMPONENTS,
    **CONTENT_COMPONENTS,
    "Money": {
        "type": "string",
        "pattern": r"^-?[0-9]+\.[0-9]{12}$",
        "description": "A decimal with all twelve decimals of the ledger.",
    },
    "Time": {
        "type": "string",
        "format": "date-time",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
        "description": "RFC 3339, UTC, with six decimals.",
    },
    "Problem": PROBLEM,
    "Entry": ENTRY,
    "Entries": ENTRIES,
    "Proof": PROOF,
    "ExplainedEntry": EXPLAINED_ENTRY,
    "Explanation": EXPLANATION,
    "Rates": RATES,
    **ACT_COMPONENTS,
    **ALERT_COMPONENTS,
    **BILL_COMPONENTS,
    **BUDGET_COMPONENTS,
    **MAPPING_COMPONENTS,
    **CHARGEBACK_COMPONENTS,
    **EXPORT_COMPONENTS,
    **FORECAST_COMPONENTS,
    **PERIOD_COMPONENTS,
    **QUOTA_COMPONENTS,
    **RATE_COMPONENTS,
    **REPORT_COMPONENTS,
    **SEAL_COMPONENTS,
    **WATCH_COMPONENTS,
    "Trace": TRACE,
    "Coverage": COVERAGE,
    "CostRow": COST_ROW,
    "Steps": STEPS,
    "Totals": describe_object(QUANTITIES),
    "Costs": COSTS,
    "CostChange": COST_CHANGE,
    "CostChanges": COST_CHANGES,
    "Driver": DRIVER,
    "Drivers": DRIVERS,
    "KeptDrivers": KEPT_DRIVERS,
    "Me": ME,
    "Health": HEALTH,
    "Check": CHECK,
    "Readiness": READINESS,
}
