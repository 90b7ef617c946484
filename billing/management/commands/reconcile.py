"""`manage.py reconcile`: are the rollups what the ledger says, and the closed months what they were?"""

import argparse

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.rollups import Reconciliation, rebuild_rollups, reconcile_rollups, retry_failed_batches
from tenants.selectors import TenantInfo, get_tenant, list_tenants


class Command(BaseCommand):
    """Exit status 1 when there is a difference. Booking, rolling up and reading go on meanwhile."""

    help = (
        "Sum the whole ledger again, compare it with every rollup and with what was kept of each closed month, and "
        "print each difference; expected are none."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="only this tenant")
        parser.add_argument("--rebuild", action="store_true", help="first make the rollups again from the ledger")
        parser.add_argument("--retry", action="store_true", help="first make batches that were given up due again")

    def handle(self, **options) -> None:
        results = [
            self._reconcile(tenant, rebuild=options["rebuild"], retry=options["retry"])
            for tenant in _find_tenants(options["tenant"])
        ]
        if count := sum(result.count for result in results):
            cure = "`--rebuild` makes the rollups again from the ledger."
            if any(result.month_differences for result in results):
                cure += " No rebuilding cures a closed month: what differs there was booked past Tokenledger."
            raise CommandError(f"{count} differences. {cure}")
        self.stdout.write("No difference.")

    def _reconcile(self, tenant: TenantInfo, *, rebuild: bool, retry: bool) -> Reconciliation:
        """Print the tenant's differences."""
        if retry:
            self.stdout.write(f"{tenant.slug}: {retry_failed_batches(tenant_id=tenant.id)} batches are due again")
        if rebuild:
            rebuild_rollups(tenant_id=tenant.id, now=timezone.now())
        reconciliation = reconcile_rollups(tenant_id=tenant.id, now=timezone.now())
        for difference in (*reconciliation.differences, *reconciliation.month_differences):
            self.stdout.write(f"{tenant.slug}: {difference}")
        self.stdout.write(
            f"{tenant.slug}: {reconciliation.entries:,} entries, {reconciliation.waiting_entries:,} of them waiting, "
            f"{reconciliation.count} differences, {reconciliation.cost_difference:f} USD"
        )
        return reconciliation


def _find_tenants(slug: str | None) -> list[TenantInfo]:
    if not slug:
        return list_tenants()
    tenant = get_tenant(slug)
    if tenant is None:
        raise CommandError(f"There is no tenant {slug!r}.")
    return [tenant]
