"""What a reader did not ask for: the counts of a usage object that would otherwise be dropped without a word.

Providers add fields. One that only describes is nobody's business; one that counts may be charged, and then a cost
that leaves it out looks like any other. So an object remembers which of its fields a reader asked for, and the counts
that are left over are told: parts of a total that is counted, or quantities that stand beside.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from billing.core.provider_usage.fields import Body
from billing.core.usage import QUANTITY_MAX

# Counts that are known and add nothing, by their own name.
SAID_AGAIN = frozenset((
    # the sum of what is counted
    "total_tokens", "totalTokens", "totalTokenCount", "totalTokenCounts",
    # what no other modality claims
    "text_tokens", "prompt_text_tokens",
    # what of the completion was predicted: charged as completion, whether accepted or not
    "accepted_prediction_tokens", "rejected_prediction_tokens",
    # the other half of a split
    "prompt_cache_miss_tokens",
    # what the engine reused, at no lower price
    "num_cached_tokens",
    # free of charge by Anthropic's pages on the web fetch and the tool search tool
    "web_fetch_requests", "tool_search_requests",
    # deprecated by Vertex (`billablePromptUsage`): what it charged characters by, beside its tokens
    "textCount", "imageCount", "audioDurationSeconds", "videoDurationSeconds",
    # charged by its tokens alone (xAI, "Remote MCP tools")
    "mcp_calls",
    # the sum of the calls that stand beside it (xAI); attempts, the searches among which are counted (OpenRouter)
    "num_server_side_tools_used", "tool_calls_executed", "tool_calls_requested",
))  # fmt: skip
# Money, clocks, marks and the size of a context (xAI) are no quantities, whatever their numbers.
NO_QUANTITY = re.compile(
    r"cost|price|^context_details\.|(time|latency|duration|timestamp|created|version|index|_ms)$", re.IGNORECASE
)
PART_OF_TOTAL = re.compile(r"tokens?_?details$", re.IGNORECASE)
TOKENS = re.compile(r"tokens?(_?count)?$", re.IGNORECASE)
WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
METER_LENGTH_MAX = 64


class AskedBody(dict[str, object]):
    """A provider's object that remembers what it was asked for, and the objects inside it as well.

    Looking whether a name is there (`in`) is not asking for it.
    """

    def __init__(self, members: Body) -> None:
        super().__init__(members)
        self.asked: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        if name not in self.asked:
            self.asked[name] = _wrap(super().__getitem__(name))
        return self.asked[name]

    def get(self, name: str, default: object = None) -> object:
        if name not in self:
            return default
        return self[name]


def _wrap(value: object) -> object:
    if isinstance(value, dict):
        return AskedBody(value)
    return [_wrap(item) for item in value] if isinstance(value, list) else value


class Unread(NamedTuple):
    """Counts above zero that no reader asked for, by dotted path."""

    parts: dict[str, int]  # of a total that is counted, and priced with it
    beside: dict[str, int]


def find_unread(usage: AskedBody, *, is_whole: bool = False) -> Unread:
    """What was not asked for and is not known to add nothing.

    is_whole: the provider's own total holds no more tokens than were counted, so that every other one is a part.

    >>> usage = AskedBody({"prompt_tokens": 9, "prompt_tokens_details": {"ocr_tokens": 4}, "pages": 2})
    >>> usage["prompt_tokens"]
    9
    >>> find_unread(usage)
    Unread(parts={'prompt_tokens_details.ocr_tokens': 4}, beside={'pages': 2})
    """
    counts: Counter[str] = Counter()
    for path, count in _list_unasked(usage, ()):
        if path[-1] not in SAID_AGAIN and not NO_QUANTITY.search(".".join(path)):
            counts[".".join(path)] += count
    parts = {
        path: count
        for path, count in counts.items()
        if PART_OF_TOTAL.search(path.rpartition(".")[0]) or (is_whole and TOKENS.search(path))
    }
    return Unread(parts, {path: count for path, count in counts.items() if path not in parts})


def _list_unasked(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """The whole numbers above zero under `value` that were not asked for; a number with decimals counts nothing."""
    if isinstance(value, AskedBody):
        for name, member in value.items():
            if name not in value.asked:
                yield from _list_unasked(member, (*path, name))
            elif isinstance(asked := value.asked[name], AskedBody | list):
                yield from _list_unasked(asked, (*path, name))
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _list_unasked(member, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from _list_unasked(item, path)
    elif type(value) is int and 0 < value <= QUANTITY_MAX:
        yield path, value


def name_meter(path: str) -> str:
    """The meter of a count that stands beside: the provider's own name, marked so that it is never one of ours.

    >>> name_meter("server_tool_use.mapSearchRequests")
    'provider_server_tool_use_map_search_requests'
    """
    words = "_".join(word for word in WORD_START.split(path) if word).lower()
    return f"provider_{words}"[:METER_LENGTH_MAX].rstrip("_")
