"""What the page of mapping rules shows."""
