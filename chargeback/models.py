"""Rules of chargeback, rates of exchange and bills as Django reads them; `migrations/sql` makes the tables."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class AllocationRule(models.Model):
    """One version of a rule that moves shared cost; terms: as `chargeback.core.rule_terms` writes them."""

    pk = models.CompositePrimaryKey("tenant_id", "rule_id", "version")
    tenant_id = models.BigIntegerField()
    rule_id = models.BigIntegerField()
    version = models.IntegerField()
    valid_from = models.DateField()  # a month by its first day, as is valid_to: until before it
    valid_to = models.DateField(null=True)
    terms = models.JSONField()
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "allocation_rule"


class ChargeRule(models.Model):
    """One version of a markup, discount, fee, least charge or credit."""

    pk = models.CompositePrimaryKey("tenant_id", "rule_id", "version")
    tenant_id = models.BigIntegerField()
    rule_id = models.BigIntegerField()
    version = models.IntegerField()
    kind = models.TextField()
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)
    terms = models.JSONField()
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "charge_rule"


class BillingSetting(models.Model):
    """The currency that a tenant is billed in from a month on."""

    pk = models.CompositePrimaryKey("tenant_id", "valid_from", "id")
    tenant_id = models.BigIntegerField()
    valid_from = models.DateField()
    id = models.BigIntegerField()
    currency = models.TextField()
    set_by = models.TextField()
    set_at = models.DateTimeField()

    class Meta:
        db_table = "billing_setting"


class FxRate(models.Model):
    """What one USD is worth on a day, of a currency; the operator's, for every tenant."""

    currency = models.TextField()
    day = models.DateField()
    rate = models.DecimalField(max_digits=20, decimal_places=10)
    source = models.TextField(blank=True)
    entered_by = models.TextField()
    entered_at = models.DateTimeField()

    class Meta:
        db_table = "fx_rate"
        indexes = [models.Index(fields=["currency", "day", "id"], name="fx_rate_by_day")]


AMOUNT = {"max_digits": 60, "decimal_places": 40}  # of a provider's bill, every digit of it


class ProviderBill(models.Model):
    """A file of a provider as it was imported. totals: by currency; notes: what was told of its lines."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    filename = models.TextField()
    format = models.TextField()  # chargeback.core.bills.FORMATS
    sha256 = models.TextField()
    size_bytes = models.BigIntegerField()
    is_part = models.BooleanField()  # adds to its days, and restates none
    first_day = models.DateField()
    last_day = models.DateField()
    charges = models.IntegerField()
    providers = ArrayField(models.TextField())
    totals = models.JSONField()
    notes = models.JSONField()
    restated = models.JSONField()  # days that another file had told otherwise
    imported_by = models.TextField()
    imported_at = models.DateTimeField()
    withdrawn_by = models.TextField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "provider_bill"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "sha256"], condition=Q(withdrawn_at=None), name="provider_bill_once"
            )
        ]


class BillCharge(models.Model):
    """A line of a bill, `chargeback.core.bills.BillCharge`, kept."""

    pk = models.CompositePrimaryKey("tenant_id", "bill_id", "line")
    tenant_id = models.BigIntegerField()
    bill_id = models.BigIntegerField()
    line = models.IntegerField()
    day = models.DateField()  # of UTC
    filed_day = models.DateField()  # the day with which it is restated
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    provider = models.TextField()  # the rate book's id
    account = models.TextField()
    model = models.TextField()  # as the bill spells it
    description = models.TextField()
    amount = models.DecimalField(**AMOUNT)
    currency = models.TextField()
    category = models.TextField()
    line_id = models.TextField()

    class Meta:
        db_table = "bill_charge"
        indexes = [models.Index(fields=["tenant_id", "day"], name="bill_charge_by_day")]


class BillDay(models.Model):
    """A day of which a file says all that a provider charges an account."""

    pk = models.CompositePrimaryKey("tenant_id", "provider", "account", "day", "bill_id")
    tenant_id = models.BigIntegerField()
    provider = models.TextField()
    account = models.TextField()
    day = models.DateField()
    bill_id = models.BigIntegerField()

    class Meta:
        db_table = "bill_day"


class BillMapping(models.Model):
    """Which column is what, remembered for all files with these columns: the newest counts."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    columns_hash = models.TextField()
    columns = models.JSONField()
    mapping = models.JSONField()
    kept_by = models.TextField()
    kept_at = models.DateTimeField()

    class Meta:
        db_table = "bill_mapping"
        indexes = [models.Index(fields=["tenant_id", "columns_hash", "id"], name="bill_mapping_by_columns")]


