"""What a price touches: entries, tenants and months, with their cost before and after, to the pico-USD. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(slots=True)
class Share:
    """One tenant's part of one billing period. Costs in pico-USD; what is unpriced costs nothing yet.

    `rated` had no price and gets one, `unrated` the other way; both are among `entries`.
    """

    entries: int = 0
    rated: int = 0
    unrated: int = 0
    before: int = 0
    after: int = 0


@dataclass(slots=True)
class Impact:
    """Every entry that a price changes, by tenant and billing period. An entry that costs the same is not in it."""

    shares: dict[tuple[int, date], Share] = field(default_factory=dict)

    def add(self, *, tenant_id: int, period: date, before: int | None, after: int | None) -> None:
        """One entry; None: unpriced."""
        share = self.shares.setdefault((tenant_id, period), Share())
        share.entries += 1
        share.rated += before is None and after is not None
        share.unrated += before is not None and after is None
        share.before += before or 0
        share.after += after or 0

    def merge(self, other: "Impact") -> None:
        for key, theirs in other.shares.items():
            ours = self.shares.setdefault(key, Share())
            for name in Share.__dataclass_fields__:
                setattr(ours, name, getattr(ours, name) + getattr(theirs, name))

    @property
    def total(self) -> Share:
        return add_shares(self.shares.values())

    @property
    def tenant_ids(self) -> list[int]:
        return sorted({tenant_id for tenant_id, _ in self.shares})

    @property
    def periods(self) -> dict[date, Share]:
        """By billing period, earliest first."""
        months = sorted({period for _, period in self.shares})
        return {
            month: add_shares(share for (_, period), share in self.shares.items() if period == month)
            for month in months
        }

    def write(self) -> list[dict[str, Any]]:
        """As JSON holds it: numbers that outgrow a double are text."""
        return [
            {
                "tenant": tenant_id,
                "period": period.isoformat(),
                "entries": share.entries,
                "rated": share.rated,
                "unrated": share.unrated,
                "before": str(share.before),
                "after": str(share.after),
            }
            for (tenant_id, period), share in sorted(self.shares.items())
        ]

    @classmethod
    def read(cls, written: Sequence[Mapping[str, Any]]) -> "Impact":
        return cls(
            {
                (row["tenant"], date.fromisoformat(row["period"])): Share(
                    row["entries"], row["rated"], row["unrated"], int(row["before"]), int(row["after"])
                )
                for row in written
            }
        )


def add_shares(shares: Iterable[Share]) -> Share:
    """The sum of parts."""
    total = Share()
    for share in shares:
        for name in Share.__dataclass_fields__:
            setattr(total, name, getattr(total, name) + getattr(share, name))
    return total
