"""The machines' addresses. `api.middleware` answers each of them before sessions and forms."""

from django.urls import path

from api.views.adjustments import Adjustments
from api.views.alert_channels import AlertChannelDetail, AlertChannels, AlertChannelSecret, AlertChannelTest
from api.views.alert_deliveries import AlertDeliveryDetail, AlertDeliveryRetry
from api.views.alerts import AlertDetail, Alerts, AlertStep
from api.views.anomalies import Anomalies
from api.views.audit_bundles import AuditBundle, AuditEntries, AuditVerifier
from api.views.audit_checkpoints import (
    CheckpointOfSize,
    Consistency,
    LogCheckpoint,
    LogConsistency,
    NewestCheckpoint,
)
from api.views.audit_exports import AuditExportDetail, AuditExportFile, AuditExports
from api.views.audit_log import AuditLog
from api.views.audit_proofs import BatchReceipt, EntryProofs
from api.views.audit_statement import AuditStatement
from api.views.bills import BillDetail, BillMappings, Bills
from api.views.budgets import BudgetDetail, Budgets, BudgetTrials
from api.views.chargeback import Chargeback, ChargebackCurrency
from api.views.chargeback_rules import ChargebackRuleDetail, ChargebackRules, ChargebackTrials
from api.views.contents import ContentDetail, Contents
from api.views.cost_centers import CostCenterDetail, CostCenters
from api.views.cost_changes import CostChanges
from api.views.costs import Costs
from api.views.drivers import Drivers
from api.views.entries import Entries, Entry
from api.views.events import Events
from api.views.exports import ExportDayAgain, ExportDays, ExportTargetDetail, ExportTargets, ExportTargetTest
from api.views.forecasts import ForecastEventDetail, ForecastEvents, ForecastRuns, MonthForecast
from api.views.fx_rates import FxRates
from api.views.health import Health, Readiness
from api.views.keys import PublicKeys
from api.views.mapping_rules import MappingRuleDetail, MappingRules, MappingRuleStep, MappingTrials
from api.views.me import Me
from api.views.metrics import Metrics
from api.views.otlp import OtlpLogs, OtlpMetrics, OtlpTraces
from api.views.periods import Periods, PeriodStep
from api.views.quota import QuotaCheck, QuotaDecisions
from api.views.rate_versions import (
    RateExaminations,
    RateJobDetail,
    RateJobStep,
    RatePreviews,
    RateReratings,
    RateStep,
    RateVersionDetail,
)
from api.views.rates import Rates
from api.views.reallocations import ReallocationDetail, Reallocations, ReallocationStep
from api.views.reconciliation import (
    BillSignOffs,
    BillTolerances,
    BillTrueUps,
    MonthReconciliation,
    VarianceReasonDetail,
    VarianceReasons,
)
from api.views.rejected import RejectedEvents, RejectedReplay
from api.views.report_subscriptions import ReportSubscriptionDetail, ReportSubscriptions, ReportSubscriptionTest
from api.views.schema import Docs, Schema
from api.views.traces import TraceDetail
from api.views.watch_settings import WatchSettings

