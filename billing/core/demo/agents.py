"""Runs of an agent, as the spans that its instrumentation would send: calls of a model, tools between them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from billing.core.demo.shapes import AGENT, AGENT_CALL_MS, AGENT_ERROR_SHARE, OFFICE_WEEK
from billing.core.demo.workloads import TENANTS
from billing.core.spans import AttributeValue, SentSpan

AGENT_DAYS = 20  # before the demo's last day there was none
CALLS_LEAST, CALLS_MOST = 3, 12  # made up: half as long as Exgentic's shortest quarter, so that a page shows it whole
FEATURE, NAME, SERVICE = "incident-agent", "incident-helper", "ops-agents"
MODELS = ("claude-sonnet-4-6", "claude-sonnet-4-6", "claude-haiku-4-5")
TOOLS = ("search_logs", "read_runbook", "query_metrics", "open_ticket")
CLIENT, INTERNAL = 3, 1


def make_agent_runs(*, tenant: str, day: date, seed: int, last_day: date) -> list[list[SentSpan]]:
    """The runs of a tenant's own day, each with its spans in the order in which they began."""
    company = TENANTS[tenant]
    if not company.agent_runs or (last_day - day).days >= AGENT_DAYS:
        return []
    rng = Random(f"{seed}/{tenant}/agents/{day}")
    count = int(company.agent_runs * OFFICE_WEEK[day.weekday()] + rng.random())
    zone = ZoneInfo(company.timezone)
    starts = sorted(rng.randrange(8 * 3600, 18 * 3600) for _ in range(count))
    midnight = datetime.combine(day, time(), zone)
    return [list(_make_run(rng, (midnight + timedelta(seconds=start)).astimezone(UTC))) for start in starts]


def _make_run(rng: Random, started_at: datetime) -> Iterator[SentSpan]:
    """The agent's own span, and in it calls that read more each time, with a tool's after all but the last."""
    trace_id, root_id = f"{rng.getrandbits(128):032x}", f"{rng.getrandbits(64):016x}"
    model, user = rng.choice(MODELS), f"u-{rng.randrange(1, 15):03}"
    started_ns = int(started_at.timestamp()) * 10**9 + rng.randrange(10**9)
    now_ns = started_ns + rng.randrange(5, 80) * 10**6
    shared: dict[str, AttributeValue] = {
        "service.name": SERVICE,
        "tokenledger.feature": FEATURE,
        "tokenledger.cost_center": "engineering",
        "tokenledger.user": user,
        "tokenledger.session": f"run-{trace_id[:8]}",
        "tokenledger.tag.demo": "simulated",
    }
    inside = []
    calls = rng.randint(CALLS_LEAST, CALLS_MOST)
    prompt = AGENT[0].draw(rng) // 2
    known = 0
    for number in range(1, calls + 1):
        failed = rng.random() < AGENT_ERROR_SHARE
        output = AGENT[1].draw(rng)
        ended_ns = now_ns + AGENT_CALL_MS.draw(rng) * 10**6
        usage = {} if failed else {
            "gen_ai.usage.input_tokens": prompt,
            "gen_ai.usage.cache_read.input_tokens": known,
            "gen_ai.usage.cache_creation.input_tokens": prompt - known,
            "gen_ai.usage.output_tokens": output,
        }  # fmt: skip
        inside.append(
            SentSpan(
                0,
                trace_id,
                f"{rng.getrandbits(64):016x}",
                root_id,
                f"chat {model}",
                CLIENT,
                now_ns,
                ended_ns,
                failed,
                SERVICE,
                shared
                | {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": model}
                | ({"error.type": "overloaded"} if failed else {})
                | usage,
            )  # fmt: skip
        )
        now_ns = ended_ns + rng.randrange(2, 30) * 10**6
        if failed:
            continue
        known, prompt = prompt, prompt + output + rng.randrange(300, 3_000)
        if number < calls:
            tool, ended_ns = rng.choice(TOOLS), now_ns + rng.randrange(40, 2_500) * 10**6
            inside.append(
                SentSpan(
                    0,
                    trace_id,
                    f"{rng.getrandbits(64):016x}",
                    root_id,
                    f"execute_tool {tool}",
                    INTERNAL,
                    now_ns,
                    ended_ns,
                    False,
                    SERVICE,
                    shared | {"gen_ai.operation.name": "execute_tool"},
                )  # fmt: skip
            )
            now_ns = ended_ns + rng.randrange(2, 30) * 10**6
    yield SentSpan(
        0, trace_id, root_id, "", f"invoke_agent {NAME}", INTERNAL, started_ns, now_ns, False, SERVICE,
        shared | {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": NAME},
    )  # fmt: skip
    yield from inside
