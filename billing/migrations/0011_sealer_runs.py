from django.db import migrations

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_trace_day"), ("ledger", "0006_seals")]

    operations = [run_sql_file(__file__, "0011_sealer_runs")]
