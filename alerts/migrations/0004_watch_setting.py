from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_quota")]

    operations = [
        run_sql_file(
            __file__,
            "0004_watch_setting",
            state_operations=[
                migrations.CreateModel(
                    name="WatchSetting",
                    fields=[
                        ("tenant_id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("thresholds", models.JSONField()),
                        ("changed_by", models.TextField()),
                        ("changed_at", models.DateTimeField()),
                    ],
                    options={"db_table": "watch_setting"},
                ),
            ],
        )
    ]
