import django.contrib.postgres.fields
from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0003_traces"),
        ("ledger", "0005_by_model"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0004_rate_workflow",
            state_operations=[
                migrations.CreateModel(
                    name="RateAct",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("rate_version_id", models.BigIntegerField()),
                        ("act", models.TextField()),
                        ("actor", models.TextField()),
                        ("comment", models.TextField(blank=True, default="")),
                        ("acted_at", models.DateTimeField()),
                        ("entry_id", models.TextField()),
                    ],
                    options={
                        "db_table": "rate_act",
                    },
                ),
                migrations.CreateModel(
                    name="RateJob",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("kind", models.TextField()),
                        ("rate_version_id", models.BigIntegerField()),
                        ("state", models.TextField()),
                        ("reason", models.TextField(blank=True, default="")),
                        ("requested_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("started_at", models.DateTimeField(null=True)),
                        ("finished_at", models.DateTimeField(null=True)),
                        ("targets", models.JSONField(default=list)),
                        ("target_number", models.IntegerField(default=0)),
                        ("after_time", models.DateTimeField(null=True)),
                        ("after_batch_id", models.UUIDField(null=True)),
                        ("after_line", models.IntegerField(null=True)),
                        ("entries_expected", models.BigIntegerField(default=0)),
                        ("entries_read", models.BigIntegerField(default=0)),
                        ("impact", models.JSONField(default=list)),
                        ("error", models.TextField(blank=True, default="")),
                    ],
                    options={
                        "db_table": "rate_job",
                    },
                ),
                migrations.AddField(
                    model_name="rateversion",
                    name="authors",
                    field=django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                migrations.AddField(
                    model_name="rateversion",
                    name="submitted_by",
                    field=models.TextField(blank=True, default=""),
                ),
                migrations.AddField(
                    model_name="rateversion",
                    name="submitted_at",
                    field=models.DateTimeField(null=True),
                ),
                migrations.AddField(
                    model_name="rateversion",
                    name="replaces_id",
                    field=models.BigIntegerField(null=True),
                ),
            ],
        ),
    ]
