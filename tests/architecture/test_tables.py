"""Each model is its table: the SQL that makes tables and the models that read them say the same."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models

OURS = ("tenants", "ledger", "content", "billing", "alerts", "chargeback")
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models()]

LIST_COLUMNS_SQL = """
    SELECT column_name::text, is_nullable = 'YES', udt_name::text, character_maximum_length, numeric_precision,
           numeric_scale
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = %(table)s"""
LIST_PRIMARY_KEY_SQL = """
    SELECT attname::text
    FROM pg_constraint CROSS JOIN unnest(conkey) WITH ORDINALITY AS part (attnum, place)
    JOIN pg_attribute ON attrelid = conrelid AND pg_attribute.attnum = part.attnum
    WHERE conrelid = %(table)s::regclass AND contype = 'p'
    ORDER BY place"""
LIST_TABLES_SQL = """
    SELECT relname::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"""

# A model's kind of field, and the column types that hold it.
TYPES = {
    models.BigAutoField: {"int8"},
    models.BigIntegerField: {"int8"},
    models.IntegerField: {"int4"},
    models.SmallIntegerField: {"int2"},
    models.BooleanField: {"bool"},
    models.TextField: {"text"},
    models.CharField: {"varchar"},
    models.DateTimeField: {"timestamptz"},
    models.DateField: {"date"},
    models.UUIDField: {"uuid"},
    models.JSONField: {"jsonb"},
    models.BinaryField: {"bytea"},
    models.DecimalField: {"numeric"},
    models.ForeignKey: {"int8"},
}


def find_types(field):
    return next((TYPES[kind] for kind in type(field).__mro__ if kind in TYPES), None)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_and_its_table_have_the_same_columns(owner_connection, model):
    rows = owner_connection.execute(LIST_COLUMNS_SQL, {"table": model._meta.db_table}).fetchall()
    columns = {name: rest for name, *rest in rows}
    fields = {field.column: field for field in model._meta.concrete_fields if field.column}
    assert set(fields) == set(columns)
    for name, field in fields.items():
        is_nullable, column_type, length, precision, scale = columns[name]
        assert field.null == is_nullable, f"{name} is nullable on one side alone"
        if expected := find_types(field):
            assert column_type in expected, f"{name} is a {column_type} in the table"
        if isinstance(field, models.CharField):
            assert field.max_length == length, name
        if isinstance(field, models.DecimalField):
            assert (field.max_digits, field.decimal_places) == (precision, scale), name


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_and_its_table_have_the_same_primary_key(owner_connection, model):
    rows = owner_connection.execute(LIST_PRIMARY_KEY_SQL, {"table": model._meta.db_table}).fetchall()
    key = model._meta.pk
    fields = [field.column for field in key.fields] if isinstance(key, models.CompositePrimaryKey) else [key.column]
    assert fields == [name for (name,) in rows]


def test_every_table_has_a_model(owner_connection):
    tables = {name for (name,) in owner_connection.execute(LIST_TABLES_SQL).fetchall()}
    known = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {"django_migrations"}
    assert tables - known == set()


def test_no_migration_is_missing(db, capsys):
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)
    assert "No changes detected" in capsys.readouterr().out
