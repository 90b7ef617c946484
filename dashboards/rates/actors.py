"""Who acted on a rate: the ledger keeps a number, a page shows whose that is while it is known."""

from collections.abc import Iterable

from billing.selectors.rate_versions import RateRecord
from dashboards.access import Seat
from tenants.selectors import name_people

PERSON = "person "


def name_writers(records: Iterable[RateRecord], seat: Seat) -> dict[str, str]:
    """Who wrote and approved these versions, for those who keep the rates; all others are told numbers."""
    said = {actor for record in records for actor in (record.created_by, record.approved_by)}
    return name_actors(said) if seat.may_edit_rates else {}


def name_actors(actors: Iterable[str]) -> dict[str, str]:
    """What a page calls each actor: a person's name, else what the ledger says; one query."""
    said = set(actors)
    numbers = {
        int(each.removeprefix(PERSON)): each
        for each in said
        if each.startswith(PERSON) and each.removeprefix(PERSON).isdigit()
    }
    return {each: each for each in said} | {numbers[number]: name for number, name in name_people(numbers).items()}
