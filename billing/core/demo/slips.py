"""Events of the demo that cannot be booked, as the door refuses them: to be corrected and replayed."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from billing.core.demo.calls import make_live_call
from billing.core.demo.wire import write_event
from billing.core.demo.workloads import TENANTS
from billing.core.usage import UsageInconsistent, split_usage

SLIP_DAYS = 6  # before the demo's last day there was none: refused events are kept for a month only
FAST_CLOCK = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Slip:
    """A refused event: what a rejected event keeps of it."""

    received_at: datetime
    event_id: str
    field: str
    code: str
    problem: str
    body: str

    @property
    def detail(self) -> str:
        return self.problem if self.field == "usage" else f"{self.field} {self.problem}"


def make_slips(*, tenant: str, day: date, seed: int, last_day: date) -> list[Slip]:
    """Those of a UTC day, in order of time; none on the last day, which is not over.

    One kind comes from a clock that is fast, and is booked as it stands when it is replayed; the other counts cache
    reads beside the input, and must be corrected.
    """
    count = TENANTS[tenant].slips if 0 < (last_day - day).days <= SLIP_DAYS else 0
    rng = Random(f"{seed}/{tenant}/slips/{day}")
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    moments = sorted(midnight + timedelta(seconds=rng.randrange(8 * 3600, 18 * 3600)) for _ in range(count))
    return [
        (_set_clock_ahead if number % 2 else _count_cache_apart)(
            rng, tenant, moment, f"{seed}-{day}-refused-{number + 1}"
        )
        for number, moment in enumerate(moments)
    ]


def _set_clock_ahead(rng: Random, tenant: str, moment: datetime, event_id: str) -> Slip:
    event = make_live_call(rng, tenant=tenant, moment=moment + FAST_CLOCK, event_id=event_id)
    problem = "is more than 5 minutes ahead of the server's clock"
    return Slip(moment, event_id, "time", "time_out_of_window", problem, json.dumps(write_event(event)))


def _count_cache_apart(rng: Random, tenant: str, moment: datetime, event_id: str) -> Slip:
    wire = write_event(make_live_call(rng, tenant=tenant, moment=moment, event_id=event_id))
    fresh = rng.randrange(40, 400)
    wire |= {"status": "ok", "usage": {"input_tokens": fresh, "cache_read_tokens": 5 * fresh, "output_tokens": 120}}
    try:
        split_usage(wire["usage"])
    except UsageInconsistent as error:
        return Slip(moment, event_id, "usage", "usage_inconsistent", str(error), json.dumps(wire))
    raise AssertionError("five times the input is more than it")
