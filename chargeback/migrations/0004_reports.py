from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("chargeback", "0003_exports")]

    operations = [
        run_sql_file(
            __file__,
            "0004_reports",
            state_operations=[
                migrations.CreateModel(
                    name="ReportSent",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.UUIDField()),
                        ("subscription_id", models.BigIntegerField()),
                        ("first_day", models.DateField()),
                        ("after_day", models.DateField()),
                        ("is_test", models.BooleanField()),
                        ("state", models.TextField()),
                        ("queued_at", models.DateTimeField()),
                        ("due_at", models.DateTimeField()),
                        ("leased_until", models.DateTimeField(null=True)),
                        ("attempts", models.IntegerField()),
                        ("status", models.IntegerField(null=True)),
                        ("last_error", models.TextField()),
                        ("finished_at", models.DateTimeField(null=True)),
                        ("subject", models.TextField()),
                        ("body_text", models.TextField()),
                        ("body_html", models.TextField()),
                    ],
                    options={"db_table": "report_sent"},
                ),
                migrations.CreateModel(
                    name="ReportSubscription",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("cadence", models.TextField()),
                        ("person", models.BigIntegerField(null=True)),
                        ("address", models.TextField()),
                        ("scope", models.JSONField()),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("ended_by", models.TextField()),
                        ("ended_at", models.DateTimeField(null=True)),
                    ],
                    options={"db_table": "report_subscription"},
                ),
            ],
        ),
    ]
