"""The people's door: server-rendered pages behind sign-in. No table and no decision.

Read first: `urls.py`, then `views.py`.
"""
