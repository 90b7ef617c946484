"""What is no administrator's deed, or comes to its act by another way, and why."""

import re

USAGE = "usage: what is booked is an entry itself, under its key"
DERIVED = "made from the ledger, and made again from it at any time"
HISTORY = "kept in a history of its own that nothing is taken out of: `alert_event`"
SENDING = "how a message fares on its way"
RETENTION = "drops what its time is over for, by a rule that everybody knows"
RUNS = "which job ran when"
HOLDS = "what a quota check holds and counts"
SEALING = "the proof of what is booked: a signed tree, written by the sealer alone"

EXPORTING = "how a day fares on its way to a target: the days of each stand on its page"

# Writes that are none of an administrator's, and why.
NO_ACTS = {
    **dict.fromkeys(
        (f"chargeback.exports.runs.{name}" for name in ("_end", "_make_keep", "_postpone", "claim_day", "queue_days")),
        EXPORTING,
    ),
    "audit.export_jobs._end": RUNS,
    "audit.export_jobs._tell": RUNS,
    "audit.export_jobs.ask_export": RUNS,
    "alerts.decisions._keep_tallies": HOLDS,
    "alerts.decisions.count_decision": HOLDS,
    "alerts.deliveries._take": SENDING,
    "alerts.deliveries.gather_digests": SENDING,
    "alerts.episodes._add_event": HISTORY,
    "alerts.episodes.give_feedback": HISTORY,
    "alerts.episodes.open_alert": HISTORY,
    "alerts.evaluation._keep_windows": DERIVED,
    "alerts.forecasts.nightly._tell_budgets": DERIVED,
    "alerts.forecasts.records.keep_runs": DERIVED,
    "alerts.forecasts.records.settle_runs": DERIVED,
    "alerts.holds.add_hold": HOLDS,
    "alerts.holds.settle_holds": HOLDS,
    "alerts.outbox._refresh_unsent": SENDING,
    "alerts.outbox.queue_delivery": SENDING,
    "chargeback.reports.sending._write": SENDING,
    "chargeback.reports.sending.claim_report": SENDING,
    "chargeback.reports.sending.finish_report": SENDING,
    "chargeback.reports.subscriptions.queue_report": SENDING,
    "billing.ingestion._keep_rejected": USAGE,
    "billing.ingestion._keep_tallies": USAGE,
    "billing.job_runs.claim_slot": RUNS,
    "billing.job_runs.end_turn": RUNS,
    "billing.job_runs.forget_slots": RUNS,
    "billing.job_runs.record_run": RUNS,
    "billing.job_runs.record_success": RUNS,
    "billing.job_runs.take_turn": RUNS,
    "billing.rates.imports.keep_upload": "a file to look at: what is accepted of it is an act",
    "billing.reratings.jobs._start_count": "counts what a rate would change, and changes nothing",
    "billing.rollups.batches._add_batches": DERIVED,
    "billing.rollups.batches._claim_batches": DERIVED,
    "billing.rollups.batches.retry_failed_batches": DERIVED,
    "billing.rollups.intake.fold_tallies": DERIVED,
    "billing.rollups.retention.prune_calls_minute": RETENTION,
    "billing.rollups.tables.add_batches_to": DERIVED,
    "billing.rollups.tables.add_batches_to_costs": DERIVED,
    "billing.rollups.tables.add_batches_to_histograms": DERIVED,
    "billing.rollups.tables.add_batches_to_traces": DERIVED,
    "billing.rollups.tables.clear_rows_of": DERIVED,
    "billing.rollups.tables.sum_ledger_into": DERIVED,
    "billing.spans.kept.keep_spans": USAGE,
    "billing.spans.kept.note_waiting": USAGE,
    "billing.spans.kept.prune_spans": RETENTION,
    "billing.spans.kept.settle_spans": USAGE,
    "billing.spans.kept.touch_traces": USAGE,
    "content.contents.keep_content": USAGE,
    "content.contents.prune_contents": RETENTION,
    "content.contents.read_content": "who read it is kept in `content_act`, which nothing is taken out of",
    "dashboards.saved_views.delete_view": "a person's own bookmark",
    "dashboards.saved_views.save_view": "a person's own bookmark",
    "ledger.append._claim_event_keys": USAGE,
    "ledger.append._keep_batches": USAGE,
    "ledger.people.refer_to_people": USAGE,
    "ledger.rejected.keep_rejected": USAGE,
    "ledger.rejected.mark_replayed": "by a key: the entry in its place is the key's own; a person's has an act",
    "ledger.rejected.prune_rejected": RETENTION,
    "tenants.models.UserManager.create_user": "what the library asks for; nobody signs up (`dashboards.accounts`)",
}  # fmt: skip
NO_ACTS_BELOW = {"ledger.sealing.": SEALING}

