"""Watches: budgets, quotas, forecasts, anomalies, and what is told to whom.

Owns budgets, holds, stored forecasts, alerts and their deliveries. Reads cost through `billing.selectors`, and never
sees an entry.
"""
