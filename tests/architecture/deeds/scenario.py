"""A deed that is walked: what does it, and the acts that it leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ME = "person 7"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Scenario:
    """A deed. prepare: takes the world, and gives what does it. acts: their names, in the order of booking."""

    prepare: Callable
    acts: tuple[str, ...]


SCENARIOS: dict[str, Scenario] = {}


def scenario(deed, *acts):
    def keep(prepare):
        SCENARIOS[f"{deed.__module__}.{deed.__qualname__}"] = Scenario(prepare, acts)
        return prepare

    return keep
