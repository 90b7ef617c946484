from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_cost_centers")]

    operations = [
        run_sql_file(
            __file__,
            "0014_histogram_slice",
            state_operations=[
                migrations.DeleteModel(name="CostHistogramWeek"),
                migrations.CreateModel(
                    name="HistogramSlice",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "slice",
                                "span",
                                "measure",
                                "day",
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
                        ("span", models.TextField()),
                        ("measure", models.TextField()),
                        ("day", models.DateField()),
                        ("environment", models.TextField()),
                        ("feature", models.TextField()),
                        ("model", models.TextField()),
                        ("buckets", ArrayField(models.SmallIntegerField())),
                        ("calls", ArrayField(models.BigIntegerField())),
                    ],
                    options={"db_table": "histogram_slice"},
                ),
            ],
        ),
    ]
