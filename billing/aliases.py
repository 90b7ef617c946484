"""Aliases of models: what a raw pair of strings is priced as, added and removed by a person, each an act of the ledger.

An alias takes effect with the rate book's next version, on what is booked from then on. What was booked keeps its
price, and the ledger keeps the strings as they were sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from billing.core.alias_rules import AliasProblem, NewAlias, Pair, find_alias_problems
from billing.core.nearest_models import is_collapsed
from billing.core.price_histories import Call, find_rate
from billing.models import ModelAlias
from billing.rates import forget_rate_book, load_rate_book, set_model_aliases
from billing.rates.book import lock_rate_table, raise_version
from billing.selectors.rate_versions import list_model_aliases
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.models import OPERATOR_SLUG
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant


class AliasRefused(ValueError):
    """An alias that cannot be; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[AliasProblem]) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class AliasExamination:
    """What an alias would do now: the versions that price such a call before and after it, None where none does."""

    alias: NewAlias
    problems: Sequence[AliasProblem]
    version_before: int | None
    version_after: int | None


def examine_alias(alias: NewAlias, *, now: datetime) -> AliasExamination:
    """Look at an alias before it is added. Writes nothing."""
    book = load_rate_book()
    after = find_rate(book, Call(*alias.means), now)
    return AliasExamination(
        alias=alias,
        problems=find_alias_problems(alias, aliases=list_model_aliases(), is_priced=after is not None),
        version_before=find_rate(book, Call(*alias.sent), now),
        version_after=after,
    )


def add_alias(alias: NewAlias, *, actor: str, now: datetime) -> bool:
    """Price `alias.sent` like `alias.means` from now on; False where that was so. Raises AliasRefused."""
    if problems := examine_alias(alias, now=now).problems:
        raise AliasRefused(problems)
    with transaction.atomic():
        if not set_model_aliases({alias.sent: alias.means}):
            return False
        _record("alias.added", alias, actor=actor, now=now)
    return True


def set_file_aliases(aliases: Mapping[Pair, Pair], *, actor: str, now: datetime) -> int:
    """Those that a file of rates names, all or none; how many are new or changed. Each of these is an act.

    Raises AliasRefused for a snapshot's alias and for an alias of an alias. What one means may be priced later.
    """
    with transaction.atomic():
        known = list_model_aliases()
        together = {**known, **aliases}
        named = [NewAlias(sent, means) for sent, means in aliases.items()]
        problems = [
            AliasProblem(problem.field, f"{' '.join(alias.sent)} for {' '.join(alias.means)}: {problem.text}")
            for alias in named
            if is_collapsed(alias.sent[1], alias.means[1]) or alias.means in together
            for problem in find_alias_problems(alias, aliases=together, is_priced=True)
        ]
        if problems:
            raise AliasRefused(problems)
        count = set_model_aliases(aliases)
        for alias in named:
            if known.get(alias.sent) != alias.means:
                _record("alias.added", alias, actor=actor, now=now)
    return count


def remove_alias(sent: tuple[str, str], *, actor: str, now: datetime) -> bool:
    """Let the pair stand for itself again; False where it did."""
    with transaction.atomic():
        lock_rate_table()
        row = ModelAlias.objects.filter(provider=sent[0], model=sent[1]).first()
        if row is None:
            return False
        alias = NewAlias(sent, (row.canonical_provider, row.canonical_model))
        row.delete()
        raise_version()
        _record("alias.removed", alias, actor=actor, now=now)
    forget_rate_book()
    return True


def _record(name: str, alias: NewAlias, *, actor: str, now: datetime) -> None:
    """Keep the act in the operator's ledger, in the caller's transaction."""
    facts = {
        "provider": alias.sent[0],
        "model": alias.sent[1],
        "means_provider": alias.means[0],
        "means_model": alias.means[1],
    }
    operator = get_tenant(OPERATOR_SLUG)
    with tenant_scope(operator.id):
        book_act(tenant_id=operator.id, act=Act(name=name, actor=actor, facts=facts), now=now)
