"""Wiring: settings, URLs, Celery, the schedule, system checks and the `up` command.

Owns no table and no decision. Imports every app; no app imports it.
Read first: `settings.py`, then `urls.py`.
"""
