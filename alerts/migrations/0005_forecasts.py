from django.db import migrations, models

from tenants.operations import run_sql_file

AMOUNT = {"max_digits": 24, "decimal_places": 6}
SPENT = {"max_digits": 30, "decimal_places": 12}


class Migration(migrations.Migration):
    dependencies = [("alerts", "0004_watch_setting")]

    operations = [
        run_sql_file(
            __file__,
            "0005_forecasts",
            state_operations=[
                migrations.CreateModel(
                    name="ForecastRun",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "scope_kind",
                                "scope_value",
                                "month",
                                "made_on",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("scope_kind", models.TextField(blank=True)),
                        ("scope_value", models.TextField(blank=True)),
                        ("month", models.DateField()),
                        ("made_on", models.DateField()),
                        ("made_at", models.DateTimeField()),
                        ("method", models.TextField()),
                        ("days_elapsed", models.SmallIntegerField()),
                        ("days_ahead", models.SmallIntegerField()),
                        ("spent", models.DecimalField(**SPENT)),
                        ("expected", models.DecimalField(**SPENT)),
                        ("low", models.DecimalField(**SPENT)),
                        ("high", models.DecimalField(**SPENT)),
                        ("ceiling", models.DecimalField(**SPENT)),
                        ("run_rate", models.DecimalField(**SPENT)),
                        ("volatility", models.FloatField()),
                        ("growth", models.FloatField(null=True)),
                        ("bias", models.FloatField(null=True)),
                        ("coverage", models.FloatField(null=True)),
                        ("facts", models.JSONField()),
                        ("actual", models.DecimalField(**SPENT, null=True)),
                    ],
                    options={"db_table": "forecast_run"},
                ),
                migrations.CreateModel(
                    name="ForecastEvent",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("day", models.DateField()),
                        ("amount", models.DecimalField(**AMOUNT)),
                        ("cost_center", models.TextField(blank=True)),
                        ("feature", models.TextField(blank=True)),
                        ("note", models.TextField()),
                        ("added_by", models.TextField()),
                        ("added_at", models.DateTimeField()),
                        ("removed_by", models.TextField(null=True)),
                        ("removed_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "forecast_event",
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("removed_at", None)),
                                fields=("tenant_id", "day", "amount", "cost_center", "feature", "note"),
                                name="forecast_event_once",
                            )
                        ],
                    },
                ),
            ],
        )
    ]
