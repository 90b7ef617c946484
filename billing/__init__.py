"""Decides: rates, pricing, ingestion, rollups.

Owns the rate table, the rate book made from it, the rollups and what the ledger is told to keep.
Does not own entries: it reads them through `ledger.selectors` and appends them through `ledger.append`.
Read first: `ingestion.py` (`ingest_events`), then `core/pricing.py` (`price_event`).
"""
