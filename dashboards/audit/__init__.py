"""Audit: how far the ledger is sealed, the statement of a month, who changed what, and the proof of one entry."""
