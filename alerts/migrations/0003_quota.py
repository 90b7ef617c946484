from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("alerts", "0002_alerts")]

    operations = [
        run_sql_file(
            __file__,
            "0003_quota",
            state_operations=[
                migrations.CreateModel(
                    name="QuotaDecisionHour",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "budget_id",
                                "hour",
                                "decision",
                                "counter",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("budget_id", models.BigIntegerField()),
                        ("hour", models.DateTimeField()),
                        ("decision", models.TextField()),
                        ("counter", models.TextField()),
                        ("checks", models.BigIntegerField()),
                    ],
                    options={"db_table": "quota_decision_hour"},
                ),
                migrations.CreateModel(
                    name="QuotaHold",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.TextField()),
                        ("budget_ids", ArrayField(models.BigIntegerField())),
                        ("amount", models.DecimalField(decimal_places=9, max_digits=24)),
                        ("decision", models.TextField()),
                        ("expires_at", models.DateTimeField()),
                        ("settled_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "quota_hold",
                        "indexes": [models.Index(fields=["tenant_id", "expires_at"], name="quota_hold_by_end")],
                    },
                ),
            ],
        )
    ]
