"""Imports point down only, and the cores are plain Python."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import ForeignKey

ROOT = Path(__file__).resolve().parents[2]
APPS_FROM_THE_TOP = (
    "finops",
    "api",
    "dashboards",
    "chargeback",
    "alerts",
    "audit",
    "billing",
    "content",
    "ledger",
    "tenants",
)
OURS = ("tenants", "ledger", "content", "billing", "audit", "alerts", "chargeback", "api", "dashboards", "finops")
CORES = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("*/core/__init__.py"))
NOT_IN_A_CORE = ("django", "rest_framework", "celery", "psycopg", "redis")


def test_every_import_contract_is_kept():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("core", CORES, ids=str)
def test_a_core_loads_without_django_and_without_io(core):
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / core).rglob("*.py"))
    ]
    program = (
        f"import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*sorted(set({NOT_IN_A_CORE!r}) & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def test_there_is_a_core_in_the_ledger_in_content_and_in_billing():
    assert {"ledger/core", "content/core", "billing/core"} <= {str(core) for core in CORES}


def test_foreign_keys_point_down_and_leave_no_way_back():
    faults = []
    for model in apps.get_models():
        label = model._meta.app_label
        if label not in OURS:
            continue
        for field in model._meta.get_fields():
            if not isinstance(field, ForeignKey):
                continue
            target = field.related_model._meta.app_label
            if target in OURS and OURS.index(target) > OURS.index(label):
                faults.append(f"{label}.{model.__name__}.{field.name} points up to {target}")
            if not field.remote_field.hidden:
                faults.append(f"{label}.{model.__name__}.{field.name} lacks related_name='+'")
    assert faults == []


def test_no_app_reaches_models_by_name():
    # apps.get_model would be an import that the contracts cannot see.
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for app in APPS_FROM_THE_TOP
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "get_model"
    ]
    assert found == []
