"""Budgets and alerts as Django reads them; `migrations/sql` makes the tables."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

AMOUNT = {"max_digits": 24, "decimal_places": 6}
SPENT = {"max_digits": 30, "decimal_places": 12}


class Budget(models.Model):
    """`alerts.core.budgets.Budget`, kept: `scope`, `actions` and `per_request` as its document writes them."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    name = models.TextField()
    scope = models.JSONField()
    time_window = models.TextField()
    amount = models.DecimalField(**AMOUNT)
    currency = models.TextField()
    actions = models.JSONField()
    per_request = models.JSONField()
    parent_id = models.BigIntegerField(null=True)
    rollover = models.BooleanField()
    owner = models.TextField(blank=True)
    channel_ids = ArrayField(models.BigIntegerField())
    created_by = models.TextField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)  # it counts until then

    class Meta:
        db_table = "budget"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "name"], condition=Q(retired_at=None), name="budget_name_once")
        ]


class BudgetWindow(models.Model):
    """What the last evaluation saw of one window; a budget that was changed since may have another limit."""

    pk = models.CompositePrimaryKey("tenant_id", "budget_id", "window_start")
    tenant_id = models.BigIntegerField()
    budget_id = models.BigIntegerField()
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    limit_amount = models.DecimalField(**AMOUNT)  # with what the window before left over
    spent = models.DecimalField(**SPENT)
    forecast = models.DecimalField(**SPENT, null=True)  # of the whole window
    evaluated_at = models.DateTimeField()

    class Meta:
        db_table = "budget_window"
        indexes = [models.Index(fields=["window_end"], name="budget_window_by_end")]


class Alert(models.Model):
    """What a rule found, once an episode. facts: as docs/watch.md says, for the page and the messages.

    impact: what it costs beyond what was expected; told_impact: the same when last it was told, at `told_at`.
    channel_ids: where it is told, whatever the channels' own filters say; empty for the tenant's routing.
    """

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    rule = models.TextField()
    scope = models.JSONField()
    scope_hash = models.BinaryField()  # SHA-256, so that it fits a unique key
    episode = models.TextField()
    severity = models.TextField()  # info, warning, high, critical
    state = models.TextField()  # open, acknowledged, snoozed, resolved
    title = models.TextField()
    facts = models.JSONField()
    impact = models.DecimalField(**SPENT, null=True)
    told_impact = models.DecimalField(**SPENT, null=True)
    told_at = models.DateTimeField()
    budget_id = models.BigIntegerField(null=True)
    owner = models.TextField()
    channel_ids = ArrayField(models.BigIntegerField())
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    snoozed_until = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    feedback = models.TextField()  # '', real, planned, wrong

    class Meta:
        db_table = "alert"
        indexes = [models.Index(fields=["tenant_id", "opened_at", "id"], name="alert_by_time")]
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "rule", "scope_hash", "episode"], name="alert_once_an_episode")
        ]


