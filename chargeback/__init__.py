"""Chargeback: what is charged to each cost centre, by rules that a reader can follow; bills, reports and disputes.

Reads cost through `billing` and statements through `audit`; no entry is written here but by a function of `billing`.
"""
