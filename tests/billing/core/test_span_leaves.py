"""Which spans of a trace are billed: each call once, whatever order they come in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.core.spans import (
    BOOKED,
    CALL,
    INSIDE,
    OTHER,
    REFUSED,
    SUMMARY,
    WAITING,
    SpanNode,
    decide_spans,
    settle_spans,
)


def make_trace(*spans):
    """Spans as (id, parent, state), with usage unless the id ends in `-`, failed where it ends in `!`."""
    return {
        name: SpanNode(name, parent, state, not name.endswith(("-", "!")), name.endswith("!"), 100, 200)
        for name, parent, state in spans
    }


CASES = [
    ("a call alone", [("c", "", CALL)], {"c": BOOKED}),
    ("an agent alone waits", [("a", "", SUMMARY)], {"a": WAITING}),
    ("an agent above a call", [("a", "", SUMMARY), ("c", "a", CALL)], {"a": INSIDE, "c": BOOKED}),
    (
        "an agent above a step above calls",
        [("a", "", SUMMARY), ("s-", "a", OTHER), ("c", "s-", CALL), ("d", "s-", CALL)],
        {"a": INSIDE, "c": BOOKED, "d": BOOKED},
    ),
    ("a call in a call", [("o", "", CALL), ("i", "o", CALL)], {"o": INSIDE, "i": BOOKED}),
    ("a call in a failed one", [("o!", "", CALL), ("i", "o!", CALL)], {"o!": INSIDE, "i": BOOKED}),
    ("a failure in a failure", [("o!", "", CALL), ("i!", "o!", CALL)], {"o!": INSIDE, "i!": BOOKED}),
    ("a failed attempt in a call that succeeded", [("o", "", CALL), ("i!", "o", CALL)], {"o": BOOKED, "i!": BOOKED}),
    ("an agent above a failure waits", [("a", "", SUMMARY), ("c!", "a", CALL)], {"a": WAITING, "c!": BOOKED}),
    ("a mute call", [("c-", "", CALL)], {"c-": REFUSED}),
    ("a mute call in an agent that knows", [("a", "", SUMMARY), ("c-", "a", CALL)], {"a": WAITING, "c-": INSIDE}),
    ("a late call under a billed agent", [("a", "", BOOKED), ("c", "a", CALL)], {"c": INSIDE}),
    ("a waiting agent whose call comes", [("a", "", WAITING), ("c", "a", CALL)], {"a": INSIDE, "c": BOOKED}),
    (
        "a step that joins a waiting agent to its call",
        [("a", "", WAITING), ("s-", "a", OTHER), ("c", "s-", BOOKED)],
        {"a": INSIDE},
    ),
    ("a circle", [("c", "d", CALL), ("d", "c", CALL)], {"c": BOOKED, "d": INSIDE}),
    ("its own parent", [("c", "c", CALL)], {"c": BOOKED}),
]  # fmt: skip


@pytest.mark.parametrize(("spans", "decided"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_lowest_span_that_says_its_usage_is_billed(spans, decided):
    assert decide_spans(make_trace(*spans)) == decided


def test_of_waiting_summaries_the_lowest_is_billed_when_the_trace_is_quiet():
    trace = make_trace(("a", "", WAITING), ("b", "a", WAITING), ("c", "a", WAITING))
    assert settle_spans(trace) == {"b": BOOKED, "c": BOOKED, "a": INSIDE}


def test_a_call_whose_way_up_is_lost_belongs_to_the_summary_that_spans_its_time():
    trace = make_trace(("a", "", WAITING), ("c", "lost", BOOKED))
    assert settle_spans(trace) == {"a": INSIDE}
    trace["c"].started_us = 50
    assert settle_spans(trace) == {"a": BOOKED}


def test_a_call_beside_a_summary_in_one_tree_is_not_lost():
    trace = make_trace(("root-", "gateway", OTHER), ("a", "root-", WAITING), ("c", "root-", BOOKED))
    assert settle_spans(trace) == {"a": BOOKED}


@st.composite
def trees(draw, *, calls_are_leaves=False):
    """A trace of up to 12 spans, each below an earlier one; a call above a call only where that is asked for."""
    spans = []
    for number in range(draw(st.integers(1, 12))):
        above = [name for name, _, state in spans if not (calls_are_leaves and state == CALL)]
        parent = draw(st.sampled_from(["", *above]))
        spans.append((str(number), parent, draw(st.sampled_from([CALL, SUMMARY, OTHER]))))
    return spans


def bill(requests):
    """Decide request after request, then settle; the final states."""
    trace = {}
    for request in requests:
        trace |= make_trace(*request)
        for name, state in decide_spans(trace).items():
            trace[name].state = state
    for name, state in settle_spans(trace).items():
        trace[name].state = state
    return trace


def list_way_up(trace, name):
    way = []
    while name := trace[name].parent_span_id:
        way.append(name)
    return way


def check_each_counts_once(trace):
    """No billed span is above or below another, and what is not billed is above or below one that is."""
    booked = {name for name, node in trace.items() if node.state == BOOKED}
    for name, node in trace.items():
        related = {other for other in booked if name in list_way_up(trace, other)} | booked & {
            *list_way_up(trace, name)
        }
        if name in booked:
            assert not related
        elif node.state != OTHER:
            assert node.state == INSIDE
            assert related


@given(trees(), st.data())
@settings(max_examples=200, deadline=None)
def test_spans_that_come_as_they_end_are_billed_once_however_requests_cut_them(spans, data):
    ended = spans[::-1]  # what is below ends first
    cut = data.draw(st.integers(0, len(ended)))
    check_each_counts_once(bill([ended[:cut], ended[cut:]]))


@given(trees(calls_are_leaves=True), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_summaries_and_calls_are_billed_once_in_any_order(spans, chance):
    chance.shuffle(spans)
    check_each_counts_once(bill([[span] for span in spans]))


def test_a_made_up_trace_of_twenty_thousand_spans_in_a_line_is_decided_in_seconds():
    line = [(str(number), str(number - 1), CALL) for number in range(20_000)]
    decided = decide_spans(make_trace(*line))
    assert len(decided) == 20_000
