"""What a spreadsheet must not run."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def guard_formula(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
