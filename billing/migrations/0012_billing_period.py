from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_sealer_runs"), ("ledger", "0006_seals")]

    operations = [
        run_sql_file(
            __file__,
            "0012_billing_period",
            state_operations=[
                migrations.CreateModel(
                    name="BillingPeriod",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "period",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("period", models.DateField()),
                        ("state", models.TextField()),
                        ("changed_by", models.TextField()),
                        ("changed_at", models.DateTimeField()),
                        ("reopen_asked_by", models.TextField(blank=True, default="")),
                    ],
                    options={
                        "db_table": "billing_period",
                    },
                ),
                migrations.CreateModel(
                    name="BillingPeriodStep",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "period",
                                "id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("period", models.DateField()),
                        ("id", models.BigIntegerField()),
                        ("step", models.TextField()),
                        ("actor", models.TextField()),
                        ("taken_at", models.DateTimeField()),
                        ("reason", models.TextField(blank=True)),
                        ("totals", models.TextField(blank=True, default="")),
                        ("totals_hash", models.BinaryField(default=b"")),
                    ],
                    options={
                        "db_table": "billing_period_step",
                    },
                ),
            ],
        ),
    ]
