"""Explore: any question about cost, as a chart, a table and a file that all say the same."""
