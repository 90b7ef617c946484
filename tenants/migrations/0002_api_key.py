from django.db import migrations

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [run_sql_file(__file__, "0002_api_key")]
