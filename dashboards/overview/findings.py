"""What a person should know besides the totals: what caching saved, and which models have no price."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.selectors.groups import Groups, count_input, get_known_cost, get_share
from dashboards.links import EntryLinks


@dataclass(frozen=True, slots=True)
class Saving:
    """What caching did for one model. read_share: of its input tokens, in percent. paid: for reading and writing.

    paid and saved: None where no call has a price.
    """

    name: str
    provider: str
    href: str
    cache_read_tokens: int
    read_share: Decimal | None
    paid: Decimal | None
    saved: Decimal | None

    @property
    def at_full_rate(self) -> Decimal | None:
        return None if self.paid is None or self.saved is None else self.paid + self.saved


@dataclass(frozen=True, slots=True)
class Savings:
    """other: the models that are not shown, added up, None where all are."""

    lines: Sequence[Saving]
    other: Saving | None
    total: Saving

    @property
    def rows(self) -> list[Saving]:
        """The table from top to bottom."""
        return [*self.lines, *([self.other] if self.other else []), self.total]


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A model some of whose calls have no price."""

    name: str
    provider: str
    calls: int
    href: str


def list_savings(models: Groups, links: EntryLinks, *, lines_max: int | None) -> Savings | None:
    """What models that read or wrote a cache saved, the most first; None where none did. models: by model, provider."""
    savings = [
        Saving(
            name=model,
            provider=provider,
            href=links.make(model=model, provider=provider),
            cache_read_tokens=q.cache_read_tokens,
            read_share=get_share(q.cache_read_tokens, count_input(q)),
            paid=None if get_known_cost(q) is None else q.cache_read_cost + q.cache_write_cost,
            saved=None if get_known_cost(q) is None else q.saved_cost,
        )
        for (model, provider), q in models.items()
        if q.cache_read_tokens or q.cache_write_tokens or q.cache_write_1h_tokens or q.saved_cost
    ]
    if not savings:
        return None
    savings.sort(key=lambda saving: (-(saving.saved or 0), saving.name))
    shown, rest = savings, []
    if lines_max is not None and len(savings) > lines_max + 1:  # one line alone is not worth an Other
        shown, rest = savings[:lines_max], savings[lines_max:]
    other = _add_up(f"Other, {len(rest)} more", rest) if rest else None
    return Savings(shown, other, _add_up("Total", savings))


def _add_up(name: str, savings: Sequence[Saving]) -> Saving:
    known = [saving for saving in savings if saving.saved is not None]
    return Saving(
        name=name,
        provider="",
        href="",
        cache_read_tokens=sum(saving.cache_read_tokens for saving in savings),
        read_share=None,
        paid=sum((saving.paid for saving in known), Decimal(0)) if known else None,
        saved=sum((saving.saved for saving in known), Decimal(0)) if known else None,
    )


def list_unpriced(models: Groups, links: EntryLinks) -> list[Unpriced]:
    """The models with unpriced calls, the most calls first."""
    unpriced = [
        Unpriced(
            model, provider, q.unpriced_calls, links.make(model=model, provider=provider, pricing_status="unpriced")
        )
        for (model, provider), q in models.items()
        if q.unpriced_calls
    ]
    return sorted(unpriced, key=lambda model: (-model.calls, model.name))
