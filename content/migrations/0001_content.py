from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("ledger", "0002_defences"),  # makes protect_tenant_table
        ("tenants", "0004_content_kept_days"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0001_content",
            state_operations=[
                migrations.CreateModel(
                    name="Content",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "event_source",
                                "event_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("event_source", models.TextField()),
                        ("event_id", models.TextField()),
                        ("digest", models.BinaryField()),
                        ("received_at", models.DateTimeField()),
                        ("kept_until", models.DateTimeField()),
                        ("api_key_id", models.TextField()),
                        ("redactions", models.JSONField()),
                        ("body", models.TextField()),
                    ],
                    options={
                        "db_table": "content",
                        "indexes": [models.Index(fields=["tenant_id", "kept_until"], name="content_by_end")],
                        "constraints": [
                            models.UniqueConstraint(fields=("tenant_id", "digest"), name="content_digest_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ContentAct",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.UUIDField()),
                        ("acted_at", models.DateTimeField()),
                        ("act", models.TextField()),
                        ("actor", models.TextField()),
                        ("event_source", models.TextField()),
                        ("event_id", models.TextField()),
                        ("digest", models.BinaryField()),
                    ],
                    options={
                        "db_table": "content_act",
                        "indexes": [
                            models.Index(fields=["tenant_id", "event_source", "event_id"], name="content_act_by_event")
                        ],
                    },
                ),
            ],
        )
    ]
