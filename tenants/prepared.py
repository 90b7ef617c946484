"""Statements of every booking: sent as they are, with their parameters apart, and planned once a connection."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections


@contextmanager
def prepared_cursor(*, using: str = "default") -> Iterator[psycopg.Cursor]:
    """psycopg's own cursor on Django's connection; errors are Django's, as ever.

    Django's cursor writes the parameters into the text, which the server parses and plans each time: twice the work
    on both sides.
    """
    connection = connections[using]
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
