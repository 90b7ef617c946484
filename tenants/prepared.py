"""Statements of every booking and page: sent as they are, their parameters apart, and planned once a connection."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from django.db.backends.utils import CursorWrapper
from psycopg.pq import Format


@contextmanager
def prepared_cursor(*, using: str = "default", binary: bool = False) -> Iterator[CursorWrapper]:
    """psycopg's own cursor on Django's connection, counted and logged as Django's; errors are Django's, as ever.

    binary: whether answers come as the server keeps them, which is quicker for bytes and arrays.

    Django's cursor writes the parameters into the text, which the server parses and plans each time: twice the work
    on both sides.
    """
    connection = connections[using]
    connection.ensure_connection()
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    server_cursor = psycopg.Cursor(connection.connection)
    server_cursor.format = Format.BINARY if binary else Format.TEXT
    with wrap(server_cursor) as cursor:
        yield cursor
