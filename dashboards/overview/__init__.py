"""What the Overview says, computed from one snapshot of the rollups and of what still waits to be rolled up."""
