"""The addresses of the entries that a figure is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from urllib.parse import quote_plus, urlencode

from dashboards.core.periods import Period
from dashboards.frame import make_link

_quote = lru_cache(maxsize=4096)(quote_plus)


@dataclass(frozen=True, slots=True)
class EntryLinks:
    """Links to the ledger that say the tenant and the environment of the page, then days, then filters.

    address: with the first two. dates: the page's days as parameters. A page has hundreds of these links, so both are
    written once.
    """

    address: str
    dates: str

    def make(self, *, day: date | None = None, **filters: str) -> str:
        """The entries of the page, or of one of its days, that pass `filters`; '' asks for those that say nothing."""
        dates = f"from={day}&to={day}" if day else self.dates
        return "&".join((self.address, dates, *(f"{name}={_quote(value)}" for name, value in filters.items())))


def make_entry_links(base: Mapping[str, str], period: Period, *, page: str = "ledger") -> EntryLinks:
    """The links of a page, to the ledger or another; base: its tenant and environment as parameters."""
    return EntryLinks(make_link(page, base), urlencode(period.get_dates()))
