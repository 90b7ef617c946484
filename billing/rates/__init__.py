"""Publishing price lists, and the rate book that a process prices by.

A rate is published, never edited. Publications take the rate book's lock exclusively and raise its version; a booking
holds the lock shared until its commit, so that no entry is priced by a book that had ended.
"""

from billing.rates.approval import (
    RateStepRefused,
    RateUnknown,
    approve_rate,
    comment_rate,
    draft_rate,
    draft_rate_once,
    edit_rate,
    publish_draft,
    return_rate,
    submit_rate,
    withdraw_rate,
)
from billing.rates.book import (
    IMPORTED,
    RATE_BOOK_LOCK,
    READ_RATE_BOOK_VERSION_SQL,
    forget_rate_book,
    list_published_rates,
    load_rate_book,
)
from billing.rates.changes import RateChange, RateChanges
from billing.rates.examination import Examination, examine_rate
from billing.rates.imports import (
    UPLOAD_BYTES_MAX,
    Acceptance,
    ImportRefused,
    ImportSource,
    Waiting,
    accept_differences,
    end_gone,
    find_waiting,
    keep_upload,
    list_source_differences,
    read_source,
    withdraw_ending,
)
from billing.rates.publication import draft_rates, publish_rates, review_rates, set_model_aliases

__all__ = [
    "IMPORTED",
    "RATE_BOOK_LOCK",
    "READ_RATE_BOOK_VERSION_SQL",
    "UPLOAD_BYTES_MAX",
    "Acceptance",
    "Examination",
    "ImportRefused",
    "ImportSource",
    "RateChange",
    "RateChanges",
    "RateStepRefused",
    "RateUnknown",
    "Waiting",
    "accept_differences",
    "approve_rate",
    "comment_rate",
    "draft_rate",
    "draft_rate_once",
    "draft_rates",
    "edit_rate",
    "end_gone",
    "examine_rate",
    "find_waiting",
    "forget_rate_book",
    "keep_upload",
    "list_published_rates",
    "list_source_differences",
    "load_rate_book",
    "publish_draft",
    "publish_rates",
    "read_source",
    "return_rate",
    "review_rates",
    "set_model_aliases",
    "submit_rate",
    "withdraw_ending",
    "withdraw_rate",
]
