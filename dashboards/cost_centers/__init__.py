"""What the page of cost centres shows."""
