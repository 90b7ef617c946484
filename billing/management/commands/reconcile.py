"""`manage.py reconcile`: are the rollups what the ledger says?"""

import argparse

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.rollups import rebuild_rollups, reconcile_rollups, retry_failed_batches
from tenants.selectors import TenantInfo, get_tenant, list_tenants


class Command(BaseCommand):
    """Exit status 1 when there is a difference. Booking, rolling up and reading go on meanwhile."""

    help = "Sum the whole ledger again, compare it with every rollup and print each difference; expected are none."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="only this tenant")
        parser.add_argument("--rebuild", action="store_true", help="first make the rollups again from the ledger")
        parser.add_argument("--retry", action="store_true", help="first make batches that were given up due again")

    def handle(self, **options) -> None:
        count = sum(
            self._reconcile(tenant, rebuild=options["rebuild"], retry=options["retry"])
            for tenant in _find_tenants(options["tenant"])
        )
        if count:
            raise CommandError(f"{count} differences. `--rebuild` makes the rollups again from the ledger.")
        self.stdout.write("No difference.")

    def _reconcile(self, tenant: TenantInfo, *, rebuild: bool, retry: bool) -> int:
        """Print the tenant's differences; how many there are."""
        if retry:
            self.stdout.write(f"{tenant.slug}: {retry_failed_batches(tenant_id=tenant.id)} batches are due again")
        if rebuild:
            rebuild_rollups(tenant_id=tenant.id, now=timezone.now())
        reconciliation = reconcile_rollups(tenant_id=tenant.id, now=timezone.now())
        for difference in reconciliation.differences:
            self.stdout.write(f"{tenant.slug}: {difference}")
        self.stdout.write(
            f"{tenant.slug}: {reconciliation.entries:,} entries, {reconciliation.waiting_entries:,} of them waiting, "
            f"{len(reconciliation.differences)} differences, {reconciliation.cost_difference:f} USD"
        )
        return len(reconciliation.differences)


def _find_tenants(slug: str | None) -> list[TenantInfo]:
    if not slug:
        return list_tenants()
    tenant = get_tenant(slug)
    if tenant is None:
        raise CommandError(f"There is no tenant {slug!r}.")
    return [tenant]
