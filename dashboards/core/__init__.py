"""What the pages compute: periods, shares, changes and how a figure is written. Pure."""
