"""Live calls of the demo, posted to `/v1/events` like anybody's: at a steady rate, each booked once."""

import http.client
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlsplit

from billing.core.demo import TENANTS, make_live_call, write_event
from tenants.selectors import get_tenant

TICK_SECONDS = 0.2  # what is due is posted together
EVENTS_PER_REQUEST_MAX = 1_000
RATE_MAX = 20_000  # a second
TIMEOUT_SECONDS = 30
RETRY_SECONDS, RETRY_SECONDS_MAX = 1.0, 30.0
PATIENCE_SECONDS = 120  # without an answer, after which nobody seems to be there
PASSING = (429, 502, 503, 504)
SHAPE_DEFAULT = "acme"
WORDS = ("accepted", "duplicates", "conflicts", "rejected")


class SimulationRefused(ValueError):
    """An address, a key or a tenant that nothing can be simulated with; the text says why."""


@dataclass(slots=True)
class Totals:
    """What became of the events so far. unanswered: sent when the simulation ended, booked or not."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    retries: int = 0
    unanswered: int = 0
    latencies_ms: list[float] = field(default_factory=list)  # of requests since the last report

    def describe(self) -> str:
        latencies, self.latencies_ms = self.latencies_ms, []
        counts = f"sent {self.sent:,}, accepted {self.accepted:,}, duplicate {self.duplicates:,}, " + (
            f"rejected {self.rejected + self.conflicts:,}, tried again {self.retries:,}"
        )
        if not latencies:
            return counts
        return f"{counts}; {statistics.median(latencies):.0f} ms a request, {max(latencies):.0f} ms at most"


class Simulation:
    """A key's tenant, which must be a demo's, and the connection that its calls are posted by."""

    def __init__(self, *, url: str, key: str, tenant: str = "", seed: int, clock: Callable[[], datetime]) -> None:
        """tenant: whom an operator's key charges. Raises SimulationRefused."""
        self.key, self.clock, self.rng, self.totals = key, clock, Random(seed), Totals()
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise SimulationRefused(f"{url!r} is no address; it begins with http:// or https://")
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self.url, self.prefix = url, address.path.rstrip("/")
        self.connection = kind(address.hostname, address.port, timeout=TIMEOUT_SECONDS)
        self.tenant, self.is_named = self._find_tenant(tenant)
        self.run = f"live-{clock():%Y%m%dT%H%M%S%f}"

    def _find_tenant(self, wanted: str) -> tuple[str, bool]:
        """The tenant that is charged, and whether its events must name it."""
        me = self._ask("GET", "/v1/me")
        own = me["tenant"]["slug"]
        if me["is_operator"] and not wanted:
            raise SimulationRefused("an operator's key says whom it charges: --tenant SLUG")
        slug = wanted if me["is_operator"] else own
        if wanted and slug != wanted:
            raise SimulationRefused(f"the key is one of {own!r}, and may not send for {wanted!r}")
        holder = get_tenant(slug)
        if holder is None or not holder.is_demo:
            raise SimulationRefused(f"the tenant {slug!r} is no demo's: no page of it would say what is simulated")
        return slug, me["is_operator"]

    def post_for(self, *, rate: float, seconds: float | None, report: Callable[[str], None], every: float) -> None:
        """Post `rate` events a second, for so long or until an interruption; what was begun is counted in `totals`.

        A request without an answer, or refused for the moment, is sent again as it was: nothing is lost, and what had
        been booked is a duplicate. `report` is told the totals every so many seconds. Raises SimulationRefused.
        """
        started = reported = time.monotonic()
        while True:
            now = time.monotonic()
            elapsed = now - started if seconds is None else min(now - started, seconds)
            due = int(elapsed * rate) - self.totals.sent
            if due > 0:
                self._post(min(due, EVENTS_PER_REQUEST_MAX))
            elif seconds is not None and elapsed >= seconds:
                return
            if now - reported >= every:
                reported = now
                report(f"{now - started:.0f} s: {self.totals.describe()}")
            if due <= EVENTS_PER_REQUEST_MAX:
                time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - now)))

    def _post(self, count: int) -> None:
        body = json.dumps([self._make_event() for _ in range(count)]).encode()
        self.totals.unanswered = count
        answer = self._ask("POST", "/v1/events", body)
        self.totals.unanswered = 0
        for word in WORDS:
            setattr(self.totals, word, getattr(self.totals, word) + answer[word])

    def _make_event(self) -> dict[str, Any]:
        self.totals.sent += 1
        shape = self.tenant if self.tenant in TENANTS else SHAPE_DEFAULT
        moment = self.clock() - timedelta(seconds=self.rng.random() * TICK_SECONDS)
        call = make_live_call(self.rng, tenant=shape, moment=moment, event_id=f"{self.run}-{self.totals.sent}")
        return write_event(call) | ({"tenant": self.tenant} if self.is_named else {})

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """The answer, however often it must be asked for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = RETRY_SECONDS
        while True:
            try:
                status, headers, content = self._send(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                trouble, wait = str(error) or type(error).__name__, pause
            else:
                if status in (200, 207):
                    answer: dict[str, Any] = json.loads(content)
                    return answer
                trouble = f"{status}: {_read_problem(content)}"
                if status not in PASSING:
                    raise SimulationRefused(f"{self.url} answered {trouble}")
                wait = _read_retry_after(headers, pause)
            if time.monotonic() + wait > deadline:
                raise SimulationRefused(f"{self.url} took nothing for {PATIENCE_SECONDS} s; the last was {trouble}")
            self.totals.retries += 1
            time.sleep(wait)
            pause = min(2 * pause, RETRY_SECONDS_MAX)

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, Mapping[str, str], bytes]:
        started = time.monotonic()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        self.connection.request(method, self.prefix + path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if body:
            self.totals.latencies_ms.append((time.monotonic() - started) * 1000)
        return response.status, response.headers, content


def _read_retry_after(headers: Mapping[str, str], default: float) -> float:
    text = headers.get("Retry-After") or ""
    return min(int(text), RETRY_SECONDS_MAX) if text.isdigit() else default


def _read_problem(content: bytes) -> str:
    try:
        problem = json.loads(content)
        return str(problem.get("detail") or problem.get("title"))
    except (ValueError, AttributeError):
        return content[:200].decode(errors="replace")
