from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0005_rate_imports"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0006_cost_slice",
            state_operations=[
                migrations.CreateModel(
                    name="CostSlice",
                    fields=[
                        ("calls", models.BigIntegerField()),
                        ("unpriced_calls", models.BigIntegerField()),
                        ("error_calls", models.BigIntegerField()),
                        ("input_tokens", models.BigIntegerField()),
                        ("cache_read_tokens", models.BigIntegerField()),
                        ("cache_write_tokens", models.BigIntegerField()),
                        ("cache_write_1h_tokens", models.BigIntegerField()),
                        ("output_tokens", models.BigIntegerField()),
                        ("reasoning_tokens", models.BigIntegerField()),
                        ("input_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("cache_read_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("cache_write_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("output_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("other_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("billed_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("list_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("saved_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        ("reported_cost", models.DecimalField(decimal_places=12, max_digits=30)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "slice",
                                "span",
                                "day",
                                "environment",
                                "feature",
                                "cost_center",
                                "provider",
                                "model",
                                "operation",
                                "service_tier",
                                "api_key_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("slice", models.TextField()),
                        ("span", models.TextField()),
                        ("day", models.DateField()),
                        ("environment", models.TextField()),
                        ("feature", models.TextField()),
                        ("cost_center", models.TextField()),
                        ("provider", models.TextField()),
                        ("model", models.TextField()),
                        ("operation", models.TextField()),
                        ("service_tier", models.TextField()),
                        ("api_key_id", models.TextField()),
                    ],
                    options={
                        "db_table": "cost_slice",
                    },
                ),
            ],
        ),
    ]
