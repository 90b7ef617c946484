"""Which spans of a trace are billed, so that each call counts once.

Instrumentations stack: an agent's span repeats the tokens of the calls below it, a framework's span that of the
client which it uses. Billed is the lowest span that says what was used. A call is billed as soon as it comes; a
summary waits, because the calls below it may still come, and is billed when the trace stays quiet without one.
"""

from collections.abc import Iterator, Mapping

import msgspec

# Roles, of spans that are new.
CALL = "call"
SUMMARY = "summary"
# States, of spans that were decided on; a span without anything to bill is OTHER from the start.
OTHER = "other"
BOOKED = "booked"
WAITING = "waiting"
INSIDE = "inside"  # what it used is another span's, above it or below
REFUSED = "refused"

UNDECIDED = (CALL, SUMMARY, WAITING)
DEPTH_MAX = 256  # no real trace is deeper, and a made-up one must not cost its square


class SpanNode(msgspec.Struct, gc=False):
    """A span as its trace sees it; state: a role, while it is new, or a state."""

    span_id: str
    parent_span_id: str
    state: str
    has_usage: bool
    is_failed: bool
    started_us: int  # since 1970
    ended_us: int


Trace = Mapping[str, SpanNode]  # by span id


def decide_spans(trace: Trace) -> dict[str, str]:
    """The new states of one trace's spans that were undecided: BOOKED, INSIDE, WAITING or REFUSED.

    Decided ones stay as they are, so a span that comes a second time is told apart by its id before. REFUSED is a
    call that succeeded and says nothing of what it used.
    """
    reach = _Reach(trace)
    decided: dict[str, str] = {}
    for node in _deepest_first(trace, UNDECIDED):
        state = _decide(node, reach)
        if state == BOOKED:
            reach.book(node)
        if state != node.state:
            decided[node.span_id] = state
    return decided


def settle_spans(trace: Trace) -> dict[str, str]:
    """The states of the spans that waited, when their trace has been quiet: BOOKED or INSIDE.

    A billed span whose way up is broken, because a span between was never sent, may belong to a summary that spans
    its time: then it does, for billing it twice would be worse than once.
    """
    reach = _Reach(trace)
    decided: dict[str, str] = {}
    for node in _deepest_first(trace, (WAITING,)):
        if reach.is_accounted_for(node) or reach.may_hold_a_lost_call(node):
            decided[node.span_id] = INSIDE
        else:
            decided[node.span_id] = BOOKED
            reach.book(node)
    return decided


def _decide(node: SpanNode, reach: "_Reach") -> str:
    if reach.is_accounted_for(node):
        return INSIDE
    if node.state != CALL:
        return WAITING
    if node.has_usage or node.is_failed:
        return BOOKED
    return INSIDE if reach.has_summary_above(node) else REFUSED


class _Reach:
    """What the booked spans of a trace account for: themselves, what is above them and what is below."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.above_usage: set[str] = set()  # spans with a booked span that says its usage below them
        self.above_any: set[str] = set()
        self.booked: dict[str, SpanNode] = {}
        for node in trace.values():
            if node.state == BOOKED:
                self.book(node)
        self.was_booked = frozenset(self.booked)  # before; what is booked now goes from the deepest up

    def book(self, node: SpanNode) -> None:
        self.booked[node.span_id] = node
        for ancestor in _walk_up(self.trace, node):
            self.above_any.add(ancestor.span_id)
            if node.has_usage:
                self.above_usage.add(ancestor.span_id)

    def is_accounted_for(self, node: SpanNode) -> bool:
        """Whether a booked span below or above says at least as much."""
        if node.span_id in self.above_usage or (not node.has_usage and node.span_id in self.above_any):
            return True
        return bool(self.was_booked) and any(
            ancestor.has_usage or not node.has_usage
            for ancestor in _walk_up(self.trace, node)
            if ancestor.span_id in self.was_booked
        )

    def has_summary_above(self, node: SpanNode) -> bool:
        return any(ancestor.has_usage and ancestor.state in UNDECIDED for ancestor in _walk_up(self.trace, node))

    def may_hold_a_lost_call(self, node: SpanNode) -> bool:
        top = _find_top(self.trace, node)
        return any(
            other.has_usage
            and node.started_us <= other.started_us
            and other.ended_us <= node.ended_us
            and (other_top := _find_top(self.trace, other)).span_id != top.span_id
            and other_top.parent_span_id
            for other in self.booked.values()
        )


def _walk_up(trace: Trace, node: SpanNode) -> Iterator[SpanNode]:
    """The ancestors that are known, nearest first, at most DEPTH_MAX; a circle ends where it began."""
    first = node
    for _ in range(DEPTH_MAX):
        parent = trace.get(node.parent_span_id)
        if parent is None or parent is first:
            return
        yield parent
        node = parent


def _find_top(trace: Trace, node: SpanNode) -> SpanNode:
    top = node
    for top in _walk_up(trace, node):  # noqa: B007
        pass
    return top


def _deepest_first(trace: Trace, states: tuple[str, ...]) -> list[SpanNode]:
    """Those in one of `states`; calls before summaries at one depth, and always in the same order."""
    nodes = [node for node in trace.values() if node.state in states]
    if len(nodes) < 2:
        return nodes
    depths: dict[str, int] = {}
    return sorted(nodes, key=lambda node: (-_measure_depth(trace, node, depths), node.state != CALL, node.span_id))


def _measure_depth(trace: Trace, node: SpanNode, known: dict[str, int]) -> int:
    """How many spans are above; `known` remembers them. Of a circle some number, always the same."""
    way: list[str] = []
    above = -1
    while len(way) < DEPTH_MAX and node.span_id not in known:
        known[node.span_id] = 0  # were it to come again
        way.append(node.span_id)
        parent = trace.get(node.parent_span_id)
        if parent is None:
            break
        node = parent
    else:
        above = known.get(node.span_id, -1)
    for span_id in reversed(way):
        above += 1
        known[span_id] = above
    return above
