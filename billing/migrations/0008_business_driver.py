from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_trace_cost")]

    operations = [
        run_sql_file(
            __file__,
            "0008_business_driver",
            state_operations=[
                migrations.CreateModel(
                    name="BusinessDriver",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "name",
                                "day",
                                "id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("name", models.TextField()),
                        ("day", models.DateField()),
                        ("id", models.BigIntegerField()),
                        ("quantity", models.DecimalField(decimal_places=6, max_digits=21, null=True)),
                        ("kept_by", models.TextField()),
                        ("kept_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "business_driver",
                    },
                ),
            ],
        ),
    ]
