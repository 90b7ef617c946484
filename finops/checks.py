"""System checks: an installation whose database role is too strong does not start."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import OperationalError

from finops.defences import list_role_faults

ROLE = "role"  # the one check that a command of ours asks for: Django's others load every view, which takes a second
CURE = "Use the role tokenledger_app, which `manage.py setup_database` makes, in DATABASE_APP_URL."


@register(ROLE)
def check_application_role(**options: Any) -> list[CheckMessage]:
    """finops.E001: row security and append-only mean nothing to a superuser, or to the tables' owner.

    A database that is away is no fault here: the web answers 503 until it is back.
    """
    connection = connections.create_connection("default")
    try:
        with connection.cursor() as cursor:
            faults = list_role_faults(lambda sql, values: cursor.execute(sql, values).fetchall())
    except OperationalError:
        return []
    finally:
        connection.close()
    return [Error(fault, hint=CURE, id="finops.E001") for fault in faults]


def refuse_strong_role() -> None:
    """For processes that run no system checks, such as the web server's. Raises ImproperlyConfigured."""
    if errors := check_application_role():
        raise ImproperlyConfigured(f"{'; '.join(error.msg for error in errors)}. {CURE}")
