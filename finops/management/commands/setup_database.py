"""Brings a database up to date: roles, migrations, rights, the partitions of the next months."""

import os
import sys

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from finops.environment import ROOT, read_environment, write_environment
from finops.keys import announce_own_key
from finops.roles import LIBRARY_APPS, RolesRefused, derive_urls, ensure_roles, grant_library_tables
from ledger.partitions import ensure_partitions


class Command(BaseCommand):
    """Safe to repeat; run it at each upgrade, before the new code serves."""

    help = (
        "Make roles and database (where DATABASE_URL names an administrator), migrate as the owner, grant what "
        "the application role needs, and make the partitions of this and the next three months."
    )
    requires_system_checks = ("role",)

    def handle(self, **options) -> None:
        if administrator_url := os.environ.get("DATABASE_URL"):
            self._make_roles(administrator_url)
        owner_url = os.environ.get("DATABASE_OWNER_URL")
        if not owner_url:
            raise CommandError(
                "There is no database to set up: start one with `make up`, or set DATABASE_URL to an administrator."
            )
        call_command("migrate", database="owner", interactive=False, verbosity=options["verbosity"])
        grant_library_tables(owner_url=owner_url, tables=_list_library_tables())
        ensure_partitions(now=timezone.now())
        announce_own_key()
        self.stdout.write("The database is up to date.")

    def _make_roles(self, administrator_url: str) -> None:
        try:
            urls = derive_urls(administrator_url=administrator_url, known=os.environ)
            ensure_roles(administrator_url=administrator_url, urls=urls)
        except RolesRefused as error:
            raise CommandError(str(error)) from None
        if "owner" in settings.DATABASES and all(_is_same(os.environ.get(name), url) for name, url in urls.items()):
            return
        # Django read its databases before these URLs were known: begin again with them.
        write_environment({**read_environment(), **urls})
        environment = {**os.environ, **urls}
        os.execve(sys.executable, [sys.executable, str(ROOT / "manage.py"), *sys.argv[1:]], environment)


def _is_same(given: str | None, derived: str) -> bool:
    """Whether two spellings of a URL name one role on one server."""
    return given is not None and conninfo_to_dict(given) == conninfo_to_dict(derived)


def _list_library_tables() -> list[str]:
    return [
        model._meta.db_table
        for label in LIBRARY_APPS
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
    ]
