from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("chargeback", "0001_rules")]

    operations = [
        run_sql_file(
            __file__,
            "0002_bills",
            state_operations=[
                migrations.CreateModel(
                    name="BillDay",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "provider",
                                "account",
                                "day",
                                "bill_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("provider", models.TextField()),
                        ("account", models.TextField()),
                        ("day", models.DateField()),
                        ("bill_id", models.BigIntegerField()),
                    ],
                    options={
                        "db_table": "bill_day",
                    },
                ),
                migrations.CreateModel(
                    name="BillTolerance",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("absolute", models.DecimalField(decimal_places=12, max_digits=24)),
                        ("percent", models.DecimalField(decimal_places=4, max_digits=7)),
                        ("kept_by", models.TextField()),
                        ("kept_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "bill_tolerance",
                    },
                ),
                migrations.CreateModel(
                    name="BillCharge",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "bill_id",
                                "line",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("bill_id", models.BigIntegerField()),
                        ("line", models.IntegerField()),
                        ("day", models.DateField()),
                        ("filed_day", models.DateField()),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField()),
                        ("provider", models.TextField()),
                        ("account", models.TextField()),
                        ("model", models.TextField()),
                        ("description", models.TextField()),
                        ("amount", models.DecimalField(decimal_places=40, max_digits=60)),
                        ("currency", models.TextField()),
                        ("category", models.TextField()),
                        ("line_id", models.TextField()),
                    ],
                    options={
                        "db_table": "bill_charge",
                        "indexes": [models.Index(fields=["tenant_id", "day"], name="bill_charge_by_day")],
                    },
                ),
                migrations.CreateModel(
                    name="BillMapping",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("columns_hash", models.TextField()),
                        ("columns", models.JSONField()),
                        ("mapping", models.JSONField()),
                        ("kept_by", models.TextField()),
                        ("kept_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "bill_mapping",
                        "indexes": [
                            models.Index(fields=["tenant_id", "columns_hash", "id"], name="bill_mapping_by_columns")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="BillSignOff",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("period", models.DateField()),
                        ("bill", models.DecimalField(decimal_places=40, max_digits=60)),
                        ("ledger", models.DecimalField(decimal_places=40, max_digits=60)),
                        ("unexplained", models.DecimalField(decimal_places=40, max_digits=60)),
                        ("open_groups", models.IntegerField()),
                        ("comment", models.TextField()),
                        ("signed_by", models.TextField()),
                        ("signed_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "bill_sign_off",
                        "indexes": [models.Index(fields=["tenant_id", "period", "id"], name="bill_sign_off_by_period")],
                    },
                ),
                migrations.CreateModel(
                    name="ProviderBill",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("filename", models.TextField()),
                        ("format", models.TextField()),
                        ("sha256", models.TextField()),
                        ("size_bytes", models.BigIntegerField()),
                        ("is_part", models.BooleanField()),
                        ("first_day", models.DateField()),
                        ("last_day", models.DateField()),
                        ("charges", models.IntegerField()),
                        ("providers", ArrayField(base_field=models.TextField(), size=None)),
                        ("totals", models.JSONField()),
                        ("notes", models.JSONField()),
                        ("restated", models.JSONField()),
                        ("imported_by", models.TextField()),
                        ("imported_at", models.DateTimeField()),
                        ("withdrawn_by", models.TextField()),
                        ("withdrawn_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "provider_bill",
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("withdrawn_at", None)),
                                fields=("tenant_id", "sha256"),
                                name="provider_bill_once",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="VarianceDecision",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("decision", models.BigIntegerField()),
                        ("provider", models.TextField()),
                        ("model", models.TextField()),
                        ("day", models.DateField()),
                        ("reason", models.TextField()),
                        ("amount", models.DecimalField(decimal_places=40, max_digits=60)),
                        ("comment", models.TextField()),
                        ("decided_by", models.TextField()),
                        ("decided_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "variance_decision",
                        "indexes": [models.Index(fields=["tenant_id", "day"], name="variance_decision_by_day")],
                    },
                ),
            ],
        ),
    ]
