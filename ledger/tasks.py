"""The ledger's periodic work."""

from celery import shared_task
from django.utils import timezone

from ledger.partitions import ensure_partitions


@shared_task(name="ledger.ensure_partitions")
def ensure_partitions_ahead() -> None:
    """Lost or doubled runs are harmless: a partition that is there stays as it is."""
    ensure_partitions(now=timezone.now())
