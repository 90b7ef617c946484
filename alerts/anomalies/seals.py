"""What the sealer refuses, and entries that wait too long for their seal: told to the operator."""

from datetime import datetime

from alerts.anomalies.telling import Told, tell_findings
from alerts.core.anomalies import Anomaly, find_unsealed
from alerts.core.facts import Figure
from alerts.core.findings import Finding
from ledger.sealing.alarms import NOBODY, Alarm, list_alarms
from ledger.selectors import measure_outbox
from ledger.topics import SEAL
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant, get_tenant_by_id

RULE = "reconciliation"


def watch_seals(*, now: datetime) -> Told:
    """One alert of the operator's for as long as anything is refused, and one of the same for what waits."""
    operator = get_tenant(OPERATOR_SLUG)
    assert operator is not None, "made by the first migration"
    findings = [_describe(alarm, operator_id=operator.id) for alarm in list_alarms()]
    oldest = next((work.oldest_at for work in measure_outbox() if work.topic == SEAL), None)
    if anomaly := find_unsealed(unsealed_since=oldest, now=now).anomaly:
        findings.append(Finding(operator.id, {}, anomaly))
    return tell_findings(findings, judged={RULE: {operator.id: now}}, now=now)


def _describe(alarm: Alarm, *, operator_id: int) -> Finding:
    tenant = get_tenant_by_id(alarm.tenant_id) if alarm.tenant_id != NOBODY else None
    subject = f"{tenant.slug}, {alarm.subject}" if tenant else alarm.subject
    facts = {"check": "seal", "refused": f"{subject}: {alarm.detail}"}
    anomaly = Anomaly(RULE, "alert", alarm.raised_at, "seconds", 0, 0, 0, 0, 0, facts)
    return Finding(operator_id, {}, anomaly, details=(Figure("Refused", subject),))
