"""Rules of chargeback and rates of exchange as Django reads them; `migrations/sql` makes the tables."""

from django.db import models


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
