from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_cost_histogram_week")]

    operations = [
        run_sql_file(
            __file__,
            "0010_trace_day",
            state_operations=[
                migrations.CreateModel(
                    name="TraceDay",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "environment",
                                "day",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("environment", models.TextField()),
                        ("day", models.DateField()),
                        ("traces", models.BigIntegerField()),
                        ("calls", models.BigIntegerField()),
                        ("unpriced_calls", models.BigIntegerField()),
                        ("billed_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                    ],
                    options={"db_table": "trace_day"},
                ),
            ],
        ),
    ]
