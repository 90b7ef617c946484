import django.contrib.postgres.fields
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("ledger", "0002_defences"),  # makes protect_tenant_table
        ("tenants", "0006_fiscal_month"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0001_budgets",
            state_operations=[
                migrations.CreateModel(
                    name="Budget",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("name", models.TextField()),
                        ("scope", models.JSONField()),
                        ("time_window", models.TextField()),
                        ("amount", models.DecimalField(decimal_places=6, max_digits=24)),
                        ("currency", models.TextField()),
                        ("actions", models.JSONField()),
                        ("per_request", models.JSONField()),
                        ("parent_id", models.BigIntegerField(null=True)),
                        ("rollover", models.BooleanField()),
                        ("owner", models.TextField(blank=True)),
                        (
                            "channel_ids",
                            django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                        ),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("changed_at", models.DateTimeField()),
                        ("retired_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "budget",
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("retired_at", None)),
                                fields=("tenant_id", "name"),
                                name="budget_name_once",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="BudgetWindow",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "budget_id",
                                "window_start",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("budget_id", models.BigIntegerField()),
                        ("window_start", models.DateTimeField()),
                        ("window_end", models.DateTimeField()),
                        ("limit_amount", models.DecimalField(decimal_places=6, max_digits=24)),
                        ("spent", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("forecast", models.DecimalField(decimal_places=12, max_digits=30, null=True)),
                        ("evaluated_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "budget_window",
                        "indexes": [models.Index(fields=["window_end"], name="budget_window_by_end")],
                    },
                ),
            ],
        )
    ]
