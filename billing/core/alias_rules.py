"""Which alias may be: a name of ours for a model that has a price, never a snapshot's for its family. Pure."""

from collections.abc import Mapping

import msgspec

from billing.core.model_names import NAME_LENGTH_MAX, canonical_names, canonical_provider
from billing.core.nearest_models import is_collapsed

Pair = tuple[str, str]  # provider and model


class NewAlias(msgspec.Struct, frozen=True):
    """What is sent, in lower case as it is looked up, and the canonical provider and model that it means."""

    sent: Pair
    means: Pair


class AliasProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field of it, and its cure."""

    field: str  # provider, model, means_provider, means_model
    text: str


def make_alias(*, provider: str, model: str, means_provider: str, means_model: str) -> NewAlias:
    """The alias that four texts of a form mean."""
    meant = (canonical_provider(means_provider), means_model.strip().lower())
    return NewAlias((provider.strip().lower(), model.strip().lower()), meant)


def find_alias_problems(alias: NewAlias, *, aliases: Mapping[Pair, Pair], is_priced: bool) -> list[AliasProblem]:
    """All that is wrong with it. aliases: those that there are. is_priced: whether a rate prices what it means."""
    texts = dict(zip(("provider", "model", "means_provider", "means_model"), alias.sent + alias.means, strict=True))
    problems = [AliasProblem(field, "is missing. Write it as it is sent.") for field, text in texts.items() if not text]
    problems += [
        AliasProblem(field, f"has at most {NAME_LENGTH_MAX} characters, none of them NUL.")
        for field, text in texts.items()
        if len(text) > NAME_LENGTH_MAX or "\0" in text
    ]
    if problems:
        return problems
    sent, meant = canonical_names(*alias.sent), canonical_names(*alias.means)
    if sent[0] == meant[0] and alias.means[1] in sent[1]:
        return [AliasProblem("means_model", "is what the string means without an alias.")]
    if is_collapsed(alias.sent[1], alias.means[1]):
        text = (
            f"{alias.sent[1]} is a dated snapshot and is never priced as {alias.means[1]}: snapshots of a family have "
            "prices of their own. Publish a rate for it."
        )
        problems.append(AliasProblem("means_model", text))
    elif alias.means in aliases:
        further = " ".join(aliases[alias.means])
        text = f"is an alias itself, and aliases are not followed twice. Write what it means: {further}."
        problems.append(AliasProblem("means_model", text))
    elif not is_priced:
        text = (
            "has no price now, so the calls would stay unpriced. Name a model that has one, or publish its rate first."
        )
        problems.append(AliasProblem("means_model", text))
    return problems
