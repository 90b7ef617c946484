"""Every route, enumerated from the URLconf: as *globex*, with *acme*'s own ids in hand, nothing of *acme*'s shows.

A route that `ROUTES` does not name fails the test, so a new page says here which ids it takes.
"""

import io
import json
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from alerts.budgets import create_budget
from alerts.channels import create_channel
from alerts.core.budget_terms import read_terms
from alerts.core.channels import read_terms as read_channel_terms
from alerts.episodes import open_alert
from alerts.inbox import list_deliveries
from billing.core.drivers import DriverValue
from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, RuleTerms
from billing.core.rate_documents import read_rates
from billing.cost_centers import create_cost_center
from billing.drivers import keep_drivers
from billing.ingestion import RejectedItem, ingest_events
from billing.mapping import add_rule
from billing.periods import review_month
from billing.rates import publish_rates
from billing.reratings import cancel_job, start_reallocation
from billing.rollups import apply_batches
from chargeback.bills import import_bill
from chargeback.core.export_targets import read_terms as read_target_terms
from chargeback.core.reports.terms import read_terms as read_subscription_terms
from chargeback.core.rule_terms import read_charge
from chargeback.exports.targets import add_target
from chargeback.reports.subscriptions import subscribe
from chargeback.rules import create_rule
from content.contents import change_retention, keep_content
from content.core.messages import Message
from dashboards.access import find_seat
from dashboards.saved_views import save_view
from ledger.rejected import list_rejected
from ledger.sealing.proofs import get_head
from ledger.sealing.rounds import seal_round
from ledger.selectors import EntryFilters, list_entries
from tenants.keys import revoke_api_key
from tenants.models import User
from tenants.people import create_user
from tenants.scope import tenant_scope
from tests.factories import RATES_DOCUMENT, make_event, make_key, make_tenant, make_wire_event, publish_test_rates

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NUMBERS = (
    "bill_id",
    "budget_id",
    "alert_id",
    "channel_id",
    "target_id",
    "subscription_id",
    "sealed",
    "center_id",
    "rule_id",
    "job_id",
)  # which stand in every page without being told there
NOBODYS_BATCH = "019a8f00-0000-7000-8000-000000000001"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Route:
    """How *globex* would ask for what is *acme*'s.

    path: with {placeholders} of the world. queries: what else to try; each is sent alone. scope: of a key. is_open:
    answers anybody, and holds nothing of a tenant's. operators_only: a page that a tenant's people do not get.
    shows: answers *acme* itself with something that *globex* must not see.
    """

    path: str
    queries: tuple[str, ...] = ()
    scope: str | None = None
    is_open: bool = False
    operators_only: bool = False
    method: str = "GET"
    shows: bool = True


