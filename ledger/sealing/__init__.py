"""Seals: each tenant's tree over its batches, its signed checkpoints, and the log of all of them.

A process of its own does it, with a key and a database role that no other process has. `rounds.py` is one round:
`keys.py` says whose signatures count, `tenant_trees.py` adds a tenant's waiting batches and signs, `log.py` adds the
checkpoints to the log and publishes its head, `memory.py` is what the sealer remembers outside the database,
`alarms.py` what it tells, `checks.py` compares everything again. The web reads through `proofs.py` alone.
"""

SEALER = "sealer"  # the name of its database connection; the web's has no right to write what it writes
