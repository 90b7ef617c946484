"""Prompts and completions: what a tenant chose to keep, apart from the ledger and for a while only.

Owns `content` and `content_act`. Knows nothing of entries or prices: an entry keeps a digest, which is looked up here.
Read first: `core/redaction.py` (`redact_text`), then `contents.py` (`keep_content`).
"""
