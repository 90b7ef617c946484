"""What the pages of budgets show."""
