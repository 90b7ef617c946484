import django.contrib.postgres.fields
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0006_cost_slice"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0007_trace_cost",
            state_operations=[
                migrations.CreateModel(
                    name="TraceCost",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "trace_id",
                                "environment",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("trace_id", models.TextField()),
                        ("environment", models.TextField()),
                        ("first_at", models.DateTimeField()),
                        ("last_at", models.DateTimeField()),
                        ("day", models.DateField()),
                        ("calls", models.BigIntegerField()),
                        ("unpriced_calls", models.BigIntegerField()),
                        ("error_calls", models.BigIntegerField()),
                        ("tokens", models.BigIntegerField()),
                        ("billed_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        (
                            "features",
                            django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                        ),
                        (
                            "user_refs",
                            django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                        ),
                        (
                            "session_ids",
                            django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                        ),
                        (
                            "model_names",
                            django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                        ),
                    ],
                    options={
                        "db_table": "trace_cost",
                        "indexes": [
                            models.Index(
                                fields=["tenant_id", "environment", "day", "billed_cost", "trace_id"],
                                include=("first_at", "calls", "unpriced_calls"),
                                name="trace_cost_by_cost",
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
