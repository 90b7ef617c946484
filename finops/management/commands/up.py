"""Runs a whole installation from one terminal."""

from django.core.management.base import BaseCommand, CommandError

from finops.up import UpRefused, run_installation


class Command(BaseCommand):
    """See `finops.up`."""

    help = (
        "Run Tokenledger: PostgreSQL and Redis (embedded, unless DATABASE_URL and REDIS_URL name others), "
        "migrations, a demo for an empty database, web, worker and beat. Ctrl-C stops all of it."
    )
    requires_system_checks = []

    def handle(self, **options) -> None:
        try:
            run_installation()
        except UpRefused as error:
            raise CommandError(str(error)) from None
