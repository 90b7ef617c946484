"""The demo's calls: simulated, a day at a time, the same for the same seed and the same last day.

`shapes` are figures of public traces, `workloads` who uses what (made up), `calls` one day's calls of them, `agents`
the spans of agents, `slips` what cannot be booked, `wire` a call as it is posted.
"""

from billing.core.demo.agents import make_agent_runs
from billing.core.demo.calls import LATE_TAGS, SOURCE, TAGS, make_day, make_live_call
from billing.core.demo.slips import Slip, make_slips
from billing.core.demo.wire import write_event
from billing.core.demo.workloads import CONTRACT, CONTRACT_DAYS_AGO, TENANTS, DemoTenant, Workload

__all__ = [
    "CONTRACT", "CONTRACT_DAYS_AGO", "LATE_TAGS", "SOURCE", "TAGS", "TENANTS", "DemoTenant", "Slip", "Workload",
    "make_agent_runs", "make_day", "make_live_call", "make_slips", "write_event",
]  # fmt: skip
