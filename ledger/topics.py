"""What a batch leaves in the outbox to do."""

ROLLUP, SEAL = "rollup", "seal"
TOPICS = (ROLLUP, SEAL)
ACT_TOPICS = (SEAL,)  # an act costs nothing: it is sealed, and in no rollup
