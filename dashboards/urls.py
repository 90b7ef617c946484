"""The people's addresses."""

from urllib.parse import unquote

from allauth.account.views import LoginView, LogoutView
from django.urls import path, register_converter
from django.views.decorators.http import require_POST

from dashboards.views.alert_channels import show_channel, show_channels, show_deliveries, show_new_channel
from dashboards.views.alert_rules import show_alert_rules
from dashboards.views.alerts import show_alert, show_alerts
from dashboards.views.appearance import choose_theme
from dashboards.views.audit import send_verifier, show_audit
from dashboards.views.audit_export import export_bundle, export_leaves, send_export, show_export
from dashboards.views.audit_log import export_audit_log, show_audit_log
from dashboards.views.audit_statement import export_rows, export_statement, show_statement
from dashboards.views.budgets import edit_budget, export_budgets, show_budget, show_budgets, show_new_budget
from dashboards.views.chargeback import export_chargeback, show_charge_lines, show_chargeback
from dashboards.views.chargeback_rates import show_chargeback_rates
from dashboards.views.chargeback_rules import (
    show_chargeback_rule,
    show_chargeback_rules,
    show_new_chargeback_rule,
)
from dashboards.views.cost_centers import show_cost_center, show_cost_centers
from dashboards.views.design import show_design
from dashboards.views.entry import show_entry, show_entry_content, show_entry_json
from dashboards.views.explore import export_explore, list_values, show_changes, show_explore
from dashboards.views.exports import show_export_target, show_export_targets, show_new_export_target
from dashboards.views.forecast import export_forecast, show_forecast
from dashboards.views.jobs import show_jobs
from dashboards.views.keys import await_key_entry, show_keys
from dashboards.views.ledger import count_newer, export_ledger, show_ledger
from dashboards.views.mapping_rules import show_mapping_rules, show_reallocation
from dashboards.views.overview import await_first_entry, export_overview
from dashboards.views.rate_aliases import show_rate_aliases
from dashboards.views.rate_drafts import show_rate_draft, show_rate_drafts
from dashboards.views.rate_forms import check_rate, edit_rate_draft, show_new_rate
from dashboards.views.rate_impact import show_rate_impact
from dashboards.views.rate_imports import show_rate_import
from dashboards.views.rate_jobs import show_rate_job, show_rate_jobs
from dashboards.views.rate_model import show_rate_model
from dashboards.views.rate_trial import show_rate_trial
from dashboards.views.rates import export_rates, show_rates, show_rates_json
from dashboards.views.reconciliation import export_reconciliation, show_reconciliation
from dashboards.views.rejected import show_rejected, show_rejected_event
from dashboards.views.reports import preview_report, show_reports
from dashboards.views.saved_views import discard_view, keep_view, open_view
from dashboards.views.search import find_anything
from dashboards.views.showback import export_showback, export_subject, show_showback, show_subject
from dashboards.views.showback_drivers import show_drivers
from dashboards.views.tenants import export_tenants, open_home, show_tenants
from dashboards.views.traces import export_traces, show_trace, show_trace_json, show_traces
from dashboards.views.unsubscribe import end_by_link


