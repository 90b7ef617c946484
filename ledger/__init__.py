"""Keeps: entries, batches, event keys, the append, seals, proofs and partitions.

Owns what was booked and never changes. Knows nothing of prices: `billing` hands it finished lines.
Read first: `append.py` (`append_batches`), then `core/rows.py` (the canonical row) and `sealing/` (the signed trees).
"""
