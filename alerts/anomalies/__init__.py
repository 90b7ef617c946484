"""Looks at every tenant for what is out of the ordinary: each minute, each hour, and after each day of a tenant's.

`alerts.core.anomalies` judges, `billing.selectors.watched` reads, `telling` opens, grows and ends the alerts.
"""