class EntryIdConverter:
    """An entry's public id, `<batch_id>.<line>`."""

    regex = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,10}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class NameConverter:
    """A provider or a model as it was sent, in one segment of an address: a slash inside it is escaped once more."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        return value.replace("%", "%25").replace("/", "%2F")


register_converter(EntryIdConverter, "entry_id")
register_converter(NameConverter, "name")

urlpatterns = [
    path("", open_home, name="overview"),
    path("overview/file", export_overview, name="overview_file"),
    path("explore", show_explore, name="explore"),
    path("explore/file", export_explore, name="explore_file"),
    path("explore/changes", show_changes, name="explore_changes"),
    path("explore/values", list_values, name="explore_values"),
    path("showback", show_showback, name="showback"),
    path("showback/file", export_showback, name="showback_file"),
    path("showback/one", show_subject, name="showback_subject"),
    path("showback/one/file", export_subject, name="showback_subject_file"),
    path("showback/drivers", show_drivers, name="showback_drivers"),
    path("chargeback", show_chargeback, name="chargeback"),
    path("chargeback/file", export_chargeback, name="chargeback_file"),
    path("chargeback/lines", show_charge_lines, name="chargeback_lines"),
    path("chargeback/rules", show_chargeback_rules, name="chargeback_rules"),
    path("chargeback/rules/<str:family>/new", show_new_chargeback_rule, name="chargeback_rule_new"),
    path("chargeback/rules/<str:family>/<int:rule_id>", show_chargeback_rule, name="chargeback_rule"),
    path("chargeback/rates", show_chargeback_rates, name="chargeback_rates"),
    path("alerts", show_alerts, name="alerts"),
    path("alerts/<int:alert_id>", show_alert, name="alert"),
    path("alerts/channels", show_channels, name="alert_channels"),
    path("alerts/channels/new", show_new_channel, name="alert_channel_new"),
    path("alerts/channels/<int:channel_id>", show_channel, name="alert_channel"),
    path("alerts/deliveries", show_deliveries, name="alert_deliveries"),
    path("budgets", show_budgets, name="budgets"),
    path("budgets/file", export_budgets, name="budgets_file"),
    path("budgets/new", show_new_budget, name="budget_new"),
    path("budgets/<int:budget_id>", show_budget, name="budget"),
    path("budgets/<int:budget_id>/edit", edit_budget, name="budget_edit"),
    path("alerts/rules", show_alert_rules, name="alert_rules"),
    path("reconciliation", show_reconciliation, name="reconciliation"),
    path("reconciliation/file", export_reconciliation, name="reconciliation_file"),
    path("forecast", show_forecast, name="forecast"),
    path("forecast/file", export_forecast, name="forecast_file"),
    path("first-entry", await_first_entry, name="first_entry"),
    path("jobs", show_jobs, name="jobs"),
    path("tenants", show_tenants, name="tenants"),
    path("tenants/file", export_tenants, name="tenants_file"),
    path("ledger", show_ledger, name="ledger"),
    path("ledger/file", export_ledger, name="ledger_file"),
    path("ledger/newer", count_newer, name="ledger_newer"),
    path("ledger/<entry_id:entry_id>", show_entry, name="entry"),
    path("ledger/<entry_id:entry_id>.json", show_entry_json, name="entry_json"),
    path("ledger/<entry_id:entry_id>/content", show_entry_content, name="entry_content"),
    path("traces", show_traces, name="traces"),
    path("traces/list/file", export_traces, name="traces_file"),  # a trace itself may be called "file"
    path("traces/<name:trace_id>", show_trace, name="trace"),
    path("traces/<name:trace_id>/json", show_trace_json, name="trace_json"),
    path("find", find_anything, name="find"),
    path("audit", show_audit, name="audit"),
    path("audit/statement", show_statement, name="audit_statement"),
    path("audit/statement/file", export_statement, name="audit_statement_file"),
    path("audit/bundle", export_bundle, name="audit_bundle"),
    path("audit/export", show_export, name="audit_export"),
    path("audit/export/file", send_export, name="audit_export_file"),
    path("audit/rows", export_rows, name="audit_rows"),
    path("audit/leaves", export_leaves, name="audit_leaves"),
    path("audit/log", show_audit_log, name="audit_log"),
    path("audit/log/file", export_audit_log, name="audit_log_file"),
    path("audit/verifier", send_verifier, name="audit_verifier"),
    path("settings/keys", show_keys, name="keys"),
    path("settings/keys/<slug:key_id>/first-entry", await_key_entry, name="key_first_entry"),
    path("settings/reports", show_reports, name="reports"),
    path("settings/reports/preview", preview_report, name="report_preview"),
    path("reports/unsubscribe/<str:token>", end_by_link, name="unsubscribe"),
    path("settings/exports", show_export_targets, name="exports"),
    path("settings/exports/new", show_new_export_target, name="export_target_new"),
    path("settings/exports/<int:target_id>", show_export_target, name="export_target"),
    path("settings/cost-centers", show_cost_centers, name="cost_centers"),
    path("settings/cost-centers/<int:center_id>", show_cost_center, name="cost_center"),
    path("settings/mapping-rules", show_mapping_rules, name="mapping_rules"),
    path("settings/re-allocations/<int:job_id>", show_reallocation, name="reallocation"),
    path("rejected", show_rejected, name="rejected"),
    path("rejected/<uuid:rejected_id>", show_rejected_event, name="rejected_event"),
    path("rates", show_rates, name="rates"),
    path("rates/file", export_rates, name="rates_file"),
    path("rates.json", show_rates_json, name="rates_json"),
    path("rates/try", show_rate_trial, name="rate_trial"),
    path("rates/aliases", show_rate_aliases, name="rate_aliases"),
    path("rates/new", show_new_rate, name="new_rate"),
    path("rates/check", check_rate, name="check_rate"),
    path("rates/drafts", show_rate_drafts, name="rate_drafts"),
    path("rates/drafts/<int:rate_id>", show_rate_draft, name="rate_draft"),
    path("rates/drafts/<int:rate_id>/edit", edit_rate_draft, name="edit_rate"),
    path("rates/drafts/<int:rate_id>/impact", show_rate_impact, name="rate_impact"),
    path("rates/import", show_rate_import, name="rate_import"),
    path("rates/jobs", show_rate_jobs, name="rate_jobs"),
    path("rates/jobs/<int:job_id>", show_rate_job, name="rate_job"),
    path("rates/<name:provider>/<name:model>", show_rate_model, name="rate_model"),
    path("design", show_design, name="design"),
    path("views", keep_view, name="keep_view"),
    path("views/<uuid:view_id>", open_view, name="open_view"),
    path("views/<uuid:view_id>/discard", discard_view, name="discard_view"),
    path("sign-in", LoginView.as_view(template_name="account/sign_in.html"), name="account_login"),
    path("sign-out", require_POST(LogoutView.as_view()), name="account_logout"),
    path("theme", choose_theme, name="theme"),
]
