"""What a month comes to, kept when it closes: counts and money, in all and by cost centre, as canonical text. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

MONEY = ("billed_cost", "list_cost")


@dataclass(frozen=True, slots=True)
class MonthSums:
    """Of entries charged in a month: how many, their calls and their USD. What is unpriced adds no money."""

    entries: int = 0
    calls: int = 0
    unpriced_calls: int = 0
    billed_cost: Decimal = Decimal(0)
    list_cost: Decimal = Decimal(0)

    def __add__(self, other: "MonthSums") -> "MonthSums":
        return MonthSums(*(getattr(self, name) + getattr(other, name) for name in NAMES))


NAMES = tuple(each.name for each in fields(MonthSums))


@dataclass(frozen=True, slots=True)
class MonthTotals:
    """A month's control totals. A cost centre of '' is nobody's; a tree of size 0 has no root."""

    period: date
    by_cost_center: Mapping[str, MonthSums] = field(default_factory=dict)
    tree_size: int = 0  # batches in the newest signed tree
    tree_root: str = ""  # hexadecimal

    @property
    def total(self) -> MonthSums:
        return sum(self.by_cost_center.values(), MonthSums())

    @property
    def digest(self) -> bytes:
        """SHA-256 over the canonical text."""
        return sha256(self.write().encode()).digest()

    def write(self) -> str:
        """Canonical JSON: names sorted, no spaces, money as text with 12 decimals."""
        content = {
            "period": self.period.isoformat(),
            **_write_sums(self.total),
            "by_cost_center": {name: _write_sums(sums) for name, sums in self.by_cost_center.items()},
            "tree_size": self.tree_size,
            "tree_root": self.tree_root,
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> "MonthTotals":
        """What `write` wrote."""
        content = json.loads(text)
        return cls(
            period=date.fromisoformat(content["period"]),
            by_cost_center={name: _read_sums(sums) for name, sums in content["by_cost_center"].items()},
            tree_size=content["tree_size"],
            tree_root=content["tree_root"],
        )


@dataclass(frozen=True, slots=True)
class MonthDifference:
    """A cost centre of a closed month in which the ledger holds something else than at its close."""

    period: date
    cost_center: str
    ledger: MonthSums
    kept: MonthSums

    def __str__(self) -> str:
        differing = [name for name in NAMES if getattr(self.ledger, name) != getattr(self.kept, name)]
        return f"closed month {self.period:%Y-%m} cost_center={self.cost_center!r}: " + ", ".join(
            f"{name} is {getattr(self.ledger, name)} in the ledger, was {getattr(self.kept, name)} at the close"
            for name in differing
        )


def compare_months(ledger: MonthTotals, kept: MonthTotals) -> Iterator[MonthDifference]:
    """Every cost centre in which they differ, by name; the tree grows on and is no difference."""
    for name in sorted({*ledger.by_cost_center, *kept.by_cost_center}):
        now, then = (each.by_cost_center.get(name, MonthSums()) for each in (ledger, kept))
        if now != then:
            yield MonthDifference(kept.period, name, now, then)


def add_sums(parts: Iterable[Mapping[str, MonthSums]]) -> dict[str, MonthSums]:
    """Sums by cost centre over parts of a month that have no entry in common."""
    added: dict[str, MonthSums] = {}
    for part in parts:
        for name, sums in part.items():
            added[name] = added.get(name, MonthSums()) + sums
    return added


def _write_sums(sums: MonthSums) -> dict[str, Any]:
    return {name: f"{getattr(sums, name):.12f}" if name in MONEY else getattr(sums, name) for name in NAMES}


def _read_sums(content: Mapping[str, Any]) -> MonthSums:
    values: list[Any] = [Decimal(content[name]) if name in MONEY else content[name] for name in NAMES]
    return MonthSums(*values)