class AlertEvent(models.Model):
    """A step of an alert, with who took it: '' for ourselves."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    alert_id = models.BigIntegerField()
    event = models.TextField()  # opened, grown, acknowledged, snoozed, woken, resolved, feedback
    happened_at = models.DateTimeField()
    actor = models.TextField()
    comment = models.TextField()
    facts = models.JSONField()

    class Meta:
        db_table = "alert_event"


class AlertChannel(models.Model):
    """Where alerts are told. settings: encrypted (alerts.secrets); target: what of them may be shown.

    A removed channel keeps its name for the deliveries that were made to it, and nothing of its settings.
    """

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    kind = models.TextField()  # email, slack, teams, pagerduty, webhook
    name = models.TextField()
    target = models.TextField()
    settings = models.BinaryField()
    owner = models.TextField()  # only what belongs to this owner; '': whoever's
    scope = models.JSONField()  # only what has these values in its scope
    severity_min = models.TextField()
    quiet_from = models.TimeField(null=True)  # in the tenant's zone, as is the digest's hour
    quiet_to = models.TimeField(null=True)
    digest_hour = models.SmallIntegerField(null=True)
    is_enabled = models.BooleanField()
    created_by = models.TextField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alert_channel"


class AlertDelivery(models.Model):
    """One message to one channel; it waits until it is delivered, dead, withheld, or collected into a digest.

    id: made of what is told to whom. retried_from: how many attempts had been made when somebody asked for more.
    """

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.UUIDField()
    channel_id = models.BigIntegerField()
    alert_id = models.BigIntegerField(null=True)
    event_id = models.BigIntegerField(null=True)
    digest_id = models.UUIDField(null=True)
    kind = models.TextField()  # opened, grown, acknowledged, resolved, digest, test
    state = models.TextField()  # waiting, delivered, collected, dead, withheld
    held_for = models.TextField()  # '', quiet hours, digest
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempt_count = models.IntegerField()
    retried_from = models.IntegerField()
    last_error = models.TextField()
    body = models.JSONField()  # alerts.core.messages.Message

    class Meta:
        db_table = "alert_delivery"


class AlertAttempt(models.Model):
    """One try to deliver. outcome: lost where the worker ended before it could say what became of it."""

    pk = models.CompositePrimaryKey("tenant_id", "delivery_id", "number")
    tenant_id = models.BigIntegerField()
    delivery_id = models.UUIDField()
    number = models.IntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.IntegerField(null=True)
    outcome = models.TextField()  # started, delivered, failed, refused, lost
    status = models.IntegerField(null=True)  # of HTTP or SMTP
    detail = models.TextField()

    class Meta:
        db_table = "alert_attempt"


class QuotaDecisionHour(models.Model):
    """How often a budget decided so; counter: by which set of counts, of Redis or of the database."""

    pk = models.CompositePrimaryKey("tenant_id", "budget_id", "hour", "decision", "counter")
    tenant_id = models.BigIntegerField()
    budget_id = models.BigIntegerField()
    hour = models.DateTimeField()
    decision = models.TextField()
    counter = models.TextField()
    checks = models.BigIntegerField()

    class Meta:
        db_table = "quota_decision_hour"


class QuotaHold(models.Model):
    """What was reserved while Redis was away."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.TextField()
    budget_ids = ArrayField(models.BigIntegerField())
    amount = models.DecimalField(max_digits=24, decimal_places=9)  # USD, in each of the budgets
    decision = models.TextField()
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)  # its event is booked

    class Meta:
        db_table = "quota_hold"
        indexes = [models.Index(fields=["tenant_id", "expires_at"], name="quota_hold_by_end")]


class WatchSetting(models.Model):
    """What a tenant has set of its thresholds, as `alerts.core.watch_settings` writes it; no row: the defaults."""

    tenant_id = models.BigIntegerField(primary_key=True)
    thresholds = models.JSONField()
    changed_by = models.TextField()
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "watch_setting"


class ForecastRun(models.Model):
    """What a night forecast of the rest of a month, from the day `made_on` on; money of those days, in USD.

    scope_kind: '' for the whole tenant. spent: by the month's days before. actual: what they did cost, once it is over.
    """

    pk = models.CompositePrimaryKey("tenant_id", "scope_kind", "scope_value", "month", "made_on")
    tenant_id = models.BigIntegerField()
    scope_kind = models.TextField(blank=True)  # environment, cost_center, feature, budget
    scope_value = models.TextField(blank=True)
    month = models.DateField()
    made_on = models.DateField()
    made_at = models.DateTimeField()
    method = models.TextField()
    days_elapsed = models.SmallIntegerField()
    days_ahead = models.SmallIntegerField()
    spent = models.DecimalField(**SPENT)
    expected = models.DecimalField(**SPENT)
    low = models.DecimalField(**SPENT)
    high = models.DecimalField(**SPENT)
    ceiling = models.DecimalField(**SPENT)
    run_rate = models.DecimalField(**SPENT)
    volatility = models.FloatField()
    growth = models.FloatField(null=True)
    bias = models.FloatField(null=True)
    coverage = models.FloatField(null=True)
    facts = models.JSONField()
    actual = models.DecimalField(**SPENT, null=True)

    class Meta:
        db_table = "forecast_run"


class ForecastEvent(models.Model):
    """Something known of a day beforehand: `alerts.core.outlooks.Event`, and by whom. It counts until it is removed."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    day = models.DateField()
    amount = models.DecimalField(**AMOUNT)
    cost_center = models.TextField(blank=True)
    feature = models.TextField(blank=True)
    note = models.TextField()
    added_by = models.TextField()
    added_at = models.DateTimeField()
    removed_by = models.TextField(null=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "forecast_event"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "day", "amount", "cost_center", "feature", "note"],
                condition=Q(removed_at=None),
                name="forecast_event_once",
            )
        ]
