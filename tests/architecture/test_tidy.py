"""Hazards that a reader overlooks: each is banned where it harms, with what to write instead. Sizes are not judged."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("finops", "api", "dashboards", "chargeback", "alerts", "audit", "billing", "content", "ledger", "tenants")
BELOW_DOORS = ("alerts", "audit", "billing", "chargeback", "content", "ledger", "tenants")
DOORS = ("views", "management", "middleware.py", "tasks.py", "apps.py")


def list_files(*folders, suffix=".py"):
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob(f"*{suffix}"))
        if "migrations" not in path.parts
    ]


CORES = [path for path in list_files(*APPS) if "core" in path.parts]
BELOW = [path for path in list_files(*BELOW_DOORS) if not set(path.parts) & set(DOORS)]
VIEWS_AND_TASKS = [path for path in list_files(*APPS) if "views" in path.parts or path.name in ("views.py", "tasks.py")]
TEMPLATES = [*list_files("templates", suffix=".html"), *list_files(*APPS, suffix=".html")]

# Where, what (a regular expression over the code without its comments and texts), and what to write instead.
HAZARDS = [
    (BELOW, r"\b(datetime\.now|datetime\.utcnow|timezone\.now|date\.today)\(", "take `now` as an argument"),
    (CORES, r"\bfloat\(", "Decimal, or whole numbers"),
    (VIEWS_AND_TASKS, r"\.objects\b", "a selector, or the noun's own file"),
    (
        # The verifier is a program of its own, which a tenant runs.
        [path for path in list_files("api", "dashboards", *BELOW_DOORS) if "verifier" not in path.parts],
        r"(?<![.\w])print\(",
        "self.stdout in a command, else logging",
    ),
    (list_files(*APPS), r"\bFIX" + r"ME\b|\bTO" + r"DO\b|\bXX" + r"X\b", "the finished thing, or a sentence in docs/"),
    (list_files(*APPS), r"\bfrom_float\(|\bparse_float=float\b", "Decimal from text"),
    (list_files(*APPS), r"@receiver\b|\bpost_save\b|\bpre_save\b", "a call in the noun's own file"),
    (list_files(*APPS), r"\bmark_safe\((?!([\x27\"]).*?\1\))", "format_html(), but for a constant text"),
    (list_files(*APPS), r"\beval\(|\bexec\(|\bpickle\.loads?\(", "msgspec"),
    (
        # A mail program ends a subscription with a token, and has neither a session nor a form of ours.
        [path for path in list_files(*APPS) if path.name != "unsubscribe.py"],
        r"@csrf_exempt\b",
        "the machines' door (api.middleware)",
    ),
    (TEMPLATES, r"\|\s*safe\b", "a tag that returns format_html()"),
    (TEMPLATES, r"<script(?![^>]*\b(src=|type=\"application/json\"))", "a file in static/; data through json_script"),
    # A mail has no style sheet of ours.
    ([path for path in TEMPLATES if path.name != "mail.html"], r"<style\b|\sstyle=", "a class of the style sheet"),
    (TEMPLATES, r"\son[a-z]+=\"", "a listener in static/"),
]  # fmt: skip
BANNED_NAMES = {"utils.py", "helpers.py", "common.py", "manager.py", "managers.py", "signals.py", "services.py"}
ALLOWED_NAMES = {"finops/services.py"}  # the processes that `up` and the containers start


@cache
def read_code(path):
    """A Python file without its comments and docstrings; any other file whole, without template comments."""
    text = path.read_text()
    if path.suffix != ".py":
        return re.sub(r"\{#.*?#\}", "", text)
    return ast.unparse(_drop_docstrings(ast.parse(text)))


def _drop_docstrings(tree):
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0] = ast.Pass()
    return tree


@pytest.mark.parametrize(
    ("files", "hazard", "instead"), HAZARDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_hazard_is_nowhere(files, hazard, instead):
    found = [str(path.relative_to(ROOT)) for path in files if re.search(hazard, read_code(path))]
    assert found == [], f"write {instead}"


def test_no_file_is_named_for_nothing():
    found = {str(path.relative_to(ROOT)) for path in list_files(*APPS) if path.name in BANNED_NAMES}
    assert found - ALLOWED_NAMES == set()


def test_no_model_decides_when_it_is_saved():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in list_files(*APPS)
        if path.name == "models.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name in ("save", "delete", "clean")
    ]
    assert found == []


def test_every_app_says_what_it_owns():
    for app in APPS:
        assert ast.get_docstring(ast.parse((ROOT / app / "__init__.py").read_text())), app


def test_a_setting_of_a_session_never_outlives_its_transaction():
    # On a connection that is used again, the next request would act for the tenant of this one.
    found = [
        str(path.relative_to(ROOT))
        for path in list_files(*APPS)
        if re.search(r"set_config\((?!'[\w.]+', [^,]+, true\))|\bSET (SESSION )?app\.", path.read_text())
    ]
    assert found == []
