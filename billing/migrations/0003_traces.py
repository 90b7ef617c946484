from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0002_hold_rate_book"),
        ("ledger", "0004_trace"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0003_traces",
            state_operations=[
                migrations.CreateModel(
                    name="Trace",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "trace_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("trace_id", models.TextField()),
                        ("first_seen_at", models.DateTimeField()),
                        ("last_seen_at", models.DateTimeField()),
                        ("has_call", models.BooleanField()),
                        ("is_waiting", models.BooleanField()),
                    ],
                    options={
                        "db_table": "trace",
                        "indexes": [
                            models.Index(fields=["tenant_id", "last_seen_at"], name="trace_by_last_seen"),
                            models.Index(
                                fields=["last_seen_at"],
                                condition=models.Q(("is_waiting", True)),
                                name="trace_waiting",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Span",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "trace_id",
                                "span_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("trace_id", models.TextField()),
                        ("span_id", models.TextField()),
                        ("parent_span_id", models.TextField()),
                        ("received_at", models.DateTimeField()),
                        ("started_at", models.DateTimeField()),
                        ("duration_us", models.BigIntegerField()),
                        ("name", models.TextField()),
                        ("operation", models.TextField()),
                        ("service", models.TextField()),
                        ("is_failed", models.BooleanField()),
                        ("has_usage", models.BooleanField()),
                        ("state", models.TextField()),
                        ("entry_id", models.TextField()),
                        ("api_key_id", models.TextField()),
                        ("event", models.TextField()),
                    ],
                    options={
                        "db_table": "span",
                    },
                ),
            ],
        ),
    ]
