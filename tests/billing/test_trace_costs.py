"""A list of traces, its newest and its sums: whatever waits, and wherever the period begins and ends."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.rollups import apply_batches
from billing.selectors import TraceQuery, TraceSums, list_traces
from tests.billing.ledger_rows import book_entries, make_entry
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime.now(UTC)
FIRST = datetime(2026, 10, 5, tzinfo=UTC)
HOURS = 5 * 24


def test_the_newest_and_the_sums_of_any_period_are_those_of_the_traces_that_began_in_it():
    acme, globex, chance = make_tenant("acme"), make_tenant("globex"), random.Random(7)
    calls = [
        (
            f"t{chance.randrange(60)}",
            chance.choice(("production", "staging")),
            FIRST + timedelta(minutes=minutes),
            chance.choice((None, Decimal("0.5"), Decimal("0.000000000001"))),
        )
        for minutes in chance.sample(range(HOURS * 60), 240)  # no two at once
    ]
    book_entries(globex, make_entry(time=FIRST, trace_id="t1", environment="production"))
    for place, (trace_id, environment, time, cost) in enumerate(calls):
        book_entries(acme, make_entry(time=time, trace_id=trace_id, environment=environment, cost=cost))
        if place in (100, 180):  # the last sixty wait, and most belong to traces that are rolled up
            while apply_batches(now=NOW):
                pass
    traces = defaultdict(list)
    for trace_id, environment, time, cost in calls:
        traces[trace_id, environment].append((time, cost))
    for _ in range(40):
        step = chance.choice((1, 24))  # days of UTC are added up already
        start, end = (FIRST + timedelta(hours=step * place) for place in sorted(chance.sample(range(HOURS // step), 2)))
        environment = chance.choice(("", "production", "staging"))
        found = {
            min(time for time, _ in some): [cost for _, cost in some]
            for (_, place), some in traces.items()
            if environment in ("", place) and start <= min(time for time, _ in some) < end
        }
        costs = [cost for some in found.values() for cost in some]
        priced = [cost for cost in costs if cost is not None]
        page = list_traces(TraceQuery(acme.id, start, end, environment, order="newest", limit=7))
        assert page.totals == TraceSums(len(found), len(costs), len(costs) - len(priced), sum(priced, Decimal(0)))
        assert [line.first_at for line in page.lines] == sorted(found, reverse=True)[:7]
