from django.db import migrations

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_sealer_tenants")]

    operations = [run_sql_file(__file__, "0009_adjustments")]
