"""The ledger's periodic work."""

import time

from celery import shared_task
from celery.signals import worker_shutdown
from django.conf import settings
from django.utils import timezone

from ledger.partitions import ensure_partitions
from ledger.sealing import SEALER
from ledger.sealing.rounds import check_seals, seal_round

SEAL_SECONDS_MAX = 20


@shared_task(name="ledger.ensure_partitions")
def ensure_partitions_ahead() -> None:
    """Lost or doubled runs are harmless: a partition that is there stays as it is."""
    ensure_partitions(now=timezone.now())


@shared_task(name="ledger.seal")
def seal() -> None:
    """In the sealer's own process, of whose queue it is. Lost or doubled runs are harmless: a batch has one leaf."""
    give_way_at = time.monotonic() + SEAL_SECONDS_MAX
    while seal_round(now=timezone.now()).has_more and time.monotonic() < give_way_at:
        pass


@shared_task(name="ledger.check_seals")
def check_all_seals() -> None:
    """What a round does not see: the batches of the last hours each hour, everything once a day."""
    check_seals(now=timezone.now)


@worker_shutdown.connect
def publish_last_head(**options: object) -> None:
    """The sealer's last word: what it sealed since the last head."""
    if SEALER in settings.DATABASES:
        seal_round(now=timezone.now(), at_once=True)
