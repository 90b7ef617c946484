from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_limits")]

    operations = [
        run_sql_file(
            __file__,
            "0004_content_kept_days",
            state_operations=[
                migrations.AddField(
                    model_name="tenant",
                    name="content_kept_days",
                    field=models.SmallIntegerField(db_default=0, default=0),
                ),
                migrations.AddConstraint(
                    model_name="tenant",
                    constraint=models.CheckConstraint(
                        condition=models.Q(content_kept_days__range=(0, 400)), name="tenant_content_kept_days"
                    ),
                ),
            ],
        )
    ]
