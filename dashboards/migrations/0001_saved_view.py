from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    initial = True

    dependencies = [("ledger", "0002_defences")]  # makes protect_tenant_table

    operations = [
        run_sql_file(
            __file__,
            "0001_saved_view",
            state_operations=[
                migrations.CreateModel(
                    name="SavedView",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.UUIDField()),
                        ("owner_id", models.BigIntegerField()),
                        ("is_operators", models.BooleanField()),
                        ("is_shared", models.BooleanField()),
                        ("name", models.TextField()),
                        ("page", models.TextField()),
                        ("query", models.TextField()),
                        ("saved_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "saved_view",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("tenant_id", "owner_id", "page", "name"), name="saved_view_name_once"
                            )
                        ],
                    },
                ),
            ],
        )
    ]
