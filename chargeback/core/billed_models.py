"""Which of the ledger's models a bill's line is about. Pure.

A bill's own name first, by the aliases and spellings by which prices are found; then by its words, for consoles write
"Claude 3.5 Sonnet" where a call says claude-3-5-sonnet-20241022. By words a name without a date stands for a dated
model only where there is one alone, and no other line names that one exactly.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection

from billing.core.model_names import canonical_names

Pair = tuple[str, str]  # provider and model

_DATE = re.compile(r"(?<!\d)20\d\d-?[01]\d-?[0-3]\d(?!\d)")
_REVISION = re.compile(r"-v\d+(:\d+)?$")
_VENDOR = re.compile(
    r"^((us|eu|apac|au|jp|global)\.)?(anthropic|amazon|meta|mistral|cohere|deepseek|ai21|openai|qwen)\."
)
_ENVELOPE = re.compile(r"^arn:[^/]*/")
_WORD = re.compile(r"[a-z]+|\d+")

Words = tuple[tuple[str, ...], tuple[str, ...]]


def match_models(
    billed: Collection[Pair], booked: Collection[Pair], *, find_meaning: Callable[[str, str], Pair]
) -> dict[Pair, Pair]:
    """Each billed and booked pair with the name under which it is compared; what is booked names it.

    find_meaning: what an alias of the installation says that a pair means, the pair itself where none does.
    """
    found: dict[Pair, Pair] = {}
    by_spelling: dict[Pair, Pair] = {}
    for pair in sorted(booked):
        provider, names = canonical_names(*find_meaning(*pair))
        key = next((by_spelling[provider, name] for name in names if (provider, name) in by_spelling), None)
        found[pair] = key or (provider, names[0])
        by_spelling |= {(provider, name): found[pair] for name in names}
    unmatched: list[tuple[Pair, Pair]] = []
    exact: set[Pair] = set()
    for pair in sorted(set(billed) - set(found)):
        provider, names = canonical_names(*find_meaning(*pair))
        key = next((by_spelling[provider, name] for name in names if (provider, name) in by_spelling), None)
        if key is None:
            unmatched.append((pair, (provider, names[0])))
        else:
            found[pair] = key
            exact.add(key)
    exact |= {found[pair] for pair in billed if pair in booked}
    return found | _match_by_words(unmatched, set(by_spelling.values()), exact)


def _match_by_words(
    unmatched: Collection[tuple[Pair, Pair]], keys: Collection[Pair], exact: set[Pair]
) -> dict[Pair, Pair]:
    dated: dict[tuple[str, Words, str], Pair] = {}
    families: defaultdict[tuple[str, Words], list[Pair]] = defaultdict(list)
    for key in sorted(keys):
        words, day = find_words(key[1])
        dated[key[0], words, day] = key
        families[key[0], words].append(key)
    found = {}
    for pair, itself in unmatched:
        words, day = find_words(itself[1])
        family = [key for key in families[itself[0], words] if key not in exact]
        same = dated.get((itself[0], words, day)) if any(words) else None
        alone = family[0] if len(family) == 1 and not day and any(words) else None
        found[pair] = same or alone or itself
    return found


def find_words(model: str) -> tuple[Words, str]:
    """The letters and the numbers of a model's name, each in an order that names keep, and its date's digits.

    >>> find_words("Claude 3.5 Sonnet") == find_words("anthropic.claude-3-5-sonnet-20240620-v1:0")[:1] + ("",)
    True
    """
    name = _VENDOR.sub("", _REVISION.sub("", _ENVELOPE.sub("", model.strip().lower())))
    day = _DATE.search(name)
    words = _WORD.findall(_DATE.sub(" ", name))
    letters = tuple(sorted(word for word in words if word.isalpha()))
    return (letters, tuple(word for word in words if word.isdigit())), day[0].replace("-", "") if day else ""
