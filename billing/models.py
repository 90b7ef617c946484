"""The rate table, the rollups and the intake counts, as Django reads them; `migrations/sql` makes them."""

from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import models

MONEY = {"max_digits": 24, "decimal_places": 12}


class RateVersion(models.Model):
    """One model's whole price list during an interval, under one set of conditions.

    `document` is the rate as `docs/rates.md` writes it, without its interval; `content_hash` is the SHA-256 of
    its canonical JSON, so closing a version at its successor's start does not change what an entry's leaf names.
    """

    provider = models.TextField()
    model = models.TextField()
    match = models.TextField()  # exact, prefix, pattern
    tenant_id = models.BigIntegerField(default=0)  # 0: every tenant
    service_tier = models.TextField()
    region = models.TextField(blank=True, default="")  # '': every region
    time_window = models.TextField(blank=True, default="")  # 'HH:MM-HH:MM' UTC, half-open; '': all day
    origin = models.TextField()  # genai-prices, file, custom
    effective = DateTimeRangeField()  # half-open; empty once wholly replaced
    currency = models.TextField()
    document = models.JSONField()
    content_hash = models.BinaryField()
    state = models.TextField()  # draft, in_review, published, superseded, withdrawn
    created_by = models.TextField()
    created_at = models.DateTimeField()
    authors = ArrayField(models.TextField(), default=list)  # who wrote any of it: none of them approves it
    submitted_by = models.TextField(blank=True, default="")
    submitted_at = models.DateTimeField(null=True)
    replaces_id = models.BigIntegerField(null=True)  # what was in force at its start when it was submitted
    approved_by = models.TextField(blank=True, default="")
    published_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "rate_version"


class RateAct(models.Model):
    """What somebody did to a rate version; `entry_id` is the act in the operator's ledger."""

    rate_version_id = models.BigIntegerField()
    act = models.TextField()
    actor = models.TextField()
    comment = models.TextField(blank=True, default="")
    acted_at = models.DateTimeField()
    entry_id = models.TextField()

    class Meta:
        db_table = "rate_act"


class RateJob(models.Model):
    """Counting what a rate version changes, or booking it: how far it came, and what it found.

    A projection counts what the 30 days before it was asked for would have cost by a rate that begins later.

    `targets` are [tenant, provider, model] one after another, `target_number` the one at work, and `after_*` the last
    call of it that was read. `impact` is `billing.core.impacts.Impact`, written.

    A re-allocation is of no rate: it gives a tenant's calls of [`used_from`, `used_to`) cost centres.
    """

    kind = models.TextField()  # preview, projection, rerating, reallocation
    rate_version_id = models.BigIntegerField(null=True)
    tenant_id = models.BigIntegerField(default=0)  # 0: the job is of a rate
    used_from = models.DateTimeField(null=True)
    used_to = models.DateTimeField(null=True)
    state = models.TextField()  # waiting, running, paused, cancelled, done, failed
    reason = models.TextField(blank=True, default="")
    requested_by = models.TextField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    targets = models.JSONField(default=list)
    target_number = models.IntegerField(default=0)
    after_time = models.DateTimeField(null=True)
    after_batch_id = models.UUIDField(null=True)
    after_line = models.IntegerField(null=True)
    entries_expected = models.BigIntegerField(default=0)
    entries_read = models.BigIntegerField(default=0)
    impact = models.JSONField(default=list)
    error = models.TextField(blank=True, default="")

    class Meta:
        db_table = "rate_job"


class RateUpload(models.Model):
    """A file of rates between being sent and being accepted; `document` as it was read."""

    name = models.TextField()
    document = models.JSONField()
    uploaded_by = models.TextField()
    uploaded_at = models.DateTimeField()

    class Meta:
        db_table = "rate_upload"


class RateEnding(models.Model):
    """The end of a published version that one person asks for and another one sets."""

    rate_version_id = models.BigIntegerField()
    ends_at = models.DateTimeField()
    state = models.TextField()  # waiting, done, withdrawn
    asked_by = models.TextField()
    asked_at = models.DateTimeField()
    decided_by = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "rate_ending"


class RateBookVersion(models.Model):
    """One row: the number that each publication raises, so that a process knows its rate book is old."""

    id = models.SmallIntegerField(primary_key=True)
    version = models.BigIntegerField()

    class Meta:
        db_table = "rate_book"


