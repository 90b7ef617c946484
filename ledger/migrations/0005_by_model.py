from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0004_trace"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0005_by_model",
            state_operations=[
                migrations.AddIndex(
                    model_name="ledgerentry",
                    index=models.Index(
                        fields=["tenant_id", "provider", "model", "charge_period_start"], name="entry_by_model"
                    ),
                ),
            ],
        ),
    ]
