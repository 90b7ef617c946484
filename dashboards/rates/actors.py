"""Who acted on a rate: the ledger keeps a number, a page shows whose that is while it is known."""

from collections.abc import Iterable

from tenants.selectors import name_people

PERSON = "person "


def name_actors(actors: Iterable[str]) -> dict[str, str]:
    """What a page calls each actor: a person's name, else what the ledger says; one query."""
    said = set(actors)
    numbers = {
        int(each.removeprefix(PERSON)): each
        for each in said
        if each.startswith(PERSON) and each.removeprefix(PERSON).isdigit()
    }
    return {each: each for each in said} | {numbers[number]: name for number, name in name_people(numbers).items()}
