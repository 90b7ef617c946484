"""What a person should know besides the totals: what caching saved, and which models have no price."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dashboards.overview.links import EntryLinks
from dashboards.overview.quantities import Groups, count_input, get_share


@dataclass(frozen=True, slots=True)
class Saving:
    """What caching did for one model. read_share: of its input tokens, in percent. paid: for reading and writing."""

    name: str
    provider: str
    href: str
    cache_read_tokens: int
    read_share: Decimal | None
    paid: Decimal
    saved: Decimal

    @property
    def at_full_rate(self) -> Decimal:
        return self.paid + self.saved


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A model some of whose calls have no price."""

    name: str
    provider: str
    calls: int
    href: str


def list_savings(models: Groups, links: EntryLinks) -> list[Saving]:
    """The models that read or wrote a cache, the most saved first. models: by (model, provider)."""
    savings = [
        Saving(
            name=model,
            provider=provider,
            href=links.make(model=model, provider=provider),
            cache_read_tokens=q.cache_read_tokens,
            read_share=get_share(q.cache_read_tokens, count_input(q)),
            paid=q.cache_read_cost + q.cache_write_cost,
            saved=q.saved_cost,
        )
        for (model, provider), q in models.items()
        if q.cache_read_tokens or q.cache_write_tokens or q.cache_write_1h_tokens or q.saved_cost
    ]
    return sorted(savings, key=lambda saving: (-saving.saved, saving.name))


def add_up_savings(savings: Sequence[Saving]) -> Saving:
    """The total of the table."""
    return Saving(
        name="Total",
        provider="",
        href="",
        cache_read_tokens=sum(saving.cache_read_tokens for saving in savings),
        read_share=None,
        paid=sum((saving.paid for saving in savings), Decimal(0)),
        saved=sum((saving.saved for saving in savings), Decimal(0)),
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
