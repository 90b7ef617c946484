from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0003_corrected"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0004_trace",
            state_operations=[
                migrations.AddIndex(
                    model_name="ledgerentry",
                    index=models.Index(
                        fields=["tenant_id", "trace_id"],
                        condition=models.Q(("trace_id", ""), _negated=True),
                        name="entry_by_trace",
                    ),
                ),
            ],
        ),
    ]
