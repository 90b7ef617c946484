"""What the page Reconciliation reads."""