urlpatterns = [
    # First: the paths are tried in this order, and this one is waited for before every call.
    path("v1/quota/check", QuotaCheck.as_view(), name="check_quota"),
    path("v1/events", Events.as_view(), name="post_events"),
    path("v1/traces", OtlpTraces.as_view(), name="post_traces"),
    path("v1/traces/<str:trace_id>", TraceDetail.as_view(), name="get_trace"),
    path("v1/metrics", OtlpMetrics.as_view(), name="post_metrics"),
    path("v1/logs", OtlpLogs.as_view(), name="post_logs"),
    path("v1/rejected", RejectedEvents.as_view(), name="list_rejected_events"),
    path("v1/rejected/<uuid:rejected_id>/replay", RejectedReplay.as_view(), name="replay_rejected_event"),
    path("v1/content", Contents.as_view(), name="post_content"),
    path("v1/content/<str:digest>", ContentDetail.as_view(), name="get_content"),
    path("v1/costs", Costs.as_view(), name="get_costs"),
    path("v1/costs/changes", CostChanges.as_view(), name="get_cost_changes"),
    path("v1/drivers", Drivers.as_view(), name="drivers"),
    path("v1/periods", Periods.as_view(), name="list_periods"),
    path("v1/periods/<str:period>/<str:step>", PeriodStep.as_view(), name="take_period_step"),
    path("v1/adjustments", Adjustments.as_view(), name="book_adjustment"),
    path("v1/export-targets", ExportTargets.as_view(), name="export_targets"),
    path("v1/export-targets/<int:target_id>", ExportTargetDetail.as_view(), name="export_target"),
    path("v1/export-targets/<int:target_id>/test", ExportTargetTest.as_view(), name="test_export_target"),
    path("v1/export-targets/<int:target_id>/days", ExportDays.as_view(), name="export_days"),
    path("v1/export-targets/<int:target_id>/days/<str:day>", ExportDayAgain.as_view(), name="run_export_day_again"),
    path("v1/chargeback", Chargeback.as_view(), name="get_chargeback"),
    path("v1/chargeback/currency", ChargebackCurrency.as_view(), name="get_billing_currency"),
    path("v1/chargeback/rules/<str:family>", ChargebackRules.as_view(), name="list_chargeback_rules"),
    path("v1/chargeback/rules/<str:family>/try", ChargebackTrials.as_view(), name="try_chargeback_rule"),
    path("v1/chargeback/rules/<str:family>/<int:rule_id>", ChargebackRuleDetail.as_view(), name="get_chargeback_rule"),
    path("v1/fx-rates", FxRates.as_view(), name="list_fx_rates"),
    path("v1/anomalies", Anomalies.as_view(), name="list_anomalies"),
    path("v1/watch-settings", WatchSettings.as_view(), name="watch_settings"),
    path("v1/entries", Entries.as_view(), name="list_entries"),
    path("v1/entries/<str:entry_id>", Entry.as_view(), name="get_entry"),
    path("v1/audit/statement", AuditStatement.as_view(), name="get_statement"),
    path("v1/audit/log", AuditLog.as_view(), name="list_acts"),
    path("v1/audit/bundle", AuditBundle.as_view(), name="get_bundle"),
    path("v1/audit/entries", AuditEntries.as_view(), name="list_month_entries"),
    path("v1/audit/exports", AuditExports.as_view(), name="ask_export"),
    path("v1/audit/exports/<str:export_id>", AuditExportDetail.as_view(), name="get_export"),
    path("v1/audit/exports/<str:export_id>/file", AuditExportFile.as_view(), name="get_export_file"),
    path("v1/audit/verifier", AuditVerifier.as_view(), name="get_verifier"),
    path("v1/audit/checkpoint", NewestCheckpoint.as_view(), name="get_newest_checkpoint"),
    path("v1/audit/checkpoint/<int:size>", CheckpointOfSize.as_view(), name="get_checkpoint"),
    path("v1/audit/consistency", Consistency.as_view(), name="prove_consistency"),
    path("v1/audit/proof/<str:entry_id>", EntryProofs.as_view(), name="prove_entry"),
    path("v1/audit/receipt/<uuid:batch_id>", BatchReceipt.as_view(), name="get_batch_receipt"),
    path("v1/log/checkpoint", LogCheckpoint.as_view(), name="get_log_checkpoint"),
    path("v1/log/consistency", LogConsistency.as_view(), name="prove_log_consistency"),
    path("v1/rates", Rates.as_view(), name="list_rates"),
    path("v1/rates/examination", RateExaminations.as_view(), name="examine_rate"),
    path("v1/rates/jobs/<int:job_id>", RateJobDetail.as_view(), name="get_rate_job"),
    path("v1/rates/jobs/<int:job_id>/<str:step>", RateJobStep.as_view(), name="take_rate_job_step"),
    path("v1/rates/<int:rate_id>", RateVersionDetail.as_view(), name="get_rate"),
    path("v1/rates/<int:rate_id>/previews", RatePreviews.as_view(), name="preview_rate"),
    path("v1/rates/<int:rate_id>/reratings", RateReratings.as_view(), name="rerate"),
    path("v1/rates/<int:rate_id>/<str:step>", RateStep.as_view(), name="take_rate_step"),
    path("v1/alerts", Alerts.as_view(), name="list_alerts"),
    path("v1/alerts/<int:alert_id>", AlertDetail.as_view(), name="get_alert"),
    path("v1/alerts/<int:alert_id>/<str:step>", AlertStep.as_view(), name="take_alert_step"),
    path("v1/report-subscriptions", ReportSubscriptions.as_view(), name="list_report_subscriptions"),
    path(
        "v1/report-subscriptions/<int:subscription_id>",
        ReportSubscriptionDetail.as_view(),
        name="get_report_subscription",
    ),
    path(
        "v1/report-subscriptions/<int:subscription_id>/test",
        ReportSubscriptionTest.as_view(),
        name="test_report_subscription",
    ),
    path("v1/alert-channels", AlertChannels.as_view(), name="alert_channels"),
    path("v1/alert-channels/<int:channel_id>", AlertChannelDetail.as_view(), name="alert_channel"),
    path("v1/alert-channels/<int:channel_id>/secret", AlertChannelSecret.as_view(), name="rotate_alert_channel_secret"),
    path("v1/alert-channels/<int:channel_id>/test", AlertChannelTest.as_view(), name="test_alert_channel"),
    path("v1/alert-deliveries/<uuid:delivery_id>", AlertDeliveryDetail.as_view(), name="get_alert_delivery"),
    path("v1/alert-deliveries/<uuid:delivery_id>/retry", AlertDeliveryRetry.as_view(), name="retry_alert_delivery"),
    path("v1/budgets", Budgets.as_view(), name="list_budgets"),
    path("v1/budgets/try", BudgetTrials.as_view(), name="try_budget"),
    path("v1/budgets/<int:budget_id>", BudgetDetail.as_view(), name="get_budget"),
    path("v1/cost-centers", CostCenters.as_view(), name="list_cost_centers"),
    path("v1/cost-centers/<int:center_id>", CostCenterDetail.as_view(), name="get_cost_center"),
    path("v1/mapping-rules", MappingRules.as_view(), name="list_mapping_rules"),
    path("v1/mapping-rules/try", MappingTrials.as_view(), name="try_mapping_rules"),
    path("v1/mapping-rules/<int:rule_id>", MappingRuleDetail.as_view(), name="get_mapping_rule"),
    path("v1/mapping-rules/<int:rule_id>/<str:step>", MappingRuleStep.as_view(), name="take_mapping_rule_step"),
    path("v1/re-allocations", Reallocations.as_view(), name="list_reallocations"),
    path("v1/re-allocations/<int:job_id>", ReallocationDetail.as_view(), name="get_reallocation"),
    path("v1/re-allocations/<int:job_id>/<str:step>", ReallocationStep.as_view(), name="take_reallocation_step"),
    path("v1/bills", Bills.as_view(), name="bills"),
    path("v1/bills/mappings", BillMappings.as_view(), name="bill_mappings"),
    path("v1/bills/<int:bill_id>", BillDetail.as_view(), name="bill"),
    path("v1/reconciliation", MonthReconciliation.as_view(), name="get_reconciliation"),
    path("v1/reconciliation/reasons", VarianceReasons.as_view(), name="explain_variance"),
    path("v1/reconciliation/reasons/<int:decision>", VarianceReasonDetail.as_view(), name="take_back_variance_reason"),
    path("v1/reconciliation/sign-off", BillSignOffs.as_view(), name="sign_off_bills"),
    path("v1/reconciliation/true-up", BillTrueUps.as_view(), name="book_true_up"),
    path("v1/reconciliation/tolerance", BillTolerances.as_view(), name="set_bill_tolerance"),
    path("v1/forecast", MonthForecast.as_view(), name="get_forecast"),
    path("v1/forecast/runs", ForecastRuns.as_view(), name="list_forecast_runs"),
    path("v1/forecast/events", ForecastEvents.as_view(), name="add_forecast_event"),
    path("v1/forecast/events/<int:event_id>", ForecastEventDetail.as_view(), name="remove_forecast_event"),
    path("v1/quota/decisions", QuotaDecisions.as_view(), name="list_quota_decisions"),
    path("v1/me", Me.as_view(), name="get_me"),
    path("v1/schema", Schema.as_view(), name="get_schema"),
    path("v1/docs", Docs.as_view(), name="show_docs"),
    path(".well-known/tokenledger-keys", PublicKeys.as_view(), name="list_public_keys"),
    path("healthz", Health.as_view(), name="get_health"),
    path("readyz", Readiness.as_view(), name="get_readiness"),
    path("metrics", Metrics.as_view(), name="get_metrics"),
]
