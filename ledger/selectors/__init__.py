"""Where other apps read what was booked: entries page by page, one entry, its batch and its corrections."""

from ledger.selectors.batches import Batch, EntryProof, get_batch, prove_entry
from ledger.selectors.columns import ENTRY_COLUMNS, EntryCursor, EntryIdInvalid
from ledger.selectors.entries import get_entries, get_entry, list_corrections, list_trace_entries
from ledger.selectors.entry_lists import ENTRIES_PER_PAGE_MAX, MATCHED, EntryFilters, EntryPage, list_entries
from ledger.selectors.outbox import WaitingWork, measure_outbox
from ledger.selectors.users import find_user_refs, name_users

__all__ = [
    "ENTRIES_PER_PAGE_MAX",
    "ENTRY_COLUMNS",
    "MATCHED",
    "Batch",
    "EntryCursor",
    "EntryFilters",
    "EntryIdInvalid",
    "EntryPage",
    "EntryProof",
    "WaitingWork",
    "find_user_refs",
    "get_batch",
    "get_entries",
    "get_entry",
    "list_corrections",
    "list_entries",
    "list_trace_entries",
    "measure_outbox",
    "name_users",
    "prove_entry",
]