EVERY_FILTER = (
    "feature={feature}", "user={user}", "key={key_id}", "batch_id={batch_id}", "event_id={event_id}",
    "response_id={response_id}", "trace_id={trace_id}", "cursor={entry_id}", "from=2000-01-01",
)  # fmt: skip
THIS_MONTH = f"{datetime.now(UTC):%Y-%m}"
COSTS = "from=2026-01-01&to=2027-01-01&granularity=month"
MONTH = f"{datetime.now(UTC):%Y-%m}"  # in which the world is booked
MACHINE_ROUTES = {
    "v1/events": Route("/v1/events", scope="ingest", method="POST", shows=False),
    "v1/traces": Route("/v1/traces", scope="ingest", method="POST", shows=False),
    "v1/traces/<str:trace_id>": Route("/v1/traces/{trace_id}", scope="read"),
    "v1/metrics": Route("/v1/metrics", scope="ingest", method="POST", shows=False),
    "v1/logs": Route("/v1/logs", scope="ingest", method="POST", shows=False),
    "v1/rejected": Route("/v1/rejected", ("cursor={rejected_id}", "limit=500"), scope="read"),
    "v1/rejected/<uuid:rejected_id>/replay": Route(
        "/v1/rejected/{rejected_id}/replay", scope="ingest", method="POST", shows=False
    ),
    "v1/content": Route("/v1/content", scope="ingest", method="POST", shows=False),
    "v1/content/<str:digest>": Route("/v1/content/{content_digest}", scope="admin"),
    "v1/costs": Route(
        "/v1/costs",
        (
            COSTS,
            f"{COSTS}&group_by=feature&group_by=model&group_by=key",
            f"{COSTS}&group_by=user",
            f"{COSTS}&feature={{feature}}",
            f"{COSTS}&key={{key_id}}",
            f"{COSTS}&user={{user}}",
        ),
        scope="read",
    ),
    "v1/costs/changes": Route(
        "/v1/costs/changes",
        (
            "from=2026-01-01&to=2027-01-01&group_by=feature&group_by=model",
            "from=2027-01-01&to=2028-01-01&feature={feature}",
        ),
        scope="read",
    ),
    "v1/drivers": Route(
        "/v1/drivers", ("from=2026-01-01&to=2026-12-31", "from=2026-01-01&to=2026-12-31&name=acme-orders"), scope="read"
    ),
    "v1/periods": Route("/v1/periods", scope="read"),
    "v1/periods/<str:period>/<str:step>": Route(
        "/v1/periods/2026-10/review", scope="admin", method="POST", shows=False
    ),
    "v1/adjustments": Route("/v1/adjustments", scope="admin", method="POST", shows=False),
    "v1/chargeback": Route(
        "/v1/chargeback", (f"period={THIS_MONTH}", f"period={THIS_MONTH}&cost_center=acme-cost-center"), scope="read"
    ),
    "v1/chargeback/currency": Route("/v1/chargeback/currency", ("period=2026-11",), scope="read", shows=False),
    "v1/chargeback/rules/<str:family>": Route("/v1/chargeback/rules/charge", ("versions=all",), scope="read"),
    "v1/chargeback/rules/<str:family>/try": Route(
        "/v1/chargeback/rules/charge/try", scope="read", method="POST", shows=False
    ),
    "v1/chargeback/rules/<str:family>/<int:rule_id>": Route("/v1/chargeback/rules/charge/1", scope="read"),
    "v1/fx-rates": Route("/v1/fx-rates", ("from=2026-01-01&to=2026-12-31",), scope="read", shows=False),
    "v1/anomalies": Route("/v1/anomalies", ("kind=new", "state=open", "cursor=99999999"), scope="read", shows=False),
    "v1/watch-settings": Route("/v1/watch-settings", scope="read", shows=False),
    "v1/cost-centers": Route("/v1/cost-centers", scope="read"),
    "v1/cost-centers/<int:center_id>": Route("/v1/cost-centers/{center_id}", scope="read"),
    "v1/mapping-rules": Route("/v1/mapping-rules", scope="read"),
    "v1/mapping-rules/try": Route("/v1/mapping-rules/try", scope="read", method="POST", shows=False),
    "v1/mapping-rules/<int:rule_id>": Route("/v1/mapping-rules/{rule_id}", scope="read"),
    "v1/mapping-rules/<int:rule_id>/<str:step>": Route(
        "/v1/mapping-rules/{rule_id}/end", scope="admin", method="POST", shows=False
    ),
    "v1/re-allocations": Route("/v1/re-allocations", scope="read"),
    "v1/re-allocations/<int:job_id>": Route("/v1/re-allocations/{job_id}", scope="read"),
    "v1/re-allocations/<int:job_id>/<str:step>": Route(
        "/v1/re-allocations/{job_id}/cancel", scope="admin", method="POST", shows=False
    ),
    "v1/forecast": Route("/v1/forecast", ("feature={feature}",), scope="read"),
    "v1/forecast/runs": Route("/v1/forecast/runs", ("from=2026-01-01&to=2026-12-31",), scope="read", shows=False),
    "v1/forecast/events": Route("/v1/forecast/events", scope="admin", method="POST", shows=False),
    "v1/forecast/events/<int:event_id>": Route("/v1/forecast/events/1", scope="admin", method="DELETE", shows=False),
    "v1/entries": Route("/v1/entries", EVERY_FILTER, scope="read"),
    "v1/entries/<str:entry_id>": Route("/v1/entries/{entry_id}", scope="read"),
    "v1/audit/statement": Route(
        "/v1/audit/statement",
        tuple(f"period={THIS_MONTH}&format={name}" for name in ("csv", "jsonl", "focus&view=provider")),
        scope="audit",
    ),
    "v1/audit/log": Route("/v1/audit/log", ("name=budget", "limit=500", "actor=person 1"), scope="audit"),
    "v1/audit/checkpoint": Route("/v1/audit/checkpoint", scope="audit"),
    "v1/audit/bundle": Route("/v1/audit/bundle", (f"period={THIS_MONTH}",), scope="audit", shows=False),
    "v1/audit/entries": Route("/v1/audit/entries", (f"period={THIS_MONTH}",), scope="audit"),
    "v1/audit/exports": Route(f"/v1/audit/exports?period={MONTH}", scope="audit", method="POST", shows=False),
    "v1/audit/exports/<str:export_id>": Route(f"/v1/audit/exports/{MONTH}-bundle", scope="audit", shows=False),
    "v1/audit/exports/<str:export_id>/file": Route(
        f"/v1/audit/exports/{MONTH}-bundle/file", scope="audit", shows=False
    ),
    "v1/audit/verifier": Route("/v1/audit/verifier", is_open=True),
    "v1/audit/checkpoint/<int:size>": Route("/v1/audit/checkpoint/{sealed}", scope="audit"),
    "v1/audit/consistency": Route("/v1/audit/consistency", ("from={sealed}",), scope="audit"),
    "v1/audit/proof/<str:entry_id>": Route("/v1/audit/proof/{entry_id}", ("size={sealed}",), scope="audit"),
    "v1/audit/receipt/<uuid:batch_id>": Route("/v1/audit/receipt/{batch_id}", ("size={sealed}",), scope="audit"),
    "v1/log/checkpoint": Route("/v1/log/checkpoint", is_open=True),
    "v1/log/consistency": Route("/v1/log/consistency?from=1", is_open=True),
    "v1/rates": Route("/v1/rates", ("provider=acme-provider", "model=acme-agreed-model", "limit=1000"), scope="any"),
    "v1/rates/examination": Route("/v1/rates/examination", scope="any", method="POST", shows=False),
    "v1/rates/jobs/<int:job_id>": Route("/v1/rates/jobs/1", scope="admin", shows=False),
    "v1/rates/jobs/<int:job_id>/<str:step>": Route("/v1/rates/jobs/1/pause", scope="admin", method="POST", shows=False),
    "v1/rates/<int:rate_id>": Route("/v1/rates/1", scope="any", shows=False),
    "v1/rates/<int:rate_id>/previews": Route("/v1/rates/1/previews", scope="admin", method="POST", shows=False),
    "v1/rates/<int:rate_id>/reratings": Route("/v1/rates/1/reratings", scope="admin", method="POST", shows=False),
    "v1/rates/<int:rate_id>/<str:step>": Route("/v1/rates/1/approve", scope="admin", method="POST", shows=False),
    "v1/alerts": Route("/v1/alerts", ("limit=500", "cursor={alert_id}", "budget={budget_id}"), scope="read"),
    "v1/alerts/<int:alert_id>": Route("/v1/alerts/{alert_id}", scope="read"),
    "v1/alerts/<int:alert_id>/<str:step>": Route(
        "/v1/alerts/{alert_id}/acknowledge", scope="admin", method="POST", shows=False
    ),
    "v1/report-subscriptions": Route("/v1/report-subscriptions", scope="read"),
    "v1/report-subscriptions/<int:subscription_id>": Route("/v1/report-subscriptions/{subscription_id}", scope="read"),
    "v1/report-subscriptions/<int:subscription_id>/test": Route(
        "/v1/report-subscriptions/{subscription_id}/test", scope="admin", method="POST", shows=False
    ),
    "v1/alert-channels": Route("/v1/alert-channels", scope="read"),
    "v1/alert-channels/<int:channel_id>": Route("/v1/alert-channels/{channel_id}", scope="read"),
    "v1/alert-channels/<int:channel_id>/secret": Route(
        "/v1/alert-channels/{channel_id}/secret", scope="admin", method="POST", shows=False
    ),
    "v1/alert-channels/<int:channel_id>/test": Route(
        "/v1/alert-channels/{channel_id}/test", scope="admin", method="POST", shows=False
    ),
    "v1/alert-deliveries/<uuid:delivery_id>": Route("/v1/alert-deliveries/{delivery_id}", scope="read", shows=False),
    "v1/alert-deliveries/<uuid:delivery_id>/retry": Route(
        "/v1/alert-deliveries/{delivery_id}/retry", scope="admin", method="POST", shows=False
    ),
    "v1/export-targets": Route("/v1/export-targets", scope="read"),
    "v1/export-targets/<int:target_id>": Route("/v1/export-targets/{target_id}", scope="read"),
    "v1/export-targets/<int:target_id>/test": Route(
        "/v1/export-targets/{target_id}/test", scope="admin", method="POST", shows=False
    ),
    "v1/export-targets/<int:target_id>/days": Route("/v1/export-targets/{target_id}/days", scope="read", shows=False),
    "v1/export-targets/<int:target_id>/days/<str:day>": Route(
        "/v1/export-targets/{target_id}/days/2026-11-22", scope="admin", method="POST", shows=False
    ),
    "v1/bills": Route("/v1/bills", scope="read"),
    "v1/bills/mappings": Route("/v1/bills/mappings", scope="read", shows=False),
    "v1/bills/<int:bill_id>": Route("/v1/bills/{bill_id}", scope="read"),
    "v1/reconciliation": Route("/v1/reconciliation", (f"period={MONTH}",), scope="read"),
    "v1/reconciliation/reasons": Route("/v1/reconciliation/reasons", scope="admin", method="POST", shows=False),
    "v1/reconciliation/reasons/<int:decision>": Route(
        "/v1/reconciliation/reasons/1", scope="admin", method="DELETE", shows=False
    ),
    "v1/reconciliation/sign-off": Route("/v1/reconciliation/sign-off", scope="admin", method="POST", shows=False),
    "v1/reconciliation/true-up": Route("/v1/reconciliation/true-up", scope="admin", method="POST", shows=False),
    "v1/reconciliation/tolerance": Route("/v1/reconciliation/tolerance", scope="admin", method="PUT", shows=False),
    "v1/budgets": Route("/v1/budgets", scope="read"),
    "v1/budgets/try": Route("/v1/budgets/try", scope="read", method="POST", shows=False),
    "v1/budgets/<int:budget_id>": Route("/v1/budgets/{budget_id}", scope="read"),
    "v1/quota/check": Route("/v1/quota/check", scope="quota", method="POST", shows=False),
    "v1/quota/decisions": Route("/v1/quota/decisions", ("from=2026-01-01&to=2026-12-31",), scope="read", shows=False),
    "v1/me": Route("/v1/me", scope="any"),
    "v1/schema": Route("/v1/schema", is_open=True),
    "v1/docs": Route("/v1/docs", is_open=True),
    ".well-known/tokenledger-keys": Route("/.well-known/tokenledger-keys", is_open=True),
    "healthz": Route("/healthz", is_open=True),
    "readyz": Route("/readyz", is_open=True),
    "metrics": Route("/metrics", scope="operator", shows=False),
}
PERIOD = "period=month"
EXPLORED = tuple(
    f"environment=all&from=2026-01-01&to=2026-12-31&by={by}"
    for by in ("feature&by=model", "user", "key", "cost_center")
)
YEAR = "environment=all&from=2026-01-01&to=2026-12-31"
SHOWN = tuple(f"{YEAR}&by={by}" for by in ("feature", "cost_center", "user", "model"))
PEOPLES_ROUTES = {
    "": Route("/", ("tenant={slug}", PERIOD, "from=2026-01-01&to=2026-12-31", "environment=all")),
    "overview/file": Route(
        "/overview/file",
        (
            "tenant={slug}",
            *(f"table={table}" for table in ("feature", "model", "cost_center", "days", "savings")),
            *(f"{YEAR}&table={table}&format=xlsx" for table in ("feature", "model", "cost_center", "days")),
        ),
    ),
    "explore": Route("/explore", ("tenant={slug}", *EXPLORED)),
    "explore/file": Route("/explore/file", (*EXPLORED, *(f"{asked}&table=groups&format=xlsx" for asked in EXPLORED))),
    "explore/changes": Route("/explore/changes", EXPLORED),
    "explore/values": Route("/explore/values", ("tenant={slug}", "add=feature&environment=all", "add=user")),
    "showback": Route("/showback", ("tenant={slug}", *SHOWN)),
    "showback/file": Route(
        "/showback/file", (*SHOWN, *(f"{asked}&format=xlsx" for asked in SHOWN), f"{YEAR}&table=drivers")
    ),
    "showback/one": Route(
        "/showback/one", ("tenant={slug}", f"{YEAR}&by=feature&value={{feature}}", f"{YEAR}&by=user&value={{user}}")
    ),
    "showback/one/file": Route(
        "/showback/one/file",
        tuple(
            f"{YEAR}&by=feature&value={{feature}}&table={table}"
            for table in ("days", "users", "drivers", "environment", "model", "cost_center")
        ),
    ),
    "showback/drivers": Route("/showback/drivers", ("tenant={slug}",)),
    "alerts": Route("/alerts", ("tenant={slug}", "state=all&cursor={alert_id}", "state=resolved")),
    "alerts/<int:alert_id>": Route("/alerts/{alert_id}", ("tenant={slug}",)),
    "alerts/channels": Route("/alerts/channels", ("tenant={slug}",)),
    "alerts/channels/new": Route("/alerts/channels/new", ("tenant={slug}", "kind=webhook"), shows=False),
    "alerts/channels/<int:channel_id>": Route("/alerts/channels/{channel_id}", ("tenant={slug}",)),
    "alerts/deliveries": Route("/alerts/deliveries", ("tenant={slug}", "state=waiting")),
    "chargeback": Route("/chargeback", ("tenant={slug}", f"period={MONTH}")),
    "chargeback/file": Route(
        "/chargeback/file",
        ("tenant={slug}", f"period={MONTH}&format=xlsx", f"period={MONTH}&cost_center=acme-cost-center"),
    ),
    "chargeback/lines": Route(
        "/chargeback/lines", ("tenant={slug}", f"period={MONTH}", f"period={MONTH}&cost_center=acme-cost-center")
    ),
    "chargeback/rules": Route("/chargeback/rules", ("tenant={slug}",)),
    "chargeback/rules/<str:family>/new": Route("/chargeback/rules/charge/new", ("tenant={slug}",), operators_only=True),
    "chargeback/rules/<str:family>/<int:rule_id>": Route("/chargeback/rules/charge/1", ("tenant={slug}",)),
    "chargeback/rates": Route("/chargeback/rates", ("tenant={slug}",)),
    "budgets": Route("/budgets", ("tenant={slug}",)),
    "budgets/file": Route("/budgets/file", ("tenant={slug}", "tenant={slug}&format=xlsx")),
    "budgets/new": Route("/budgets/new", ("tenant={slug}",)),
    "budgets/<int:budget_id>": Route("/budgets/{budget_id}", ("tenant={slug}",)),
    "budgets/<int:budget_id>/edit": Route("/budgets/{budget_id}/edit", ("tenant={slug}",)),
    "alerts/rules": Route("/alerts/rules", ("tenant={slug}",), shows=False),
    "forecast": Route("/forecast", ("tenant={slug}", "environment=all", "environment=all&feature={feature}")),
    "forecast/file": Route(
        "/forecast/file",
        tuple(
            f"environment=all&by=feature&table={table}" for table in ("days", "parts", "record", "events", "budgets")
        ),
    ),
    "first-entry": Route("/first-entry", ("tenant={slug}",), shows=False),
    "jobs": Route("/jobs", operators_only=True),
    "tenants": Route("/tenants", operators_only=True),
    "tenants/file": Route("/tenants/file", operators_only=True),
    "ledger": Route("/ledger", ("tenant={slug}", *EVERY_FILTER)),
    "ledger/file": Route(
        "/ledger/file", ("tenant={slug}", *EVERY_FILTER, *(f"{asked}&format=xlsx" for asked in EVERY_FILTER))
    ),
    "ledger/newer": Route("/ledger/newer", ("tenant={slug}", f"than={NOBODYS_BATCH}.0"), shows=False),
    "ledger/<entry_id:entry_id>": Route("/ledger/{entry_id}", ("tenant={slug}",)),
    "ledger/<entry_id:entry_id>.json": Route("/ledger/{entry_id}.json", ("tenant={slug}",)),
    "ledger/<entry_id:entry_id>/content": Route("/ledger/{entry_id}/content", ("tenant={slug}",), method="POST"),
    "traces": Route(
        "/traces", ("q={trace_id}", "user={user}", "feature={feature}", "tenant={slug}", "period=90d&environment=all")
    ),
    "traces/list/file": Route(
        "/traces/list/file",
        ("q={trace_id}", "tenant={slug}", "period=90d&environment=all", "period=90d&environment=all&format=xlsx"),
    ),
    "traces/<name:trace_id>": Route("/traces/{trace_id}", ("under={entry_id}", "tenant={slug}")),
    "traces/<name:trace_id>/json": Route("/traces/{trace_id}/json", ("tenant={slug}",)),
    "find": Route("/find", ("q={entry_id}", "q={event_id}", "q={feature}", "q={slug}", "tenant={slug}")),
    "audit": Route("/audit", ("tenant={slug}", "period=2026-10")),
    "audit/statement": Route(
        "/audit/statement", ("tenant={slug}", f"period={MONTH}", f"period={MONTH}&recompute=yes", "period=2026-01")
    ),
    "audit/statement/file": Route(
        "/audit/statement/file",
        ("tenant={slug}", *(f"period={MONTH}&format={name}" for name in ("csv", "jsonl", "xlsx", "focus"))),
    ),
    "audit/bundle": Route("/audit/bundle", ("tenant={slug}", f"period={MONTH}"), shows=False),
    "audit/export": Route("/audit/export", ("tenant={slug}", f"period={MONTH}"), shows=False),
    "audit/export/file": Route("/audit/export/file", ("tenant={slug}", f"period={MONTH}"), shows=False),
    "audit/leaves": Route("/audit/leaves", ("tenant={slug}", f"period={MONTH}")),
    "audit/rows": Route("/audit/rows", ("tenant={slug}", f"period={MONTH}")),
    "reconciliation": Route(
        "/reconciliation", ("tenant={slug}", f"tenant={{slug}}&period={MONTH}"), operators_only=True
    ),
    "reconciliation/file": Route("/reconciliation/file", ("tenant={slug}",), operators_only=True),
    "audit/log": Route("/audit/log", ("tenant={slug}", "name=budget", "actor=person 1")),
    "audit/log/file": Route("/audit/log/file", ("tenant={slug}", "name=budget")),
    "audit/verifier": Route("/audit/verifier", ("tenant={slug}",), shows=False),
    "settings/reports": Route("/settings/reports", ("tenant={slug}",)),
    "settings/reports/preview": Route(
        "/settings/reports/preview", ("tenant={slug}", "cadence=monthly", "feature={feature}", "form=text")
    ),
    "reports/unsubscribe/<str:token>": Route("/reports/unsubscribe/WzFd", is_open=True),
    "settings/keys": Route("/settings/keys", ("tenant={slug}",)),
    "settings/keys/<slug:key_id>/first-entry": Route("/settings/keys/{key_id}/first-entry", ("tenant={slug}",)),
    "settings/exports": Route("/settings/exports", ("tenant={slug}",)),
    "settings/exports/new": Route("/settings/exports/new", ("tenant={slug}", "kind=s3"), shows=False),
    "settings/exports/<int:target_id>": Route("/settings/exports/{target_id}", ("tenant={slug}",)),
    "settings/cost-centers": Route("/settings/cost-centers", ("tenant={slug}",)),
    "settings/cost-centers/<int:center_id>": Route("/settings/cost-centers/{center_id}", ("tenant={slug}",)),
    "settings/mapping-rules": Route("/settings/mapping-rules", ("tenant={slug}", "trial=1")),
    "settings/re-allocations/<int:job_id>": Route("/settings/re-allocations/{job_id}", ("tenant={slug}",)),
    "rejected": Route(
        "/rejected", ("tenant={slug}", "cursor={rejected_id}", "q={event_id}", "key={key_id}", "state=all")
    ),
    "rejected/<uuid:rejected_id>": Route("/rejected/{rejected_id}", ("tenant={slug}",)),
    "rates": Route("/rates", ("tenant={slug}", "q={feature}", PERIOD)),
    "rates/file": Route("/rates/file", ("tenant={slug}", PERIOD, f"{PERIOD}&format=xlsx")),
    "rates.json": Route("/rates.json", ("tenant={slug}", PERIOD)),
    "rates/try": Route("/rates/try", ("tenant={slug}", "provider=openai&model=gpt-4o-2024-08-06&input_tokens=1")),
    "rates/aliases": Route("/rates/aliases", ("tenant={slug}", PERIOD)),
    "rates/drafts/<int:rate_id>/impact": Route("/rates/drafts/1/impact", operators_only=True),
    "rates/import": Route("/rates/import", operators_only=True),
    "rates/jobs": Route("/rates/jobs", operators_only=True),
    "rates/jobs/<int:job_id>": Route("/rates/jobs/1", operators_only=True),
    "rates/new": Route("/rates/new", ("tenant={slug}", "provider=openai&model=gpt-4o-2024-08-06"), operators_only=True),
    "rates/check": Route("/rates/check", ("tenant={slug}",), operators_only=True, method="POST"),
    "rates/drafts": Route("/rates/drafts", ("tenant={slug}",), operators_only=True),
    "rates/drafts/<int:rate_id>": Route("/rates/drafts/1", ("tenant={slug}",), operators_only=True),
    "rates/drafts/<int:rate_id>/edit": Route("/rates/drafts/1/edit", ("tenant={slug}",), operators_only=True),
    "rates/<name:provider>/<name:model>": Route("/rates/openai/gpt-4o-2024-08-06", ("tenant={slug}", PERIOD)),
    "design": Route("/design", ("tenant={slug}",), shows=False),
    "views": Route("/views", ("tenant={slug}",), method="POST", shows=False),
    "views/<uuid:view_id>": Route("/views/{view_id}", ("tenant={slug}",)),
    "views/<uuid:view_id>/discard": Route("/views/{view_id}/discard", ("tenant={slug}",), method="POST", shows=False),
    "sign-in": Route("/sign-in", is_open=True),
    "sign-out": Route("/sign-out", is_open=True),
    "theme": Route("/theme", is_open=True),
}
ROUTES = MACHINE_ROUTES | PEOPLES_ROUTES


