"""What no longer agrees with the ledger, as the nightly comparison found it."""

from alerts.anomalies.watched import Watched
from alerts.core.anomalies import Anomaly, find_difference
from alerts.core.facts import Figure
from alerts.core.findings import Finding
from billing.selectors.watched import TenantReconciliation, list_reconciliations, sum_hours
from ledger.core.entries import PICO


def find_differences(watched: Watched) -> list[Finding]:
    """Tenants whose rollups differed from the ledger at their latest comparison: one statement where none did."""
    wanted = set(watched.list_tenants_for("reconciliation"))
    broken = [one for one in list_reconciliations() if one.differences and one.tenant_id in wanted]
    if not broken:
        return []
    hours = sum_hours(tenant_ids=[one.tenant_id for one in broken])
    return [_describe(one, rollup=int(hours.get(one.tenant_id, 0) * PICO)) for one in broken]


def _describe(one: TenantReconciliation, *, rollup: int) -> Finding:
    difference = int(one.cost_difference * PICO)
    checked = one.checked_at
    verdict = find_difference(check="rollup", cost=rollup, ledger=rollup - difference, when=checked)
    # Tokens or calls may differ where cost does not.
    anomaly = verdict.anomaly or Anomaly(
        "reconciliation", "alert", checked, "cost", rollup, rollup, rollup, rollup, 0, {"check": "rollup"}
    )
    details = (Figure("Groups that differ", f"{one.differences:,}"),)
    return Finding(one.tenant_id, {}, anomaly, details=details)
