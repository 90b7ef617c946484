"""What is watched of every tenant at once, for the jobs that look for what is out of the ordinary.

Each is one statement whatever the number of tenants, read as one who sees them all, and from the rollups alone: a batch
that still waits is seen at the next run.
"""

from billing.selectors.watched.calls import (
    HeaviestCall,
    LargestCall,
    UnpricedCalls,
    get_largest_call,
    list_heaviest_calls,
    list_unpriced_calls,
)
from billing.selectors.watched.minutes import BusyMinute, UserHour, list_busy_minutes, list_dear_users, list_usual_calls
from billing.selectors.watched.prices import ModelUse, list_model_use, list_providers_with_new_rates
from billing.selectors.watched.reconciliations import TenantReconciliation, list_reconciliations, sum_hours
from billing.selectors.watched.series import (
    SERIES,
    CostSeries,
    Owner,
    list_day_series,
    list_first_hours,
    list_hour_series,
)
from billing.selectors.watched.sources import (
    NewValue,
    SourcePauses,
    list_new_users,
    list_new_values,
    list_source_pauses,
)

__all__ = [
    "BusyMinute", "CostSeries", "HeaviestCall", "LargestCall", "ModelUse", "NewValue", "Owner", "SERIES",
    "SourcePauses", "TenantReconciliation", "UnpricedCalls", "UserHour", "get_largest_call", "list_busy_minutes",
    "list_day_series", "list_dear_users", "list_first_hours", "list_heaviest_calls", "list_hour_series",
    "list_model_use", "list_new_users", "list_new_values", "list_providers_with_new_rates", "list_reconciliations",
    "list_source_pauses", "list_unpriced_calls", "list_usual_calls", "sum_hours",
]  # fmt: skip
