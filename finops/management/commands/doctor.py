"""Says what is wrong with an installation, and the cure."""

import sys

from django.core.management.base import BaseCommand
from django.utils import timezone

from finops.doctor import CHECKS, examine


class Command(BaseCommand):
    """One line a check; the exit code is 1 when something is wrong."""

    help = "Examine an installation: one line a check, with the cure of what is wrong."
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("--only", choices=list(CHECKS), help="one check alone")

    def handle(self, *, only: str | None, **options) -> None:
        faults = 0
        for finding in examine(now=timezone.now(), only=only):
            mark = self.style.SUCCESS("ok   ") if finding.is_well else self.style.ERROR("WRONG")
            cure = "" if finding.is_well else f"  ->  {finding.cure}"
            self.stdout.write(f"{mark}  {finding.name:<12}  {finding.detail}{cure}")
            faults += not finding.is_well
        if faults:
            sys.exit(1)
