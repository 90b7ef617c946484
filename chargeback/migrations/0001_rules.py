from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    initial = True

    dependencies = [("ledger", "0006_seals")]

    operations = [
        run_sql_file(
            __file__,
            "0001_rules",
            state_operations=[
                migrations.CreateModel(
                    name="AllocationRule",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "rule_id",
                                "version",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("rule_id", models.BigIntegerField()),
                        ("version", models.IntegerField()),
                        ("valid_from", models.DateField()),
                        ("valid_to", models.DateField(null=True)),
                        ("terms", models.JSONField()),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                    ],
                    options={"db_table": "allocation_rule"},
                ),
                migrations.CreateModel(
                    name="ChargeRule",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "rule_id",
                                "version",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("rule_id", models.BigIntegerField()),
                        ("version", models.IntegerField()),
                        ("kind", models.TextField()),
                        ("valid_from", models.DateField()),
                        ("valid_to", models.DateField(null=True)),
                        ("terms", models.JSONField()),
                        ("created_by", models.TextField()),
                        ("created_at", models.DateTimeField()),
                    ],
                    options={"db_table": "charge_rule"},
                ),
                migrations.CreateModel(
                    name="BillingSetting",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "valid_from",
                                "id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("valid_from", models.DateField()),
                        ("id", models.BigIntegerField()),
                        ("currency", models.TextField()),
                        ("set_by", models.TextField()),
                        ("set_at", models.DateTimeField()),
                    ],
                    options={"db_table": "billing_setting"},
                ),
                migrations.CreateModel(
                    name="FxRate",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("currency", models.TextField()),
                        ("day", models.DateField()),
                        ("rate", models.DecimalField(decimal_places=10, max_digits=20)),
                        ("source", models.TextField(blank=True)),
                        ("entered_by", models.TextField()),
                        ("entered_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "fx_rate",
                        "indexes": [models.Index(fields=["currency", "day", "id"], name="fx_rate_by_day")],
                    },
                ),
            ],
        ),
    ]
