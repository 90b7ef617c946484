"""The timetable: every periodic job, in one table. Beat only knocks; PostgreSQL knows what there is to do.

A daily job is knocked at every minute and runs once a day, however many beats there are; a day's run that was missed
is made up for at the next knock. The others find nothing to do when they are called once too often.
"""


def _every(task: str, seconds: int, *, queue: str = "") -> dict[str, object]:
    """A knock that is worthless once the next one is due. queue: of a process of its own, else the worker's."""
    options = {"expires": float(seconds)} | ({"queue": queue} if queue else {})
    return {"task": task, "schedule": float(seconds), "options": options}


def _daily(task: str, *, hour: int, minute: int) -> dict[str, object]:
    """A slot a day, beginning at this time UTC."""
    return _every(task, 60) | {"kwargs": {"hour": hour, "minute": minute}}


TIMETABLE = {
    "roll up what was booked": _every("billing.apply_rollups", 2),
    "seal what was booked": _every("ledger.seal", 2, queue="seal"),
    "count and book what rates change": _every("billing.work_rate_jobs", 2),
    "book what is owed by the month and the day": _every("billing.book_fees", 3600),
    "tell alerts": _every("alerts.deliver", 2),
    "show that beat and worker live": _every("billing.beat_heart", 10),
    "make evidence archives of long months": _every("audit.work_exports", 5),
    "send settled days to folders and buckets": _every("chargeback.export_days", 60),
    "settle traces that are quiet": _every("billing.settle_traces", 15),
    "drop spans that nobody asks for": _every("billing.prune_spans", 300),
    "count what quota checks decided": _every("alerts.fold_decisions", 60),
    "count intake": _every("billing.fold_intake", 60),
    "look for anomalies of minutes": _every("alerts.watch_minutes", 60),
    "tell what the sealer refuses": _every("alerts.watch_seals", 60),
    "look for anomalies of hours and days": _every("alerts.watch_hours", 60),
    "look at every budget": _every("alerts.evaluate_budgets", 60),
    "send reports by mail": _every("chargeback.send_reports", 60),
    "forecast months of tenants whose day is over": _every("alerts.make_forecasts", 600),
    "compare seals with the ledger": _every("ledger.check_seals", 3600, queue="seal"),
    "make partitions ahead": _every("ledger.ensure_partitions", 3600),
    "drop minutes after 30 days": _daily("billing.prune_calls_minute", hour=1, minute=10),
    "drop rejected events after 30 days": _daily("billing.prune_rejected_events", hour=1, minute=20),
    "delete prompts and completions whose time is over": _daily("billing.prune_contents", hour=1, minute=30),
    "reconcile rollups with the ledger": _daily("billing.reconcile_rollups", hour=2, minute=0),
}