# What comes to acts by way of others that are walked themselves.
SEALED = "walked where there are seals to decide about: tests/ledger/test_sealing_keys.py"
IS_DEMO = re.compile(r"\.demo(_\w+)?\.")
COMPOSED = {
    "ledger.sealing.decisions.accept_key": SEALED,
    "ledger.sealing.decisions.accept_log": SEALED,
    "ledger.sealing.decisions.accept_memory": SEALED,
    "ledger.sealing.decisions.accept_tree": SEALED,
    "ledger.sealing.decisions.queue_missed": SEALED,
    "ledger.sealing.rotation.replace_key": SEALED,
    "chargeback.reports.subscriptions.unsubscribe": "`end_subscription`, by whoever has the link of its mail",
    "billing.reratings.jobs.work_jobs": "the job that somebody started: its end is an act",
}

READS = "answers a question, and keeps nothing"
# Calls and forms that change nothing of an administrator's, and why.
DOORS_WITHOUT_ACTS = {
    "POST /settings/exports": "tests a target: writes a file there, and nothing here",
    "POST /v1/export-targets/<int:target_id>/test": "writes a file there, and nothing here",
    "POST /v1/alerts/<int:alert_id>/<str:step>": HISTORY,
    "POST /v1/budgets/try": READS,
    "POST /v1/chargeback/rules/<str:family>/try": READS,
    "POST /v1/content": USAGE,
    "POST /v1/events": USAGE,
    "POST /v1/logs": USAGE,
    "POST /v1/mapping-rules/try": READS,
    "POST /v1/metrics": USAGE,
    "POST /v1/quota/check": HOLDS,
    "POST /v1/rates/<int:rate_id>/previews": READS,
    "POST /v1/rates/examination": READS,
    "POST /v1/rejected/<uuid:rejected_id>/replay": "the entry in its place is the key's own",
    "POST /v1/traces": USAGE,
    "POST /alerts": HISTORY,
    "POST /alerts/<int:alert_id>": HISTORY,
    "POST /audit": "compares seals, and keeps when that was",
    "POST /audit/export": "a file of what the tenant reads anyway",
    "POST /v1/audit/exports": "a file of what the tenant reads anyway",
    "POST /ledger/<entry_id:entry_id>/content": "who read it is kept in `content_act`",
    "POST /rates/check": READS,
    "POST /rates/try": READS,
    "POST /sign-in": "a session",
    "POST /sign-out": "a session",
    "POST /theme": "a cookie",
    "POST /views": "a person's own bookmark",
    "POST /views/<uuid:view_id>/discard": "a person's own bookmark",
}
COMMANDS_WITHOUT_ACTS = {
    "bundle": READS,
    "check_focus": READS,
    "doctor": READS,
    "list_api_keys": READS,
    "load_log": USAGE,
    "load_trace": USAGE,
    "reconcile": DERIVED,
    "setup_database": "before there is a ledger",
    "simulate": USAGE,
    "up": "starts processes",
}
