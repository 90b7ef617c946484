from django.db import migrations, models
from django.db.models import BigIntegerField, Q

from tenants.operations import run_sql_file

ARE_POSITIVE = Q(requests_per_second__gt=0, bytes_per_second__gt=0, events_per_second__gt=0)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_api_key")]

    operations = [
        *(
            migrations.AddField(model, f"{resource}_per_second", BigIntegerField(null=True))
            for model in ("tenant", "apikey")
            for resource in ("requests", "bytes", "events")
        ),
        migrations.AddConstraint(
            "tenant", models.CheckConstraint(name="tenant_limits_are_positive", condition=ARE_POSITIVE)
        ),
        migrations.AddConstraint(
            "apikey", models.CheckConstraint(name="api_key_limits_are_positive", condition=ARE_POSITIVE)
        ),
        run_sql_file(__file__, "0003_limits"),
    ]
