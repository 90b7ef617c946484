"""Where other apps read what was spent: rollups and the batches that still wait, in one snapshot."""

from billing.selectors.changes import (
    CHANGE_KINDS,
    CHANGE_STEPS,
    CostChange,
    CostChanges,
    add_up_changes,
    get_cost_changes,
)
from billing.selectors.costs import (
    DIMENSIONS,
    ROWS_MAX,
    BilledCost,
    BilledCosts,
    CostQuery,
    CostRow,
    Costs,
    Quantities,
    QueryRefused,
    TenantCosts,
    get_billed_costs,
    get_costs,
    sum_costs_by_tenant,
)
from billing.selectors.coverage import Coverage, UnpricedModel, get_coverage, list_unpriced_models
from billing.selectors.dimensions import list_dimension_values
from billing.selectors.intake import IntakeRow, TenantIntake, get_intake, sum_intake_by_tenant
from billing.selectors.percentiles import MEASURES, PercentilesBy, get_percentiles, get_percentiles_by
from billing.selectors.rates import RateInForce, list_rates_in_force
from billing.selectors.scopes import (
    ScopeCost,
    ScopesQuery,
    list_scope_costs,
    list_scope_costs_of_tenants,
    list_top_values,
)
from billing.selectors.state import (
    LastReconciliation,
    RollupLag,
    get_heartbeat,
    get_last_reconciliation,
    get_rollup_lag,
)
from billing.selectors.trace_costs import TRACE_ORDERS, TraceLine, TracePage, TraceQuery, TraceSums, list_traces
from billing.selectors.traces import Trace, TraceSpan, get_trace
from billing.selectors.users import UsersBy, count_users_by

__all__ = [
    "CHANGE_KINDS",
    "CHANGE_STEPS",
    "DIMENSIONS",
    "MEASURES",
    "ROWS_MAX",
    "TRACE_ORDERS",
    "BilledCost",
    "BilledCosts",
    "CostChange",
    "CostChanges",
    "CostQuery",
    "CostRow",
    "Costs",
    "Coverage",
    "IntakeRow",
    "LastReconciliation",
    "PercentilesBy",
    "Quantities",
    "QueryRefused",
    "RateInForce",
    "RollupLag",
    "ScopeCost",
    "ScopesQuery",
    "TenantCosts",
    "TenantIntake",
    "Trace",
    "TraceLine",
    "TracePage",
    "TraceQuery",
    "TraceSpan",
    "TraceSums",
    "UnpricedModel",
    "UsersBy",
    "add_up_changes",
    "count_users_by",
    "get_cost_changes",
    "get_billed_costs",
    "get_costs",
    "get_coverage",
    "get_heartbeat",
    "get_intake",
    "get_last_reconciliation",
    "get_percentiles",
    "get_percentiles_by",
    "get_rollup_lag",
    "get_trace",
    "list_dimension_values",
    "list_rates_in_force",
    "list_scope_costs",
    "list_scope_costs_of_tenants",
    "list_top_values",
    "list_traces",
    "list_unpriced_models",
    "sum_costs_by_tenant",
    "sum_intake_by_tenant",
]