def list_routes(patterns=None, before=""):
    """Every route of the URLconf, as it is written there."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from list_routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    """*acme* with entries of every kind, rolled up and waiting, and *globex* with a key and people of its own.

    Committed, so that what reads through another role or connection sees it as well.
    """
    with django_db_blocker.unblock():
        yield make_world()


def make_world():
    publish_test_rates()
    acme, globex = make_tenant("acme"), make_tenant("globex")
    acme_key = make_key(acme, "ingest,backfill,read,audit,quota,admin", name="acme-pipeline")
    now = datetime.now(UTC)  # not earlier than the key: what is booked with it is looked for since its first hour
    (rate,) = RATES_DOCUMENT["rates"]
    agreed = rate | {"provider": "acme-provider", "model": "acme-agreed-model", "tenant": acme.slug}
    publish_rates(read_rates({"rates": [agreed]}), origin="file", created_by="one", approved_by="another", now=now)
    key_id = acme_key.split("_")[1]

    def book(number):
        events = [
            make_event(
                event_id=f"acme-event-{number}",
                feature="acme-feature",
                user="acme-user",
                cost_center="acme-cost-center",
                response_id=f"acme-response-{number}",
                trace_id=f"acmetrace{number}",
                session_id="acme-session",
                tags={"plan": "acme-plan"},
                time=now,
            ),
            make_event(feature="acme-feature", model="acme-own-model", time=now),
        ]
        rejected = [RejectedItem(2, "acme-rejected", "wrong_type", "acme-detail", '{"id":"acme-rejected"}')]
        return ingest_events(
            tenant_id=acme.id, api_key_id=key_id, events=list(enumerate(events)), rejected=rejected, now=now
        )

    first = book(1)
    change_retention(tenant_id=acme.id, days=30)
    kept = keep_content(
        tenant_id=acme.id, api_key_id=key_id, event_source="checkout", event_id="acme-event-1",
        input=[Message("user", [{"type": "text", "content": "acme-prompt"}])], output=[], now=now,
    )  # fmt: skip
    apply_batches(now=now)
    book(2)
    keep_drivers(
        [DriverValue("acme-orders", now.date(), Decimal("77123"))], tenant_id=acme.id, actor="person 1", now=now
    )
    last_month = (now.date().replace(day=1) - timedelta(days=1)).replace(day=1)
    review_month(tenant_id=acme.id, period=last_month, actor="person 1", now=now, reason="acme-reason")
    entry = list_entries(tenant_id=acme.id, filters=EntryFilters(batch_id=first.batch_id)).entries[-1]
    terms = read_terms({"name": "acme-budget", "scope": {"feature": "acme-feature"}, "window": "month", "amount": 7})
    budget, _ = create_budget(terms, tenant_id=acme.id, actor="person 1", now=now)
    hook = read_channel_terms(
        {"name": "acme-channel", "kind": "webhook", "settings": {"url": "https://acme-hooks.example/acme-path"}}
    )
    subscription, _ = subscribe(
        read_subscription_terms({"cadence": "weekly", "address": "acme@acme.example"}),
        tenant_id=acme.id, actor="person 1", now=now,
    )  # fmt: skip
    channel, _ = create_channel(hook, tenant_id=acme.id, actor="person 1", now=now)
    lake = {"name": "acme-target", "kind": "s3", "place": "acme-bucket", "access_key_id": "acme-access-key",
            "secret_access_key": "acme-secret", "endpoint": "https://acme-lake.example"}  # fmt: skip
    target = add_target(
        read_target_terms(lake, kinds=("s3",), schemes=("https",), today=now.date()),
        tenant_id=acme.id, actor="person 1", now=now,
    )  # fmt: skip
    center, _ = create_cost_center(
        CostCenterTerms(code="acme-cost-center", owner="acme-owner"), tenant_id=acme.id, actor="person 1", now=now
    )
    mapped = RuleTerms(terms=(Term("feature", ("acme-feature",)),), cost_center="acme-cost-center")
    rule = add_rule(mapped, tenant_id=acme.id, actor="person 1", now=now)
    job_id = start_reallocation(
        tenant_id=acme.id, used_from=now, used_to=now + timedelta(days=1), reason="acme-reason",
        requested_by="person 1", now=now,
    )  # fmt: skip
    cancel_job(job_id, actor="person 1", now=now, tenant_id=acme.id)
    alert_id = open_alert(
        tenant_id=acme.id, rule="budget", scope={"feature": "acme-feature"}, episode="acme-episode", severity="high",
        title="acme-alert", facts={"sentence": "acme-sentence"}, impact=None, budget_id=budget.id, now=now,
    )  # fmt: skip
    (delivery,) = list_deliveries(tenant_id=acme.id, alert_id=alert_id)
    create_rule(
        read_charge({"kind": "markup", "name": "acme-markup", "percent": "5"}), valid_from=last_month,
        tenant_id=acme.id, actor="person 1", now=now,
    )  # fmt: skip
    bill = import_bill(
        f"usage_date_utc,model,cost_usd\n{now:%Y-%m-%d},acme-billed-model,0.0095\n".encode(),
        filename="acme-bill.csv", tenant_id=acme.id, actor="person 1", now=now,
    ).bill  # fmt: skip
    people = {
        role: create_user(
            email=f"{role}@{globex.slug}.example", password=PASSWORD, role=role, tenant_slug=globex.slug, name=role
        )
        for role in ("owner", "viewer")
    }
    people["acme"] = create_user(
        email=f"boss@{acme.slug}.example", password=PASSWORD, role="owner", tenant_slug=acme.slug, name="Acme Boss"
    )
    seal_round(now=datetime.now(UTC), at_once=True)
    head = get_head(tenant_id=acme.id)
    with tenant_scope(acme.id):
        view = save_view(
            find_seat(User.objects.get(pk=people["acme"]), slug=""), page="explore", name="acme-view", is_shared=True,
            query=QueryDict("feature=acme-feature"), now=now,
        )  # fmt: skip
    ours = {
        "slug": acme.slug,
        "view_id": str(view),
        "feature": "acme-feature",
        "user": "acme-user",
        "user_ref": entry["user_ref"],
        "key_id": key_id,
        "batch_id": str(first.batch_id),
        "entry_id": f"{first.batch_id}.0",
        "event_id": "acme-event-1",
        "response_id": "acme-response-1",
        "trace_id": "acmetrace1",
        "content_digest": kept.content.digest,
        "rejected_id": str(list_rejected(tenant_id=acme.id)[0].id),
        "budget_id": str(budget.id),
        "bill_id": str(bill.id),
        "alert_id": str(alert_id),
        "channel_id": str(channel.id),
        "subscription_id": str(subscription.id),
        "target_id": str(target.id),
        "delivery_id": str(delivery.id),
        "sealed": str(head.size),
        "center_id": str(center.id),
        "rule_id": str(rule.id),
        "job_id": str(job_id),
    }
    secrets = {
        *(value for name, value in ours.items() if name not in NUMBERS),
        entry["leaf"], first.receipt, "acme", "Acme", "acme-prompt", "0.00475", "0.0095", "$0.01",
        "77123", "77,123", head.root.hex(), head.origin,
    }  # fmt: skip
    return SimpleNamespace(
        acme=acme, globex=globex, ours=ours, secrets=secrets, people=people, acme_key=acme_key,
        key=make_key(globex, ALL_SCOPES),
    )  # fmt: skip


ALL_SCOPES = "ingest,backfill,read,audit,quota,admin"


def make_paths(route, world):
    """The addresses at which to ask for what is *acme*'s, each with the values of *acme*'s that it names itself."""
    quoted = {name: quote(value) for name, value in world.ours.items()}
    for query in ("", *route.queries):
        yield (
            route.path.format(**quoted) + (f"?{query.format(**quoted)}" if query else ""),
            {
                value
                for name, value in world.ours.items()
                if f"{{{name}}}" in route.path + query and name not in NUMBERS
            },
        )


def _unpack(body):
    """A workbook's sheets; any other body as it is."""
    if not body.startswith(b"PK"):
        return body
    with zipfile.ZipFile(io.BytesIO(body)) as book:
        return b"".join(map(book.read, book.namelist()))


