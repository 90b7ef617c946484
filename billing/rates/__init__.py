"""Publishing price lists, and the rate book that a process prices by.

A rate is published, never edited. Publications take the rate book's lock exclusively and raise its version; a booking
holds the lock shared until its commit, so that no entry is priced by a book that had ended.
"""

from billing.rates.book import (
    IMPORTED,
    RATE_BOOK_LOCK,
    READ_RATE_BOOK_VERSION_SQL,
    forget_rate_book,
    list_published_rates,
    load_rate_book,
)
from billing.rates.changes import RateChange, RateChanges
from billing.rates.publication import draft_rates, publish_rates, review_rates, set_model_aliases

__all__ = [
    "IMPORTED",
    "RATE_BOOK_LOCK",
    "READ_RATE_BOOK_VERSION_SQL",
    "RateChange",
    "RateChanges",
    "draft_rates",
    "forget_rate_book",
    "list_published_rates",
    "load_rate_book",
    "publish_rates",
    "review_rates",
    "set_model_aliases",
]
