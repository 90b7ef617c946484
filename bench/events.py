"""Usage events as a busy company sends them: about 600 bytes each, every id its own, hundreds of priced models."""

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

FEATURES = ("summarizer", "search", "support-chat", "code-review", "translation", "extraction", "moderation", "agent")
COST_CENTERS = ("retail", "platform", "risk", "marketing", "research")
FINISH_REASONS = ("stop", "stop", "stop", "length", "tool_calls")
USERS = 2_000


class EventMaker:
    """An endless source of JSON events; two makers of different seeds never make the same event."""

    def __init__(self, models: Sequence[tuple[str, str]], *, seed: int, has_own_people: bool = False) -> None:
        """models: (provider, model) pairs, each of which has a price; has_own_people: hardly a user comes twice, and
        each has a tag of its own."""
        self.models = models
        self.users = 10**12 if has_own_people else USERS
        self.has_own_people = has_own_people
        self.chance = random.Random(seed)
        self.start = datetime.now(UTC) - timedelta(minutes=1)

    def make_event(self) -> str:
        """One event as JSON, without a line break in it."""
        chance = self.chance
        provider, model = chance.choice(self.models)
        total = chance.randrange(200, 20_000)
        output = chance.randrange(1, 2_000)
        trace = f"{chance.getrandbits(128):032x}"
        user = chance.randrange(self.users)
        plan = f"p-{user}" if self.has_own_people else "gold"
        moment = self.start + timedelta(microseconds=chance.randrange(60_000_000))
        return (
            f'{{"id":"{uuid.UUID(int=chance.getrandbits(128))}","source":"gateway-eu-1","time":"'
            f'{moment.isoformat(timespec="microseconds")[:26]}Z","provider":"{provider}","model":"{model}"'
            f',"operation":"chat","response_id":"chatcmpl-{chance.getrandbits(116):029x}","usage":{{"input_tokens":{total}'
            f',"cache_read_tokens":{chance.randrange(total)},"output_tokens":{output}'
            f',"reasoning_tokens":{chance.randrange(output)}}},"feature":"{chance.choice(FEATURES)}"'
            f',"environment":"production","user":"u-{user}"'
            f',"cost_center":"{chance.choice(COST_CENTERS)}","customer_tier":"enterprise"'
            f',"session_id":"s-{chance.getrandbits(32):08x}","trace_id":"{trace}","span_id":"{trace[:16]}"'
            f',"service_tier":"standard","latency_ms":{chance.randrange(100, 9_000)},"status":"ok"'
            f',"finish_reason":"{chance.choice(FINISH_REASONS)}","tags":{{"plan":"{plan}"}}}}'
        )

    def make_batch(self, size: int) -> bytes:
        """A JSON array of events."""
        return f"[{','.join([self.make_event() for _ in range(size)])}]".encode()
