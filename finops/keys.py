"""Announcing the key that this process signs receipts with, before it signs the first."""

import logging

from django.db import Error
from django.utils import timezone

from ledger.sealing.keys import announce_receipt_key

logger = logging.getLogger(__name__)


def announce_own_key() -> None:
    """A second time changes nothing. A database that is away is no reason not to start: the next start announces it."""
    try:
        announce_receipt_key(now=timezone.now())
    except Error:
        logger.warning(
            "the receipts' key could not be announced: batches that it signs wait for their seal", exc_info=True
        )
