from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_key_rotation")]

    operations = [
        run_sql_file(
            __file__,
            "0006_fiscal_month",
            state_operations=[
                migrations.AddField(
                    model_name="tenant",
                    name="fiscal_month",
                    field=models.SmallIntegerField(db_default=1, default=1),
                ),
                migrations.AddConstraint(
                    model_name="tenant",
                    constraint=models.CheckConstraint(
                        condition=models.Q(fiscal_month__range=(1, 12)), name="tenant_fiscal_month"
                    ),
                ),
            ],
        )
    ]
