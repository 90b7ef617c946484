from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_rate_workflow")]

    operations = [
        run_sql_file(
            __file__,
            "0005_rate_imports",
            state_operations=[
                migrations.CreateModel(
                    name="RateUpload",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.TextField()),
                        ("document", models.JSONField()),
                        ("uploaded_by", models.TextField()),
                        ("uploaded_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "rate_upload",
                    },
                ),
                migrations.CreateModel(
                    name="RateEnding",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("rate_version_id", models.BigIntegerField()),
                        ("ends_at", models.DateTimeField()),
                        ("state", models.TextField()),
                        ("asked_by", models.TextField()),
                        ("asked_at", models.DateTimeField()),
                        ("decided_by", models.TextField(blank=True, default="")),
                        ("decided_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "rate_ending",
                    },
                ),
            ],
        ),
    ]
