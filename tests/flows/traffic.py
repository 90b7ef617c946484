"""Clients as they are on a bad day: they overlap, replay, contradict themselves, lose patience, and try again.

Each writer is a thread with a connection of its own, and sends the same request until it is answered; what it sent
and what it was told goes into a History.
"""

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tests.flows.history import Facts, History, Identity, Verdict, identify

MODEL = "gpt-4o-2024-08-06"
# OpenAI's list price, USD a token: in, cached, out. The test's own arithmetic.
OF_INPUT, OF_CACHE_READ, OF_OUTPUT = Decimal("0.0000025"), Decimal("0.00000125"), Decimal("0.00001")

REPLAYED = 0.25  # of the items
CONTRADICTED = 0.02
IMPOSSIBLE = 0.01
OVERLAPPING = 0.3  # of the requests: what another writer is sending at this moment
SINGLE = 0.4
IMPATIENT = 0.06
GIVEN_UP = 0.2  # of the requests whose client lost patience
BATCH_MAX = 120
PATIENCE_SECONDS = 30
LAST_WORD_SECONDS = 60  # for what was under way when the writers were told to stop
REMEMBERED_MAX = 3000


class Event(NamedTuple):
    """An event as it is sent, and as its sender knows it."""

    identity: Identity
    facts: Facts
    wire: dict[str, Any]
    is_possible: bool = True


@dataclass(slots=True)
class World:
    """What the writers share."""

    port: int
    keys: Mapping[int, str]  # by tenant
    operator_key: str
    slugs: Mapping[int, str]
    history: History = field(default_factory=History)
    recent: deque[Event] = field(default_factory=lambda: deque(maxlen=REMEMBERED_MAX))
    under_way: dict[int, list[Event]] = field(default_factory=dict)  # by writer
    waiting: set[int] = field(default_factory=set)  # writers whose request is sent and not answered
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)


