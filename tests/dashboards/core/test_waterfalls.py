"""The tree of a trace, by hand: a minute in seconds, costs in cents."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dashboards.core.waterfalls import CIRCLE, FITS, ORPHAN, Step, grow_tree

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)


def step(name, parent="", start=0, end=60, cents=None, unpriced=0):
    return Step(
        name, parent, NOON + timedelta(seconds=start), NOON + timedelta(seconds=end),
        None if cents is None else Decimal(cents), unpriced,
    )  # fmt: skip


def draw(*steps):
    """Each span as its depth and name, with its total and what else is to be said of it."""
    return [
        ("  " * branch.depth + steps[branch.index].span_id, branch.total, branch.is_dearest)
        for branch in grow_tree(steps)
    ]


def test_costs_add_up_towards_the_root_and_the_dearest_path_is_marked_to_the_leaf():
    # plan costs most of all single calls, but search cost more with what it called: 3 + 4 + 2 = 9 against 8.
    assert draw(
        step("agent"),
        step("plan", "agent", 1, 10, 8),
        step("search", "agent", 11, 50, 3),
        step("rank", "search", 12, 20, 4),
        step("read", "search", 21, 30, 2),
        step("log", "agent", 51, 52),
    ) == [
        ("agent", 17, True), ("  plan", 8, False), ("  search", 9, True), ("    rank", 4, True), ("    read", 2, False),
        ("  log", None, False),
    ]  # fmt: skip


def test_of_two_that_cost_the_same_the_earlier_is_on_the_path():
    assert draw(step("late", start=9, cents=5), step("early", start=1, cents=5)) == [
        ("early", 5, True), ("late", 5, False)
    ]  # fmt: skip


def test_what_has_no_price_is_unknown_and_on_no_path():
    tree = grow_tree([step("agent"), step("call", "agent", unpriced=2), step("free", "agent", cents=0)])
    assert [(branch.total, branch.total_unpriced, branch.is_dearest) for branch in tree] == [
        (0, 2, False), (None, 2, False), (0, 0, False)
    ]  # fmt: skip


def test_a_span_whose_parent_is_not_here_stands_at_the_top_and_says_so():
    steps = [step("root", cents=1), step("lost", "nobody", 5, cents=2), step("below", "lost", 6, cents=1)]
    assert draw(*steps) == [("root", 1, False), ("lost", 3, True), ("  below", 1, True)]
    assert [branch.place for branch in grow_tree(steps)] == [FITS, ORPHAN, FITS]


def test_a_circle_of_parents_is_opened_where_it_began_and_nothing_is_lost_or_counted_twice():
    steps = [
        step("root", cents=1), step("b", "c", 2, cents=2), step("c", "a", 3, cents=3), step("a", "b", 1, cents=4),
        step("tail", "c", 9, cents=5), step("self", "self", 10, cents=6),
    ]  # fmt: skip
    assert draw(*steps) == [
        ("root", 1, False), ("a", 14, True), ("  c", 10, True), ("    b", 2, False), ("    tail", 5, True),
        ("self", 6, False),
    ]  # fmt: skip
    assert [branch.place for branch in grow_tree(steps)] == [FITS, CIRCLE, FITS, FITS, FITS, CIRCLE]


def test_bars_share_the_time_of_the_whole_trace_and_a_clock_that_is_wrong_is_told():
    # 100 s in all: from 10 s before the parent began to 30 s after it ended.
    steps = [
        step("parent", start=0, end=60),
        step("early", "parent", -10, 20),
        step("late", "parent", 50, 90),
        step("inside", "parent", 59.999, 60.004),  # within the slack
    ]
    tree = {steps[branch.index].span_id: branch for branch in grow_tree(steps)}
    assert {name: (branch.x, branch.width, branch.strays) for name, branch in tree.items()} == {
        "parent": (100, 600, False), "early": (0, 300, True), "late": (600, 400, True), "inside": (700, 3, False)
    }  # fmt: skip


def test_a_moment_and_a_span_that_ends_before_it_began_have_bars_too():
    assert [(branch.x, branch.width) for branch in grow_tree([step("once", start=0, end=0)])] == [(0, 1000)]
    assert grow_tree([]) == []
    tree = grow_tree([step("whole"), step("back", "whole", 60, 30)])
    assert [(branch.x, branch.width) for branch in tree] == [(0, 1000), (997, 3)]


def test_two_spans_of_one_id_both_stand_there_and_the_children_below_the_first():
    assert draw(step("a", cents=1), step("a", start=1, cents=2), step("b", "a", 2, cents=3)) == [
        ("a", 4, True), ("  b", 3, True), ("a", 2, False)
    ]  # fmt: skip


def test_a_chain_as_long_as_a_trace_may_be_is_walked():
    steps = [step(f"s{i}", f"s{i - 1}" if i else "", i / 1000, cents=1) for i in range(10_000)]
    tree = grow_tree(steps)
    assert (tree[0].total, tree[0].below, tree[-1].depth) == (10_000, 9_999, 9_999)
    assert all(branch.is_dearest for branch in tree)
