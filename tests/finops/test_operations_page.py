"""docs/operations.md lists what there is: variables, checks, our own commands."""

import re

from django.core.management import get_commands

from finops.doctor import CHECKS
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
APPS = ("finops", "api", "dashboards", "alerts", "audit", "billing", "content", "ledger", "tenants")
READS = re.compile(
    r"""(?:\b(?:env\.\w+|os\.environ\.get|environment\.get|chosen\.get)\(\s*|\w+_VARIABLE = )["']([A-Z][A-Z_]+)["']"""
)


def find_variables():
    sources = [path for app in APPS for path in (ROOT / app).rglob("*.py")]
    return {name for path in sources for name in READS.findall(path.read_text())}


def test_every_variable_that_is_read_is_listed():
    variables = find_variables()
    assert {"DATABASE_APP_URL", "RECEIPT_KEY", "TOKENLEDGER_HOME", "NO_COLOR"} <= variables
    assert {name for name in variables if f"| `{name}` |" not in PAGE} == set()


def test_every_listed_variable_is_read():
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE))
    assert listed - find_variables() == set()


def test_every_check_of_the_doctor_is_listed():
    assert [name for name in CHECKS if f"| `{name}` |" not in PAGE] == []


def test_every_command_of_ours_is_listed():
    ours = {name for name, app in get_commands().items() if app in APPS}
    assert {name for name in ours if not re.search(rf"^\| `{name}\b", PAGE, re.MULTILINE)} == set()
