from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0006_seals"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0007_acts",
            state_operations=[
                migrations.AddIndex(
                    model_name="ledgerbatch",
                    index=models.Index(
                        fields=["tenant_id", "batch_id"],
                        condition=models.Q(kind="admin_act"),
                        name="batch_of_an_act",
                    ),
                ),
            ],
        ),
    ]
