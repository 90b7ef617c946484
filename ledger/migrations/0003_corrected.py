from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0002_defences"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0003_corrected",
            state_operations=[
                migrations.AddIndex(
                    model_name="ledgerentry",
                    index=models.Index(
                        fields=["tenant_id", "corrects"],
                        condition=models.Q(("corrects__isnull", False)),
                        name="entry_by_corrected",
                    ),
                ),
            ],
        ),
    ]
