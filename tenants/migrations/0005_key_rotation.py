from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_content_kept_days")]

    operations = [
        run_sql_file(
            __file__,
            "0005_key_rotation",
            state_operations=[
                migrations.AddField(
                    model_name="apikey",
                    name="created_by",
                    field=models.TextField(db_default="", default=""),
                ),
            ],
        )
    ]
