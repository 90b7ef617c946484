"""The periodic jobs: when each last came to its end, and whether it is overdue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from billing.selectors.state import list_task_successes

# A knock may be missed, and a job may be long; what is silent for so many of its periods has stopped.
PERIODS_MAX = 3
GRACE = timedelta(minutes=5)
NAMED_MAX = 5
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class JobState:
    """A job of the timetable. last_at: None where it never came to its end."""

    name: str
    task: str
    every: timedelta
    last_at: datetime | None
    age: timedelta | None
    is_overdue: bool


def list_jobs(timetable: Mapping[str, Mapping[str, Any]], *, now: datetime) -> list[JobState]:
    """Every job, overdue ones first, then by name.

    One that never came to its end is measured from when any job first did; before that all are overdue.
    """
    successes = list_task_successes()
    begun_at = min((first_at for first_at, _ in successes.values()), default=None)
    rows = [
        _judge(name, entry, successes.get(entry["task"], (None, None))[1], begun_at, now)
        for name, entry in timetable.items()
    ]
    return sorted(rows, key=lambda row: (not row.is_overdue, row.name))


def _judge(
    name: str, entry: Mapping[str, Any], last_at: datetime | None, begun_at: datetime | None, now: datetime
) -> JobState:
    every = timedelta(seconds=entry["schedule"])
    age = None if last_at is None else max(timedelta(), now - last_at)
    since = last_at or begun_at
    is_overdue = since is None or now - since > PERIODS_MAX * every + GRACE
    return JobState(name, entry["task"], every, last_at, age, is_overdue)


def name_overdue(jobs: Sequence[JobState]) -> str:
    """In a line: “look at every budget (never), tell alerts (12 min ago)”, the NAMED_MAX longest silent; '' of none."""
    overdue = [job for job in jobs if job.is_overdue]
    overdue.sort(key=lambda job: timedelta.max if job.age is None else job.age, reverse=True)
    told = [f"{job.name} ({'never' if job.age is None else f'{job.age // MINUTE} min ago'})" for job in overdue]
    more = [f"{len(told) - NAMED_MAX} more"] if len(told) > NAMED_MAX else []
    return ", ".join(told[:NAMED_MAX] + more)
