"""Proof: statements, their files, evidence archives, and the check of them that needs none of us.

Owns no table. Reads entries and seals through `ledger`, cost and rates through `billing`, and writes nothing but that
somebody verified a tree or asked for an archive, in `job_run`.
"""
