from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0002_api_key"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0001_ledger",
            state_operations=[
                migrations.CreateModel(
                    name="EventKey",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "key",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("key", models.UUIDField()),
                        ("fingerprint", models.UUIDField()),
                        ("batch_id", models.UUIDField()),
                        ("line", models.IntegerField()),
                        ("recorded_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "event_key",
                    },
                ),
                migrations.CreateModel(
                    name="LedgerBatch",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "batch_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("batch_id", models.UUIDField()),
                        ("recorded_at", models.DateTimeField()),
                        ("api_key_id", models.CharField(max_length=16)),
                        ("kind", models.CharField(max_length=16)),
                        ("entry_count", models.IntegerField()),
                        ("unpriced_count", models.IntegerField()),
                        ("billed_cost", models.DecimalField(decimal_places=12, max_digits=24)),
                        ("root", models.BinaryField()),
                        ("receipt", models.TextField()),
                    ],
                    options={
                        "db_table": "ledger_batch",
                    },
                ),
                migrations.CreateModel(
                    name="Outbox",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("topic", models.TextField()),
                        ("tenant_id", models.BigIntegerField()),
                        ("batch_id", models.UUIDField()),
                        ("recorded_at", models.DateTimeField()),
                        ("entry_count", models.IntegerField()),
                        ("tries", models.SmallIntegerField(default=0)),
                        ("not_before", models.DateTimeField()),
                        ("last_error", models.TextField(default="")),
                    ],
                    options={
                        "db_table": "outbox",
                    },
                ),
                migrations.CreateModel(
                    name="RejectedEvent",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.UUIDField()),
                        ("received_at", models.DateTimeField()),
                        ("api_key_id", models.TextField()),
                        ("event_id", models.TextField()),
                        ("code", models.TextField()),
                        ("detail", models.TextField()),
                        ("body", models.TextField()),
                        ("replayed_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "rejected_event",
                    },
                ),
                migrations.CreateModel(
                    name="LedgerEntry",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "batch_id",
                                "line",
                                "recorded_at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("batch_id", models.UUIDField()),
                        ("line", models.IntegerField()),
                        ("recorded_at", models.DateTimeField()),
                        ("charge_period_start", models.DateTimeField()),
                        ("billing_period", models.DateField()),
                        ("latency_ms", models.BigIntegerField(null=True)),
                        ("rate_version_id", models.BigIntegerField(null=True)),
                        ("input_tokens", models.BigIntegerField()),
                        ("cache_read_tokens", models.BigIntegerField()),
                        ("cache_write_tokens", models.BigIntegerField()),
                        ("cache_write_1h_tokens", models.BigIntegerField()),
                        ("output_tokens", models.BigIntegerField()),
                        ("reasoning_tokens", models.BigIntegerField()),
                        ("calls", models.SmallIntegerField()),
                        ("context_tier", models.SmallIntegerField()),
                        ("cache_hit", models.BooleanField()),
                        ("kind", models.TextField()),
                        ("corrects", models.TextField(null=True)),
                        ("event_source", models.TextField()),
                        ("event_id", models.TextField()),
                        ("response_id", models.TextField()),
                        ("api_key_id", models.TextField()),
                        ("environment", models.TextField()),
                        ("feature", models.TextField()),
                        ("user_ref", models.TextField()),
                        ("cost_center", models.TextField()),
                        ("customer_tier", models.TextField()),
                        ("session_id", models.TextField()),
                        ("trace_id", models.TextField()),
                        ("span_id", models.TextField()),
                        ("parent_span_id", models.TextField()),
                        ("tags", models.JSONField()),
                        ("operation", models.TextField()),
                        ("provider", models.TextField()),
                        ("model", models.TextField()),
                        ("requested_model", models.TextField()),
                        ("service_tier", models.TextField()),
                        ("region", models.TextField()),
                        ("status", models.TextField()),
                        ("finish_reason", models.TextField()),
                        ("prompt_hash", models.TextField()),
                        ("content_digest", models.TextField()),
                        ("other_usage", models.JSONField()),
                        ("currency", models.TextField()),
                        ("pricing_status", models.TextField()),
                        ("pricing_reason", models.TextField()),
                        ("input_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        ("cache_read_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        (
                            "cache_write_cost",
                            models.DecimalField(decimal_places=12, max_digits=24, null=True),
                        ),
                        ("output_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        ("other_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        ("billed_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        ("list_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        ("saved_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        ("reported_cost", models.DecimalField(decimal_places=12, max_digits=24, null=True)),
                        ("leaf", models.BinaryField()),
                    ],
                    options={
                        "db_table": "ledger_entry",
                        "indexes": [
                            models.Index(fields=["tenant_id", "charge_period_start"], name="entry_by_charge_period")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Person",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "user_ref",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("user_ref", models.CharField(max_length=24)),
                        ("external_id", models.TextField()),
                        ("created_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "person",
                        "constraints": [
                            models.UniqueConstraint(fields=("tenant_id", "external_id"), name="person_once")
                        ],
                    },
                ),
            ],
        ),
    ]
