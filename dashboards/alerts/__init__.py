"""What the pages of alerts, their channels and deliveries show."""
