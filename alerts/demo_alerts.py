"""The demo's alert: the spike in its calls, found hour by hour as it would have been, told, looked after and judged.

Nothing leaves the demo: its channels are simulated ones, and what became of their messages is made up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.anomalies.hours import HourWindow, find_spikes
from alerts.anomalies.past import try_on_past
from alerts.anomalies.telling import tell_findings
from alerts.anomalies.watched import Watched
from alerts.channels import create_channel, list_channels
from alerts.core.channels import read_terms
from alerts.deliveries import Claim, claim_tenants_deliveries, finish_delivery
from alerts.episodes import acknowledge_alert, give_feedback, list_standing_alerts
from alerts.senders import SIMULATED, STAYS_HERE, Outcome
from alerts.thresholds import DEFAULT
from tenants.selectors import TenantInfo

ACTOR = "the demo"
RULE = "hourly_spike"
HOUR = timedelta(hours=1)
DAYS_LOOKED_AT, HOURS_WATCHED = 14, 20  # at most: a spike and its quiet
FOUND_AFTER = timedelta(minutes=6)  # the end of an hour
ANSWERED_AFTER = timedelta(milliseconds=310)
BUSY = Outcome("failed", 503, "simulated: the receiver was busy")
CHANNELS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "acme": (
        {"name": "Finance by mail", "kind": "email", "settings": {"to": ["finance@acme.example"]}, "severity_min":
         "warning"},
        {"name": "#llm-cost", "kind": "slack", "settings": {"url": "https://hooks.slack.example/services/demo"},
         "severity_min": "warning"},
    ),
}  # fmt: skip
SEEN, JUDGED = "An agent retries a failing test in a loop; its owner stops it.", "Retries are capped from now on."


def seed_alerts(*, tenant: TenantInfo, now: datetime) -> int:
    """Make a demo tenant's channels and the episode of its largest spike of two weeks, once; how many alerts."""
    wanted = CHANNELS.get(tenant.slug, ())
    if not wanted or list_channels(tenant_id=tenant.id):
        return 0
    past = try_on_past(DEFAULT, tenant_id=tenant.id, days=DAYS_LOOKED_AT, now=now)
    spikes = [one for one in past if one.kind == RULE and one.start + HOURS_WATCHED * HOUR < now]
    if not spikes:
        return 0
    start = max(spikes, key=lambda one: one.impact).start.astimezone(UTC)
    made = {_make_channel(one, tenant=tenant, now=start - timedelta(days=1)) for one in wanted}
    watched, opened = Watched({tenant.id: tenant}, {}, {}), 0
    for number in range(HOURS_WATCHED):
        end = start + (number + 1) * HOUR
        findings = find_spikes(watched, HourWindow(end - HOUR, end))
        told = tell_findings(findings, judged={RULE: {tenant.id: end}}, now=end + FOUND_AFTER)
        opened += told.opened
        if number == 1:
            _look_after(tenant, now=end + 3 * FOUND_AFTER)
        for later in (2, 13):  # seconds: what did not arrive is tried again
            _deliver(tenant, made, now=end + FOUND_AFTER + timedelta(seconds=later))
        if told.resolved:
            break
    return opened


def _make_channel(wanted: Mapping[str, Any], *, tenant: TenantInfo, now: datetime) -> int:
    terms = read_terms(wanted)
    simulated = replace(terms, settings={**terms.settings, SIMULATED: True})
    return create_channel(simulated, tenant_id=tenant.id, actor=ACTOR, now=now)[0].id


def _look_after(tenant: TenantInfo, *, now: datetime) -> None:
    """Somebody sees it, and says later that it was right."""
    for alert in list_standing_alerts(tenant_id=tenant.id, rules=[RULE]):
        named = {"tenant_id": tenant.id, "alert_id": alert.id, "actor": ACTOR}
        acknowledge_alert(**named, comment=SEEN, now=now)
        give_feedback(**named, feedback="real", comment=JUDGED, now=now + HOUR)


def _deliver(tenant: TenantInfo, channel_ids: set[int], *, now: datetime) -> None:
    for claim in claim_tenants_deliveries(tenant_id=tenant.id, now=now, limit=len(channel_ids)):
        if claim.channel_id in channel_ids:
            finish_delivery(claim, _answer(claim), begun=now, now=now + ANSWERED_AFTER)


def _answer(claim: Claim) -> Outcome:
    """The first message finds its receiver busy, once."""
    return BUSY if claim.channel_kind == "slack" and claim.kind == "opened" and claim.number == 1 else STAYS_HERE