class BillTolerance(models.Model):
    """What may stay unexplained: the newest counts."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    absolute = models.DecimalField(max_digits=24, decimal_places=12)
    percent = models.DecimalField(max_digits=7, decimal_places=4)
    kept_by = models.TextField()
    kept_at = models.DateTimeField()

    class Meta:
        db_table = "bill_tolerance"


class VarianceDecision(models.Model):
    """How much of one row's variance a person explains. decision: one number for all rows of one act."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    decision = models.BigIntegerField()
    provider = models.TextField()
    model = models.TextField()
    day = models.DateField()
    reason = models.TextField()
    amount = models.DecimalField(**AMOUNT)
    comment = models.TextField()
    decided_by = models.TextField()
    decided_at = models.DateTimeField()

    class Meta:
        db_table = "variance_decision"
        indexes = [models.Index(fields=["tenant_id", "day"], name="variance_decision_by_day")]


class BillSignOff(models.Model):
    """What both sides of a month were when a person signed it: the newest counts."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    period = models.DateField()
    bill = models.DecimalField(**AMOUNT)
    ledger = models.DecimalField(**AMOUNT)
    unexplained = models.DecimalField(**AMOUNT)
    open_groups = models.IntegerField()
    comment = models.TextField()
    signed_by = models.TextField()
    signed_at = models.DateTimeField()

    class Meta:
        db_table = "bill_sign_off"
        indexes = [models.Index(fields=["tenant_id", "period", "id"], name="bill_sign_off_by_period")]


class ExportTarget(models.Model):
    """Where days are sent. settings: credentials, encrypted; empty once it is removed."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    name = models.TextField()
    kind = models.TextField()
    place = models.TextField()
    region = models.TextField()
    endpoint = models.TextField()
    is_path_style = models.BooleanField()
    first_day = models.DateField()
    is_enabled = models.BooleanField()
    settings = models.BinaryField()
    created_by = models.TextField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "export_target"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "name"], condition=Q(removed_at=None), name="export_target_name_once"
            )
        ]


class ExportRun(models.Model):
    """How a day fares on its way to a target."""

    pk = models.CompositePrimaryKey("tenant_id", "target_id", "day")
    tenant_id = models.BigIntegerField()
    target_id = models.BigIntegerField()
    day = models.DateField()
    state = models.TextField()
    attempts = models.IntegerField()
    retried_from = models.IntegerField()
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    last_error = models.TextField()
    finished_at = models.DateTimeField(null=True)
    rows = models.BigIntegerField(null=True)
    bytes = models.BigIntegerField(null=True)
    billed_cost = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    content_sha256 = models.TextField()
    manifest_sha256 = models.TextField()

    class Meta:
        db_table = "export_run"
        indexes = [models.Index(fields=["tenant_id", "due_at"], condition=Q(state="waiting"), name="export_run_due")]


class ReportSubscription(models.Model):
    """Who gets which report by mail; scope: as `chargeback.core.reports.terms` has it."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    cadence = models.TextField()
    person = models.BigIntegerField(null=True)
    address = models.TextField()
    scope = models.JSONField()
    created_by = models.TextField()
    created_at = models.DateTimeField()
    ended_by = models.TextField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "report_subscription"


class ReportSent(models.Model):
    """How one report fares on its way to one who subscribed."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.UUIDField()
    subscription_id = models.BigIntegerField()
    first_day = models.DateField()
    after_day = models.DateField()
    is_test = models.BooleanField()
    state = models.TextField()
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    attempts = models.IntegerField()
    status = models.IntegerField(null=True)
    last_error = models.TextField()
    finished_at = models.DateTimeField(null=True)
    subject = models.TextField()
    body_text = models.TextField()
    body_html = models.TextField()

    class Meta:
        db_table = "report_sent"