def find_leaks(response, world, named):
    """What a body holds of *acme*'s, apart from what the question named."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    text = _unpack(body).decode() + str(response.headers)
    for value in sorted(named, key=len, reverse=True):
        text = text.replace(quote(value), "").replace(value, "")
    return sorted(secret for secret in world.secrets if secret in text)


def sign_in(world, role):
    client = Client()
    client.force_login(
        User.objects.get(pk=world.people[role]), backend="allauth.account.auth_backends.AuthenticationBackend"
    )
    return client


def test_every_route_of_the_urlconf_is_covered_here():
    routes = list(list_routes())
    assert len(routes) == len(set(routes))
    assert set(routes) == set(ROUTES)


@pytest.mark.parametrize("name", MACHINE_ROUTES)
def test_with_a_key_of_globex_nothing_of_acme_is_answered(world, name):
    route = MACHINE_ROUTES[name]
    client = Client()
    for path, named in make_paths(route, world):
        for method in METHODS if "?" not in path else (route.method,):
            for headers in ({}, {"X-Tenant": world.acme.slug}):
                response = client.generic(
                    method, path, "{}", "application/json", headers={"Authorization": f"Bearer {world.key}"} | headers,
                    REMOTE_ADDR="192.0.2.7",
                )  # fmt: skip
                assert response.status_code < 500, (method, path)
                assert find_leaks(response, world, named | {world.acme.slug}) == [], (method, path, response.content)


@pytest.mark.parametrize("name", [name for name, route in MACHINE_ROUTES.items() if not route.is_open])
def test_without_a_key_with_a_revoked_one_and_with_another_scope_a_machine_gets_nothing(world, name):
    route = MACHINE_ROUTES[name]
    revoked = make_key(world.acme, ALL_SCOPES)
    revoke_api_key(tenant_id=world.acme.id, key_id=revoked.split("_")[1], now=datetime.now(UTC))
    other = make_key(world.acme, "read" if route.scope == "quota" else "quota")
    attempts = [({}, 401), ({"Authorization": f"Bearer {revoked}"}, 401), ({"Authorization": f"Bearer {other}"}, 403)]
    for path, named in make_paths(route, world):
        for headers, status in attempts if route.scope != "any" else attempts[:2]:
            response = Client().generic(
                route.method, path, "{}", "application/json", headers=headers, REMOTE_ADDR="192.0.2.7"
            )
            assert response.status_code == status, (path, response.content)
            assert find_leaks(response, world, named) == [], path


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if route.shows and not route.is_open])
def test_acme_itself_is_shown_what_globex_is_not(world, name):
    # Else the tests above could look for what no page ever shows.
    route = ROUTES[name]
    if route.operators_only:
        return
    client = sign_in(world, "acme")
    headers = {"Authorization": f"Bearer {world.acme_key}"} if name in MACHINE_ROUTES else {}
    shown = [
        find_leaks(client.generic(route.method, path, headers=headers), world, named)
        for path, named in make_paths(route, world)
    ]
    assert any(shown)


def test_nothing_is_booked_for_acme_with_a_key_of_globex(world):
    before = len(list_entries(tenant_id=world.acme.id, filters=EntryFilters(), limit=1000).entries)
    event = make_wire_event(tenant=world.acme.slug)
    response = Client().post(
        "/v1/events", json.dumps(event), "application/json", headers={"Authorization": f"Bearer {world.key}"}
    )
    assert response.status_code == 207
    (result,) = response.json()["results"]
    assert result["problems"][0]["code"] == "tenant_forbidden"
    after = list_entries(tenant_id=world.acme.id, filters=EntryFilters(), limit=1000).entries
    assert len(after) == before


@pytest.mark.parametrize("role", ["owner", "viewer"])
@pytest.mark.parametrize("name", PEOPLES_ROUTES)
def test_signed_in_to_globex_nothing_of_acme_is_shown(world, name, role):
    route = PEOPLES_ROUTES[name]
    client = sign_in(world, role)
    for path, named in make_paths(route, world):
        for method in METHODS if "?" not in path else (route.method,):
            response = client.generic(method, path)
            assert response.status_code < 500, (method, path)
            assert find_leaks(response, world, named) == [], (method, path)
            if route.operators_only or (f"tenant={world.acme.slug}" in path):
                assert response.status_code in (404, 405), (method, path, response.status_code)
        if name == "sign-out":
            client = sign_in(world, role)


@pytest.mark.parametrize("name", [name for name, route in PEOPLES_ROUTES.items() if not route.is_open])
def test_without_signing_in_every_page_asks_to_sign_in(world, name):
    for path, _ in make_paths(PEOPLES_ROUTES[name], world):
        response = Client().get(path)
        assert response.status_code == 302, path
        assert response["Location"].startswith("/sign-in?"), path
        assert response.content == b""


@pytest.mark.parametrize(
    "name", [name for name, route in ROUTES.items() if re.search(r"\{(entry_id|rejected_id)\}", route.path)]
)
def test_what_is_acmes_and_what_is_nobodys_are_answered_alike(world, name):
    # Else one could find out which ids exist.
    route = ROUTES[name]
    client = sign_in(world, "owner")
    headers = {"Authorization": f"Bearer {world.key}"} if name in MACHINE_ROUTES else {}
    answers = []
    for ids in (world.ours, {"entry_id": f"{NOBODYS_BATCH}.0", "rejected_id": NOBODYS_BATCH}):
        response = client.generic(route.method, route.path.format(**ids), headers=headers | {"X-Request-Id": "same"})
        text = response.content.decode()
        for value in (value for name, value in ids.items() if name not in NUMBERS):
            text = text.replace(value, "").replace(urlencode({"": value})[1:], "")
        answers.append((response.status_code, re.sub(r"csrf\w*\W+\w+", "", text)))
    assert answers[0][0] == 404
    assert answers[0] == answers[1]