class ModelAlias(models.Model):
    """A raw provider and model string that means a canonical one."""

    provider = models.TextField()
    model = models.TextField()
    canonical_provider = models.TextField()
    canonical_model = models.TextField()

    class Meta:
        db_table = "model_alias"
        constraints = [models.UniqueConstraint(fields=["provider", "model"], name="model_alias_once")]


class Quantities(models.Model):
    """What every cost rollup adds up. Token buckets are disjoint but for the memo `reasoning_tokens`."""

    calls = models.BigIntegerField()
    unpriced_calls = models.BigIntegerField()
    error_calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    cache_write_1h_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    input_cost = models.DecimalField(max_digits=30, decimal_places=12)
    cache_read_cost = models.DecimalField(max_digits=30, decimal_places=12)
    cache_write_cost = models.DecimalField(max_digits=30, decimal_places=12)
    output_cost = models.DecimalField(max_digits=30, decimal_places=12)
    other_cost = models.DecimalField(max_digits=30, decimal_places=12)
    billed_cost = models.DecimalField(max_digits=30, decimal_places=12)
    list_cost = models.DecimalField(max_digits=30, decimal_places=12)
    saved_cost = models.DecimalField(max_digits=30, decimal_places=12)
    reported_cost = models.DecimalField(max_digits=30, decimal_places=12)

    class Meta:
        abstract = True


class CostHour(Quantities):
    """Cost by UTC hour and every dimension that a page filters by."""

    pk = models.CompositePrimaryKey(
        "tenant_id", "hour", "billing_period", "environment", "feature", "cost_center", "provider", "model",
        "operation", "service_tier", "api_key_id",
    )  # fmt: skip
    tenant_id = models.BigIntegerField()
    hour = models.DateTimeField()
    billing_period = models.DateField()
    environment = models.TextField()
    feature = models.TextField()
    cost_center = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    operation = models.TextField()
    service_tier = models.TextField()
    api_key_id = models.TextField()

    class Meta:
        db_table = "cost_hour"


class CostDay(Quantities):
    """The same by day in the tenant's reporting time zone."""

    pk = models.CompositePrimaryKey(
        "tenant_id", "day", "billing_period", "environment", "feature", "cost_center", "provider", "model",
        "operation", "service_tier", "api_key_id",
    )  # fmt: skip
    tenant_id = models.BigIntegerField()
    day = models.DateField()
    billing_period = models.DateField()
    environment = models.TextField()
    feature = models.TextField()
    cost_center = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    operation = models.TextField()
    service_tier = models.TextField()
    api_key_id = models.TextField()

    class Meta:
        db_table = "cost_day"


class CostSlice(Quantities):
    """Days and weeks by the environment and few dimensions, the other columns ''; `slice` says which: see `SLICES`."""

    pk = models.CompositePrimaryKey(
        "tenant_id", "slice", "span", "day", "environment", "feature", "cost_center", "provider", "model", "operation",
        "service_tier", "api_key_id",
    )  # fmt: skip
    tenant_id = models.BigIntegerField()
    slice = models.TextField()
    span = models.TextField()  # day, week
    day = models.DateField()  # the first, in the tenant's reporting time zone; a week's is a Monday
    environment = models.TextField()
    feature = models.TextField()
    cost_center = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    operation = models.TextField()
    service_tier = models.TextField()
    api_key_id = models.TextField()

    class Meta:
        db_table = "cost_slice"


class CostUserHour(Quantities):
    """Cost by UTC hour and user."""

    pk = models.CompositePrimaryKey("tenant_id", "hour", "environment", "feature", "model", "user_ref")
    tenant_id = models.BigIntegerField()
    hour = models.DateTimeField()
    environment = models.TextField()
    feature = models.TextField()
    model = models.TextField()
    user_ref = models.TextField()

    class Meta:
        db_table = "cost_user_hour"


