"""The table of an event's fields in docs/api.md is the wire event's own."""

import re

from billing.core.wire import FIELDS, REQUIRED
from billing.core.wire_checks import KIND_NAMES, KINDS
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "api.md"
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+?) \| ([^|]*?) ?\| [^|]*\|$", re.MULTILINE)


def read_table():
    """(name, type, required) of each row."""
    table = PAGE.read_text().partition("| field | type | | meaning |\n")[2].partition("\n\n")[0]
    return ROW.findall(table + "\n")


def test_the_table_names_each_field_of_an_event_once_and_in_its_order():
    assert [name for name, _, _ in read_table()] == list(FIELDS)


def test_the_table_says_which_type_a_field_has_and_which_are_required():
    article = re.compile(r"^an? ")
    for name, kind, required in read_table():
        assert kind == article.sub("", KIND_NAMES[KINDS.get(name, str)]), name
        assert (required == "required") == (name in REQUIRED), name
