"""The machines' door: `/v1`, health and metrics. Reads input, calls one function, answers.

Owns the HTTP contract (parsing, problems, keys), no table. Read first: `views/events.py`.
"""