class Writer(threading.Thread):
    """One client."""

    def __init__(self, number: int, world: World, *, seed: int) -> None:
        super().__init__(name=f"writer-{number}")
        self.number, self.world = number, world
        self.chance = random.Random(seed * 1000 + number)
        self.numbers = itertools.count(1)
        self.connection = http.client.HTTPConnection("127.0.0.1", world.port)

    def run(self) -> None:
        try:
            while not self.world.stop.is_set():
                self._send_until_answered(self._choose_events())
        except BaseException as error:
            self.world.faults.append(f"{self.name} fell: {error!r}")
            raise
        finally:
            self.connection.close()

    # --- what is sent ---

    def _choose_events(self) -> list[Event]:
        """Events of one tenant, new and old; now and then of several, as an operator may."""
        chance, world = self.chance, self.world
        others = [events for number, events in list(world.under_way.items()) if number != self.number]
        if others and chance.random() < OVERLAPPING:
            events = list(chance.choice(others))
            chance.shuffle(events)
            return events[: chance.randrange(1, len(events) + 1)]
        tenant_id = chance.choice(list(world.keys))
        size = 1 if chance.random() < SINGLE else chance.randrange(2, BATCH_MAX)
        known = [event for event in list(world.recent) if event.identity.tenant_id == tenant_id]
        if chance.random() < 0.05:
            return [self._make_event(chance.choice(list(world.keys))) for _ in range(size)]
        return [
            self._repeat(chance.choice(known)) if known and chance.random() < REPLAYED else self._make_event(tenant_id)
            for _ in range(size)
        ]

    def _make_event(self, tenant_id: int) -> Event:
        chance = self.chance
        event_id = f"{self.number}-{next(self.numbers)}"
        wire = {
            "id": event_id,
            "source": f"service-{self.number % 3}",
            "time": datetime.now(UTC).isoformat(),
            "provider": "openai",
            "model": MODEL,
            "feature": chance.choice(("summarizer", "search", "chat")),
            "user": f"u-{chance.randrange(200)}",
            "tags": {"plan": "gold"},
            "usage": {"input_tokens": 1 + chance.randrange(5000), "output_tokens": chance.randrange(2000)},
        }
        wire["usage"]["cache_read_tokens"] = chance.randrange(wire["usage"]["input_tokens"])
        if chance.random() < 0.3:
            wire["response_id"] = f"chatcmpl-{event_id}"
        is_possible = chance.random() >= IMPOSSIBLE
        if not is_possible:
            wire["usage"]["cache_read_tokens"] = wire["usage"]["input_tokens"] + 1
        return _know(tenant_id, wire, is_possible=is_possible)

    def _repeat(self, event: Event) -> Event:
        """The same once more; or told by another door; or contradicted."""
        if self.chance.random() < CONTRADICTED / REPLAYED and event.is_possible:
            usage = event.wire["usage"] | {"output_tokens": event.wire["usage"]["output_tokens"] + 1}
            return _know(event.identity.tenant_id, event.wire | {"usage": usage})
        if event.identity.response_id and self.chance.random() < 0.3:
            return _know(event.identity.tenant_id, event.wire | {"id": f"{event.wire['id']}-again", "source": "proxy"})
        return event

    # --- how it is sent ---

    def _send_until_answered(self, events: list[Event]) -> None:
        world = self.world
        with world.lock:
            for event in events:
                if event.is_possible:
                    world.history.sent[event.identity].add(event.facts)
        world.recent.extend(events)
        world.under_way[self.number] = events
        tenant_ids = {event.identity.tenant_id for event in events}
        if len(tenant_ids) > 1:
            key = world.operator_key
            body = [event.wire | {"tenant": world.slugs[event.identity.tenant_id]} for event in events]
        else:
            key, body = world.keys[tenant_ids.pop()], [event.wire for event in events]
        text = json.dumps(body[0] if len(body) == 1 else body).encode()
        patience = self.chance.uniform(0.001, 0.08) if self.chance.random() < IMPATIENT else PATIENCE_SECONDS
        last_word = None
        while (answer := self._send(text, key, patience)) is None:
            if patience < 1 and self.chance.random() < GIVEN_UP:
                world.counts["given up"] += 1
                break
            patience = PATIENCE_SECONDS
            if world.stop.is_set():
                last_word = last_word or time.monotonic() + LAST_WORD_SECONDS
                if time.monotonic() > last_word:
                    world.faults.append(f"{self.name}: no answer to its last request")
                    break
            time.sleep(self.chance.uniform(0.02, 0.2))
        else:
            self._record(events, answer)
        del world.under_way[self.number]

    def _send(self, body: bytes, key: str, patience: float) -> dict[str, Any] | None:
        """The answer to one try; None where it must be made again."""
        world, connection = self.world, self.connection
        try:
            connection.timeout = patience
            if connection.sock is not None:
                connection.sock.settimeout(patience)
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/events?results=all", body, headers)
            world.waiting.add(self.number)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except TimeoutError:
            connection.close()
            world.counts["timed out"] += 1
            return None
        except (OSError, http.client.HTTPException):
            connection.close()
            world.counts["broken"] += 1
            return None
        finally:
            world.waiting.discard(self.number)
        return self._read(status, dict(response.getheaders()), content)

    def _read(self, status: int, headers: Mapping[str, str], content: bytes) -> dict[str, Any] | None:
        self.world.counts[f"status {status}"] += 1
        try:
            document = json.loads(content)
        except ValueError:
            document = {}
        if status in (200, 207):
            return document
        if status == 503 and document.get("retry_safe") is True and any(n.lower() == "retry-after" for n in headers):
            return None
        self.world.faults.append(f"{self.name} was answered {status}: {content[:500]!r}")
        return None

    def _record(self, events: Sequence[Event], answer: Mapping[str, Any]) -> None:
        results, history = answer["results"], self.world.history
        if [item["index"] for item in results] != list(range(len(events))):
            self.world.faults.append(f"{self.name}: {len(events)} sent, answered {results}")
            return
        verdicts = [
            Verdict(event.identity, event.facts, item["status"], item.get("entry_id", ""))
            for event, item in zip(events, results, strict=True)
        ]
        told = Counter(verdict.status for verdict in verdicts)
        sums = [answer[name] for name in ("accepted", "duplicates", "conflicts", "rejected")]
        if sums != [told[name] for name in ("accepted", "duplicate", "conflict", "invalid")] or answer["unpriced"]:
            self.world.faults.append(f"{self.name}: the sums {sums} are not those of {told}")
        batches = answer.get("batches") or [answer]
        with self.world.lock:
            history.verdicts += verdicts
            history.answered.update((verdict.identity.tenant_id, verdict.status) for verdict in verdicts)
            history.receipts.update({batch["batch_id"]: batch["receipt"] for batch in batches if batch["batch_id"]})


def _know(tenant_id: int, wire: dict[str, Any], *, is_possible: bool = True) -> Event:
    usage = wire["usage"]
    plain = usage["input_tokens"] - usage["cache_read_tokens"]
    cost = plain * OF_INPUT + usage["cache_read_tokens"] * OF_CACHE_READ + usage["output_tokens"] * OF_OUTPUT
    identity = identify(
        tenant_id=tenant_id, source=wire["source"], event_id=wire["id"], response_id=wire.get("response_id", "")
    )
    return Event(identity, Facts(plain, usage["cache_read_tokens"], usage["output_tokens"], cost), wire, is_possible)
