"""Migration operations for schema that is written in SQL."""

from collections.abc import Sequence
from pathlib import Path

from django.db import migrations
from django.db.migrations.operations.base import Operation


def run_sql_file(migration_file: str, name: str, *, state_operations: Sequence[Operation] = ()) -> migrations.RunSQL:
    """Run `sql/<name>.up.sql`, and `sql/<name>.down.sql` to go back.

    `state_operations` tells Django which models the SQL made, so that `makemigrations --check` keeps working.
    """
    folder = Path(migration_file).parent / "sql"
    return migrations.RunSQL(
        sql=(folder / f"{name}.up.sql").read_text(),
        reverse_sql=(folder / f"{name}.down.sql").read_text(),
        state_operations=list(state_operations),
    )
