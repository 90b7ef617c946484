from django.db import migrations, models

from tenants.operations import run_sql_file


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0005_by_model"),
    ]

    operations = [
        run_sql_file(
            __file__,
            "0006_seals",
            state_operations=[
                migrations.CreateModel(
                    name="Checkpoint",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "size", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("size", models.BigIntegerField()),
                        ("root", models.BinaryField()),
                        ("signed_at", models.DateTimeField()),
                        ("key_id", models.TextField()),
                        ("note", models.TextField()),
                    ],
                    options={
                        "db_table": "checkpoint",
                    },
                ),
                migrations.CreateModel(
                    name="LogHead",
                    fields=[
                        ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("root", models.BinaryField()),
                        ("signed_at", models.DateTimeField()),
                        ("key_id", models.TextField()),
                        ("note", models.TextField()),
                    ],
                    options={
                        "db_table": "log_head",
                    },
                ),
                migrations.CreateModel(
                    name="LogNode",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "level", "node_index", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("level", models.SmallIntegerField()),
                        ("node_index", models.BigIntegerField()),
                        ("hash", models.BinaryField()),
                    ],
                    options={
                        "db_table": "log_node",
                    },
                ),
                migrations.CreateModel(
                    name="SealAlarm",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "subject",
                                "raised_at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("subject", models.TextField()),
                        ("raised_at", models.DateTimeField()),
                        ("kind", models.TextField()),
                        ("detail", models.TextField()),
                        ("is_over", models.BooleanField()),
                    ],
                    options={
                        "db_table": "seal_alarm",
                    },
                ),
                migrations.CreateModel(
                    name="SealNode",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id",
                                "level",
                                "node_index",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("level", models.SmallIntegerField()),
                        ("node_index", models.BigIntegerField()),
                        ("hash", models.BinaryField()),
                    ],
                    options={
                        "db_table": "seal_node",
                    },
                ),
                migrations.CreateModel(
                    name="SealTree",
                    fields=[
                        ("tenant_id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("origin", models.TextField()),
                        ("salt", models.BinaryField()),
                        ("begun_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "seal_tree",
                    },
                ),
                migrations.CreateModel(
                    name="SigningKey",
                    fields=[
                        ("key_id", models.TextField(primary_key=True, serialize=False)),
                        ("purpose", models.TextField()),
                        ("public_key", models.BinaryField()),
                        ("announced_at", models.DateTimeField()),
                        ("announcement", models.TextField()),
                    ],
                    options={
                        "db_table": "signing_key",
                    },
                ),
                migrations.CreateModel(
                    name="LogLeaf",
                    fields=[
                        ("log_index", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("tenant_id", models.BigIntegerField(null=True)),
                        ("size", models.BigIntegerField(null=True)),
                        ("key_id", models.TextField(null=True)),
                        ("leaf", models.BinaryField()),
                        ("data", models.TextField()),
                    ],
                    options={
                        "db_table": "log_leaf",
                        "constraints": [
                            models.UniqueConstraint(fields=("tenant_id", "size"), name="log_leaf_once"),
                            models.UniqueConstraint(fields=("key_id",), name="log_key_once"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SealLeaf",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "leaf_index", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tenant_id", models.BigIntegerField()),
                        ("leaf_index", models.BigIntegerField()),
                        ("batch_id", models.UUIDField()),
                        ("leaf", models.BinaryField()),
                    ],
                    options={
                        "db_table": "seal_leaf",
                        "constraints": [
                            models.UniqueConstraint(fields=("tenant_id", "batch_id"), name="leaf_of_a_batch_once")
                        ],
                    },
                ),
            ],
        ),
    ]
