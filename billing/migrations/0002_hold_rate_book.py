from django.db import migrations

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0001_billing"),
    ]

    operations = [run_sql_file(__file__, "0002_hold_rate_book")]
