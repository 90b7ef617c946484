from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_business_driver")]

    operations = [
        run_sql_file(
            __file__,
            "0009_cost_histogram_week",
            state_operations=[
                migrations.CreateModel(
                    name="CostHistogramWeek",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "slice",
                                "week",
                                "environment",
                                "feature",
                                "model",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("slice", models.TextField()),
                        ("week", models.DateField()),
                        ("environment", models.TextField()),
                        ("feature", models.TextField()),
                        ("model", models.TextField()),
                        ("buckets", ArrayField(models.SmallIntegerField())),
                        ("calls", ArrayField(models.BigIntegerField())),
                    ],
                    options={"db_table": "cost_histogram_week"},
                ),
            ],
        ),
    ]
