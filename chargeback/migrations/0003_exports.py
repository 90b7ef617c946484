from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("chargeback", "0002_bills")]

    operations = [
        run_sql_file(
            __file__,
            "0003_exports",
            state_operations=[
                migrations.CreateModel(
                    name="ExportRun",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "target_id",
                                "day",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("target_id", models.BigIntegerField()),
                        ("day", models.DateField()),
                        ("state", models.TextField()),
                        ("attempts", models.IntegerField()),
                        ("retried_from", models.IntegerField()),
                        ("due_at", models.DateTimeField()),
                        ("leased_until", models.DateTimeField(null=True)),
                        ("last_error", models.TextField()),
                        ("finished_at", models.DateTimeField(null=True)),
                        ("rows", models.BigIntegerField(null=True)),
                        ("bytes", models.BigIntegerField(null=True)),
                        ("billed_cost", models.DecimalField(decimal_places=12, max_digits=30, null=True)),
                        ("content_sha256", models.TextField()),
                        ("manifest_sha256", models.TextField()),
                    ],
                    options={
                        "db_table": "export_run",
                        "indexes": [
                            models.Index(
                                condition=models.Q(("state", "waiting")),
                                fields=["tenant_id", "due_at"],
                                name="export_run_due",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ExportTarget",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("name", models.TextField()),
                        ("kind", models.TextField()),
                        ("place", models.TextField()),
                        ("region", models.TextField()),
                        ("endpoint", models.TextField()),
                        ("is_path_style", models.BooleanField()),
                        ("first_day", models.DateField()),
                        ("is_enabled", models.BooleanField()),
                        ("settings", models.BinaryField()),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("changed_at", models.DateTimeField()),
                        ("removed_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "export_target",
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("removed_at", None)),
                                fields=("tenant_id", "name"),
                                name="export_target_name_once",
                            )
                        ],
                    },
                ),
            ],
        ),
    ]
