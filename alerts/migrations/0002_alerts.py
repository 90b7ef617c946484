import django.contrib.postgres.fields
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_budgets")]

    operations = [
        run_sql_file(
            __file__,
            "0002_alerts",
            state_operations=[
                migrations.CreateModel(
                    name="AlertAttempt",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "delivery_id",
                                "number",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("delivery_id", models.UUIDField()),
                        ("number", models.IntegerField()),
                        ("started_at", models.DateTimeField()),
                        ("duration_ms", models.IntegerField(null=True)),
                        ("outcome", models.TextField()),
                        ("status", models.IntegerField(null=True)),
                        ("detail", models.TextField()),
                    ],
                    options={
                        "db_table": "alert_attempt",
                    },
                ),
                migrations.CreateModel(
                    name="AlertChannel",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("kind", models.TextField()),
                        ("name", models.TextField()),
                        ("target", models.TextField()),
                        ("settings", models.BinaryField()),
                        ("owner", models.TextField()),
                        ("scope", models.JSONField()),
                        ("severity_min", models.TextField()),
                        ("quiet_from", models.TimeField(null=True)),
                        ("quiet_to", models.TimeField(null=True)),
                        ("digest_hour", models.SmallIntegerField(null=True)),
                        ("is_enabled", models.BooleanField()),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("changed_at", models.DateTimeField()),
                        ("removed_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "alert_channel",
                    },
                ),
                migrations.CreateModel(
                    name="AlertDelivery",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.UUIDField()),
                        ("channel_id", models.BigIntegerField()),
                        ("alert_id", models.BigIntegerField(null=True)),
                        ("event_id", models.BigIntegerField(null=True)),
                        ("digest_id", models.UUIDField(null=True)),
                        ("kind", models.TextField()),
                        ("state", models.TextField()),
                        ("held_for", models.TextField()),
                        ("queued_at", models.DateTimeField()),
                        ("due_at", models.DateTimeField()),
                        ("leased_until", models.DateTimeField(null=True)),
                        ("finished_at", models.DateTimeField(null=True)),
                        ("attempt_count", models.IntegerField()),
                        ("retried_from", models.IntegerField()),
                        ("last_error", models.TextField()),
                        ("body", models.JSONField()),
                    ],
                    options={
                        "db_table": "alert_delivery",
                    },
                ),
                migrations.CreateModel(
                    name="AlertEvent",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("alert_id", models.BigIntegerField()),
                        ("event", models.TextField()),
                        ("happened_at", models.DateTimeField()),
                        ("actor", models.TextField()),
                        ("comment", models.TextField()),
                        ("facts", models.JSONField()),
                    ],
                    options={
                        "db_table": "alert_event",
                    },
                ),
                migrations.CreateModel(
                    name="Alert",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("rule", models.TextField()),
                        ("scope", models.JSONField()),
                        ("scope_hash", models.BinaryField()),
                        ("episode", models.TextField()),
                        ("severity", models.TextField()),
                        ("state", models.TextField()),
                        ("title", models.TextField()),
                        ("facts", models.JSONField()),
                        ("impact", models.DecimalField(decimal_places=12, max_digits=30, null=True)),
                        ("told_impact", models.DecimalField(decimal_places=12, max_digits=30, null=True)),
                        ("told_at", models.DateTimeField()),
                        ("budget_id", models.BigIntegerField(null=True)),
                        ("owner", models.TextField()),
                        (
                            "channel_ids",
                            django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                        ),
                        ("opened_at", models.DateTimeField()),
                        ("changed_at", models.DateTimeField()),
                        ("snoozed_until", models.DateTimeField(null=True)),
                        ("resolved_at", models.DateTimeField(null=True)),
                        ("feedback", models.TextField()),
                    ],
                    options={
                        "db_table": "alert",
                        "indexes": [models.Index(fields=["tenant_id", "opened_at", "id"], name="alert_by_time")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("tenant_id", "rule", "scope_hash", "episode"), name="alert_once_an_episode"
                            )
                        ],
                    },
                ),
            ],
        )
    ]
