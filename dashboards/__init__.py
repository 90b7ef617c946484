"""The people's door: server-rendered pages behind sign-in. One table, of views that people named; no decision.

Read first: `urls.py`, then `views.py`.
"""
