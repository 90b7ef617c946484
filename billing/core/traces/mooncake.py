"""Mooncake: a chat service's requests with the hashes of their prompts' blocks, from which cache reads follow."""

import json
from collections.abc import Iterable, Iterator, Sequence

from billing.core.traces.rows import (
    ReadRow,
    Row,
    RowUnreadable,
    TracedCall,
    TraceOptions,
    parse_count,
    parse_offset,
    read_each,
)
from billing.core.usage import UsageEvent, split_usage

COLUMNS = ("timestamp", "input_length", "output_length", "hash_ids")
BLOCK_TOKENS = 512

# The service is Kimi; its API sold this model at the trace's default start, with a price of its own for cache reads.
PROVIDER, MODEL = "moonshotai", "kimi-k2-0905-preview"


class PrefixTree:
    """The prompts seen so far, by block: how much of the next one was computed before."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[int, int], int] = {}

    def add(self, blocks: Sequence[int]) -> int:
        """Keep a prompt, and return how many of its leading blocks an earlier one began with.

        >>> tree = PrefixTree()
        >>> tree.add([1, 2, 3]), tree.add([1, 2, 4]), tree.add([2, 3])
        (0, 2, 0)
        """
        node, shared = 0, 0
        for depth, block in enumerate(blocks):
            known = self._nodes.get((node, block))
            if known is None:
                known = self._nodes[node, block] = len(self._nodes) + 1
            elif shared == depth:
                shared += 1
            node = known
        return shared


def read_mooncake(rows: Iterable[tuple[int, Row]], options: TraceOptions) -> Iterator[ReadRow]:
    """Leading blocks that an earlier request had are cache reads, whole blocks only, from a cache that forgets nothing.

    A last block that is not full is computed again even when it is known: providers cache whole blocks.
    """
    tree = PrefixTree()

    def read_row(line: int, row: Row) -> TracedCall:
        input_tokens = parse_count(row, "input_length")
        shared = tree.add(_parse_blocks(row))
        cache_read_tokens = BLOCK_TOKENS * min(shared, input_tokens // BLOCK_TOKENS)
        event = UsageEvent(
            event_id=f"{options.stem}:{line}",
            source="trace:mooncake",
            time=options.start + parse_offset(row, "timestamp", microseconds=1_000),
            usage=split_usage(
                {
                    "input_tokens": input_tokens,
                    "cache_read_tokens": cache_read_tokens,
                    "output_tokens": parse_count(row, "output_length"),
                }
            ),
            tags={"trace": "mooncake", "model": "assumed", "cache_reads": "derived"},
            provider=options.provider or PROVIDER,
            model=options.model or MODEL,
            feature=options.feature,
            environment=options.environment,
        )
        return TracedCall(line, event)

    return read_each(rows, read_row)


def _parse_blocks(row: Row) -> list[int]:
    try:
        blocks = json.loads(row.get("hash_ids") or "")
    except ValueError:
        blocks = None
    if not isinstance(blocks, list) or not all(type(block) is int for block in blocks):
        raise RowUnreadable("hash_ids: expected a list of whole numbers")
    return blocks
