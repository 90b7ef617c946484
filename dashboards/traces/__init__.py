"""Traces on pages: the list by cost, and one trace as a waterfall."""