class TraceCost(models.Model):
    """What a trace cost in an environment: its entries added up, and the first 20 of each name that they have."""

    pk = models.CompositePrimaryKey("tenant_id", "trace_id", "environment")
    tenant_id = models.BigIntegerField()
    trace_id = models.TextField()
    environment = models.TextField()
    first_at = models.DateTimeField()  # when its first call began
    last_at = models.DateTimeField()  # when its last one ended, as far as the events say how long they took
    day = models.DateField()  # of first_at, in UTC; PostgreSQL writes it
    calls = models.BigIntegerField()
    unpriced_calls = models.BigIntegerField()
    error_calls = models.BigIntegerField()
    tokens = models.BigIntegerField()  # in and out
    billed_cost = models.DecimalField(max_digits=30, decimal_places=12)
    features = ArrayField(models.TextField())
    user_refs = ArrayField(models.TextField())
    session_ids = ArrayField(models.TextField())
    model_names = ArrayField(models.TextField())

    class Meta:
        db_table = "trace_cost"
        indexes = [
            models.Index(
                fields=["tenant_id", "environment", "day", "billed_cost", "trace_id"],
                include=["first_at", "calls", "unpriced_calls"],
                name="trace_cost_by_cost",
            ),
        ]


class TraceDay(models.Model):
    """What the traces that began on a day, in UTC, add up to."""

    pk = models.CompositePrimaryKey("tenant_id", "environment", "day")
    tenant_id = models.BigIntegerField()
    environment = models.TextField()
    day = models.DateField()
    traces = models.BigIntegerField()
    calls = models.BigIntegerField()
    unpriced_calls = models.BigIntegerField()
    billed_cost = models.DecimalField(max_digits=30, decimal_places=12)

    class Meta:
        db_table = "trace_day"


class CallsMinute(models.Model):
    """Calls and cost by minute and feature, kept 30 days: what spikes are seen in."""

    pk = models.CompositePrimaryKey("tenant_id", "minute", "feature")
    tenant_id = models.BigIntegerField()
    minute = models.DateTimeField()
    feature = models.TextField()
    calls = models.BigIntegerField()
    error_calls = models.BigIntegerField()
    billed_cost = models.DecimalField(max_digits=30, decimal_places=12)

    class Meta:
        db_table = "calls_minute"


class Histogram(models.Model):
    """How many calls fell into each logarithmic bucket of a measure: mergeable, relative error at most 1 %.

    One row holds a whole histogram: a row per bucket would be several rows for each entry.
    """

    pk = models.CompositePrimaryKey("tenant_id", "day", "environment", "feature", "model", "measure")
    tenant_id = models.BigIntegerField()
    day = models.DateField()  # in the tenant's reporting time zone
    environment = models.TextField()
    feature = models.TextField()
    model = models.TextField()
    measure = models.TextField()  # billed_cost, input_tokens, output_tokens, latency_ms
    buckets = ArrayField(models.SmallIntegerField())  # rising; see `billing.core.histograms`
    calls = ArrayField(models.IntegerField())  # beside each bucket

    class Meta:
        db_table = "histogram"


class HistogramSlice(models.Model):
    """The same by days and weeks and few dimensions, the other columns ''; `slice` says which: `HISTOGRAM_SLICES`."""

    pk = models.CompositePrimaryKey(
        "tenant_id", "slice", "span", "measure", "day", "environment", "feature", "model"
    )  # fmt: skip
    tenant_id = models.BigIntegerField()
    slice = models.TextField()
    span = models.TextField()  # day, week
    measure = models.TextField()
    day = models.DateField()  # the first, in the tenant's reporting time zone; a week's is a Monday
    environment = models.TextField()
    feature = models.TextField()
    model = models.TextField()
    buckets = ArrayField(models.SmallIntegerField())
    calls = ArrayField(models.BigIntegerField())

    class Meta:
        db_table = "histogram_slice"


