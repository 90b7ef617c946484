"""What a publication changes, told to the person who reviews it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing.core.import_differences import Conditions
from billing.core.rate_documents import RateDocument
from billing.core.rate_plans import Plan, Version


@dataclass(frozen=True, slots=True)
class RateChange:
    """One price list that differs from what is published, for a person to review."""

    kind: str  # new, changed, gone
    name: str
    effective_from: datetime
    before: Mapping[str, str]  # the meters' prices, or {} where there was none
    after: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RateChanges:
    """A reviewed difference between documents and the table, or what came of publishing it.

    `begins`, `ends` and `gives_way` count rows: versions that begin, that end earlier, that are replaced whole.
    `conflicts` names imported lists that a deployment's own list overrules; `history_kept` those whose past
    differs from the import and was left as it was; `backdated` documents that change a price of the past.
    """

    documents: int
    unchanged: int
    changes: tuple[RateChange, ...] = field(repr=False)
    begins: int
    ends: int
    gives_way: int
    conflicts: tuple[str, ...]
    history_kept: tuple[str, ...]
    backdated: tuple[str, ...]
    version: int  # of the rate book afterwards

    def count(self, kind: str) -> int:
        return sum(change.kind == kind for change in self.changes)


def describe_changes(
    *,
    plans: Mapping[Conditions, Plan],
    documents: Mapping[Conditions, list[RateDocument]],
    versions: Mapping[Conditions, list[Version]],
    gone: list[tuple[Conditions, Version]],
    overruled: set[tuple[str, str, str]],
    now: datetime,
    version: int,
) -> RateChanges:
    """The changes of a publication. `overruled`: (provider, model, match) that a deployment priced itself."""
    count = sum(len(wanted) for wanted in documents.values())
    begins = [(key, piece) for key, plan in plans.items() for piece in plan.begins]
    changing = {id(piece.holder) for _, piece in begins if isinstance(piece.holder, RateDocument)}
    return RateChanges(
        documents=count,
        unchanged=count - len(changing),
        changes=tuple(_list_changes(plans, versions, gone, now)),
        begins=len(begins),
        ends=sum(len(plan.ends) for plan in plans.values()),
        gives_way=sum(len(plan.gives_way) for plan in plans.values()),
        conflicts=tuple(name_conditions(key) for key in documents if key[:3] in overruled),
        history_kept=tuple(name_conditions(key) for key, plan in plans.items() if plan.history_kept),
        backdated=tuple(
            dict.fromkeys(name_conditions(key) for key, piece in begins if versions.get(key) and piece.start < now)
        ),
        version=version,
    )


def _list_changes(
    plans: Mapping[Conditions, Plan],
    versions: Mapping[Conditions, list[Version]],
    gone: list[tuple[Conditions, Version]],
    now: datetime,
) -> Iterator[RateChange]:
    for key, plan in plans.items():
        for piece in plan.begins:
            if not isinstance(piece.holder, RateDocument):
                continue
            before = [each for each in versions.get(key, []) if each.start <= piece.start < each.end]
            yield RateChange(
                "changed" if versions.get(key) else "new",
                name_conditions(key),
                piece.start,
                _say_prices(before[0].content) if before else {},
                _say_prices(piece.holder.content),
            )
    for key, version in gone:
        yield RateChange("gone", name_conditions(key), now, _say_prices(version.content), {})


def name_conditions(key: Conditions) -> str:
    """`openai/gpt-4o (exact, standard)`."""
    provider, model, match, tenant_id, service_tier, region, time_window = key
    conditions = [match, service_tier, region, time_window, f"tenant {tenant_id}" if tenant_id else ""]
    return f"{provider}/{model} ({', '.join(filter(None, conditions))})"


def _say_prices(content: Mapping[str, Any]) -> dict[str, str]:
    """Each meter's price in words: `0.25 / 1000000`."""
    prices = {name: f"{meter['price']} / {meter['per']}" for name, meter in content.get("meters", {}).items()}
    for tier in content.get("context_tiers", ()):
        for name, meter in tier["meters"].items():
            prices[f"{name} {tier['compare']} {tier['input_tokens']}"] = f"{meter['price']} / {meter['per']}"
    return prices
