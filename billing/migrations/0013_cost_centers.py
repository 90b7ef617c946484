from django.db import migrations, models

from tenants.operations import run_sql_file

PRIMARY_KEY = {"blank": True, "editable": False, "primary_key": True, "serialize": False}


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_billing_period")]

    operations = [
        run_sql_file(
            __file__,
            "0013_cost_centers",
            state_operations=[
                migrations.CreateModel(
                    name="CostCenter",
                    fields=[
                        ("pk", models.CompositePrimaryKey("tenant_id", "id", **PRIMARY_KEY)),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("code", models.TextField()),
                        ("name", models.TextField()),
                        ("owner", models.TextField()),
                        ("gl_account", models.TextField()),
                        ("parent_id", models.BigIntegerField(null=True)),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("changed_at", models.DateTimeField()),
                        ("retired_at", models.DateTimeField(null=True)),
                    ],
                    options={"db_table": "cost_center"},
                ),
                migrations.CreateModel(
                    name="MappingRule",
                    fields=[
                        ("pk", models.CompositePrimaryKey("tenant_id", "id", **PRIMARY_KEY)),
                        ("tenant_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("position", models.IntegerField()),
                        ("terms", models.JSONField()),
                        ("cost_center", models.TextField()),
                        ("valid_from", models.DateField(null=True)),
                        ("valid_to", models.DateField(null=True)),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                    ],
                    options={"db_table": "mapping_rule"},
                ),
                migrations.AlterField("ratejob", "rate_version_id", models.BigIntegerField(null=True)),
                migrations.AddField("ratejob", "tenant_id", models.BigIntegerField(default=0)),
                migrations.AddField("ratejob", "used_from", models.DateTimeField(null=True)),
                migrations.AddField("ratejob", "used_to", models.DateTimeField(null=True)),
            ],
        ),
    ]