class IntakeTally(models.Model):
    """What became of one request's events, until the rollup adds it to its hour."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.UUIDField()  # version 7
    received_at = models.DateTimeField()
    api_key_id = models.TextField()
    received = models.IntegerField()
    booked = models.IntegerField()
    duplicates = models.IntegerField()
    conflicts = models.IntegerField()
    rejected = models.IntegerField()

    class Meta:
        db_table = "intake_tally"


class IntakeHour(models.Model):
    """received = booked + duplicates + conflicts + rejected, by key and UTC hour of arrival."""

    pk = models.CompositePrimaryKey("tenant_id", "hour", "api_key_id")
    tenant_id = models.BigIntegerField()
    hour = models.DateTimeField()
    api_key_id = models.TextField()
    received = models.BigIntegerField()
    booked = models.BigIntegerField()
    duplicates = models.BigIntegerField()
    conflicts = models.BigIntegerField()
    rejected = models.BigIntegerField()

    class Meta:
        db_table = "intake_hour"


class Trace(models.Model):
    """One OpenTelemetry trace: its row is the lock under which its spans are decided on."""

    pk = models.CompositePrimaryKey("tenant_id", "trace_id")
    tenant_id = models.BigIntegerField()
    trace_id = models.TextField()  # 32 hexadecimal digits
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    has_call = models.BooleanField()  # a call of a model, or what stands for one
    is_waiting = models.BooleanField()  # a span waits for the trace to be quiet

    class Meta:
        db_table = "trace"
        indexes = [
            models.Index(fields=["tenant_id", "last_seen_at"], name="trace_by_last_seen"),
            models.Index(fields=["last_seen_at"], condition=models.Q(is_waiting=True), name="trace_waiting"),
        ]


class Span(models.Model):
    """One span: its place, its time, and what became of it. No text of a prompt or an answer is kept."""

    pk = models.CompositePrimaryKey("tenant_id", "trace_id", "span_id")
    tenant_id = models.BigIntegerField()
    trace_id = models.TextField()
    span_id = models.TextField()  # 16 hexadecimal digits
    parent_span_id = models.TextField()
    received_at = models.DateTimeField()
    started_at = models.DateTimeField()
    duration_us = models.BigIntegerField()
    name = models.TextField()
    operation = models.TextField()
    service = models.TextField()
    is_failed = models.BooleanField()
    has_usage = models.BooleanField()
    state = models.TextField()  # other, booked, waiting, inside, refused: see billing.core.spans.leaves
    entry_id = models.TextField()  # of the entry that holds its event
    api_key_id = models.TextField()
    event = models.TextField()  # JSON of the event that waits, '' otherwise

    class Meta:
        db_table = "span"


class BusinessDriver(models.Model):
    """How many orders, documents or seats a day had: of a day the newest row counts. See `billing.drivers`."""

    pk = models.CompositePrimaryKey("tenant_id", "name", "day", "id")
    tenant_id = models.BigIntegerField()
    name = models.TextField()
    day = models.DateField()  # in the tenant's reporting time zone
    id = models.BigIntegerField()  # rising
    quantity = models.DecimalField(max_digits=21, decimal_places=6, null=True)  # null: the day is taken back
    kept_by = models.TextField()
    kept_at = models.DateTimeField()

    class Meta:
        db_table = "business_driver"


class BillingPeriod(models.Model):
    """A tenant's month that something was done to; one without a row is open. See `billing.periods`."""

    pk = models.CompositePrimaryKey("tenant_id", "period")
    tenant_id = models.BigIntegerField()
    period = models.DateField()  # its first day
    state = models.TextField()  # open, in_review, closed
    changed_by = models.TextField()
    changed_at = models.DateTimeField()
    reopen_asked_by = models.TextField(blank=True, default="")  # of a closed one, until another person answers

    class Meta:
        db_table = "billing_period"


class BillingPeriodStep(models.Model):
    """A step of a month, never changed, and what stood in it when it was closed. See `billing.periods`."""

    pk = models.CompositePrimaryKey("tenant_id", "period", "id")
    tenant_id = models.BigIntegerField()
    period = models.DateField()
    id = models.BigIntegerField()  # rising
    step = models.TextField()
    actor = models.TextField()
    taken_at = models.DateTimeField()
    reason = models.TextField(blank=True)
    totals = models.TextField(blank=True, default="")  # canonical JSON
    totals_hash = models.BinaryField(default=b"")  # SHA-256 over `totals`

    class Meta:
        db_table = "billing_period_step"


class CostCenter(models.Model):
    """Who is charged: `code` is what an entry's `cost_center` holds. See `billing.cost_centers`."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()  # rising
    code = models.TextField()
    name = models.TextField()
    owner = models.TextField()
    gl_account = models.TextField()
    parent_id = models.BigIntegerField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "cost_center"


class MappingRule(models.Model):
    """Which calls without a cost centre are charged to one, the first by `position` that matches: `billing.mapping`."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()  # rising
    position = models.IntegerField()
    terms = models.JSONField()  # a list of `billing.core.mapping.Term`, users by their reference
    cost_center = models.TextField()
    valid_from = models.DateField(null=True)  # days of UTC, half-open; null: without a bound
    valid_to = models.DateField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "mapping_rule"


class JobRun(models.Model):
    """A scheduled job's slot: taken once, however many beats run."""

    pk = models.CompositePrimaryKey("job", "slot")
    job = models.TextField()
    slot = models.DateTimeField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    result = models.TextField(blank=True, default="")

    class Meta:
        db_table = "job_run"
