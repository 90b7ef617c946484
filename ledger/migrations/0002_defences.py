from django.db import migrations

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_ledger")]

    operations = [run_sql_file(__file__, "0002_defences")]
