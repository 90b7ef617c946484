"""Public traces of model usage, each read into usage events by a pure function of its own; see `docs/traces.md`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from billing.core.traces import azure, burstgpt, claude_code, exgentic, mooncake
from billing.core.traces.rows import ReadRow, Row, RowUnreadable, TraceOptions


@dataclass(frozen=True, slots=True)
class Trace:
    """One kind of file: the columns it must have, its reader, and the reader of its time where that is absolute."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Iterable[tuple[int, Row]], TraceOptions], Iterator[ReadRow]]
    read_time: Callable[[Row], datetime] | None = None

    def find_first_time(self, rows: Iterable[tuple[int, Row]]) -> datetime | None:
        """The earliest moment of a file whose times are absolute; None for any other, and for an empty one."""
        if self.read_time is None:
            return None
        moments = []
        for _, row in rows:
            try:
                moments.append(self.read_time(row))
            except RowUnreadable:
                continue
        return min(moments, default=None)


TRACES = {
    trace.name: trace
    for trace in (
        Trace("azure", azure.COLUMNS, azure.read_azure, azure.read_azure_time),
        Trace("burstgpt", burstgpt.COLUMNS, burstgpt.read_burstgpt),
        Trace("mooncake", mooncake.COLUMNS, mooncake.read_mooncake),
        Trace("exgentic", exgentic.COLUMNS, exgentic.read_exgentic, exgentic.read_exgentic_time),
        Trace("claude-code", claude_code.COLUMNS, claude_code.read_claude_code),
    )
}
