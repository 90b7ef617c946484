"""The addresses of the entries that a figure is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from dashboards.core.periods import Period
from dashboards.frame import make_link


@dataclass(frozen=True, slots=True)
class EntryLinks:
    """Links to the ledger that say the tenant, the environment and the days of the page. base: the first two."""

    base: Mapping[str, str]
    period: Period

    def make(self, *, day: date | None = None, **filters: str) -> str:
        """The entries of the page, or of one of its days, that pass `filters`; '' asks for those that say nothing."""
        days = {"from": day.isoformat(), "to": day.isoformat()} if day else self.period.get_dates()
        return make_link("ledger", {**self.base, **days, **filters})
