"""Which function writes what, and which of them keep an act: read from the code, by names that modules really hold."""

import ast
import importlib
import inspect
import re
import types
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from psycopg.sql import Composable

ROOT = Path(__file__).resolve().parents[2]
APPS = ("finops", "api", "dashboards", "chargeback", "alerts", "audit", "billing", "content", "ledger", "tenants")
DOORS = re.compile(r"\b(views|management|tasks|middleware|consumers)\b")
BOOK_ACT = "ledger.acts.book_act"
WRITING_SQL = re.compile(r"\b(INSERT\s+INTO|UPDATE\s+[a-z_{]+\s|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE|COPY\s+[a-z_]+)\b")
WRITING_CALL = re.compile(r"\.(bulk_create|update_or_create|get_or_create|bulk_update)\(")
WRITING_ROWS = re.compile(r"\.(create|update|delete)\(")
SAVING = re.compile(r"\.save\((?!\))|\b\w+\.(save|delete)\(\)")


@dataclass(slots=True)
class Function:
    """A function or a method. uses: whatever of ours it names, called or handed on."""

    name: str
    is_door: bool
    writes: bool
    uses: set[str] = field(default_factory=set)


@cache
def read_functions() -> dict[str, Function]:
    """Every function and method of ours by its whole name, `billing.keys.make_api_key`."""
    found, methods = {}, defaultdict(set)
    parsed = [(path, ast.parse(path.read_text())) for path in _list_modules()]
    for path, tree in parsed:
        for owner, node in _list_nodes(tree):
            if owner:
                methods[node.name].add(f"{_name_module(path)}.{owner}.{node.name}")
    for path, tree in parsed:
        name = _name_module(path)
        module = importlib.import_module(name)
        for owner, node in _list_nodes(tree):
            whole = ".".join(part for part in (name, owner, node.name) if part)
            text = ast.unparse(node)
            found[whole] = Function(
                whole,
                bool(DOORS.search(name)),
                _writes(node, text, module),
                _list_uses(node, module, methods, name) - {whole},
            )
    return found


def _list_modules() -> list[Path]:
    """All but what is pure, what is run once, and the file that a tenant runs."""
    folders, files = {"migrations", "core", "verifier"}, {"__init__.py", "__main__.py", "wsgi.py"}
    return [
        path
        for app in APPS
        for path in sorted((ROOT / app).rglob("*.py"))
        if path.name not in files and not folders & set(path.relative_to(ROOT).parts)
    ]


def _name_module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _list_nodes(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of the module and methods of its classes, each with the name of its class."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((node.name, each) for each in node.body if isinstance(each, ast.FunctionDef))


def _writes(node: ast.FunctionDef, text: str, module: types.ModuleType) -> bool:
    if WRITING_CALL.search(text) or SAVING.search(text):
        return True
    if ".objects" in text and WRITING_ROWS.search(text):
        return True
    texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    texts += [_read_text(getattr(module, one.id, None)) for one in ast.walk(node) if isinstance(one, ast.Name)]
    docstring = ast.get_docstring(node, clean=False)
    return any(WRITING_SQL.search(each) for each in texts if each != docstring)


def _read_text(value: object) -> str:
    if isinstance(value, Composable):
        return value.as_string(None)
    return value if isinstance(value, str) else ""


def _list_uses(node: ast.FunctionDef, module: types.ModuleType, methods: dict[str, set[str]], own: str) -> set[str]:
    uses = set()
    for each in ast.walk(node):
        values = list(_unpack(_find_value(each, module)))
        if values:
            uses |= {_name_value(value) for value in values}
        elif isinstance(each, ast.Attribute) and each.attr in methods:
            # A method of something: of which class, its module tells by naming the class.
            known = {f"{one.__module__}.{one.__qualname__}" for one in vars(module).values() if inspect.isclass(one)}
            uses |= {name for name in methods[each.attr] if name.rpartition(".")[0] in known}
    return uses


def _unpack(value: object) -> Iterator[object]:
    """A function or a class; those of a table of steps too."""
    if inspect.isfunction(value) or inspect.isclass(value):
        yield inspect.unwrap(value)
    elif isinstance(value, dict):
        yield from (found for one in value.values() for found in _unpack(one))
    elif isinstance(value, list | tuple):
        yield from (found for one in value for found in _unpack(one))


def _name_value(value: object) -> str:
    whole = f"{value.__module__}.{value.__qualname__}"
    return f"{whole}.__init__" if inspect.isclass(value) else whole


def _find_value(node: ast.AST, module: types.ModuleType) -> object:
    if isinstance(node, ast.Name):
        return getattr(module, node.id, None)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        holder = getattr(module, node.value.id, None)
        return getattr(holder, node.attr, None) if isinstance(holder, types.ModuleType) else None
    return None


@cache
def list_deeds() -> frozenset[str]:
    """Every function that comes to `book_act`, directly or through others; doors too."""
    reached = {BOOK_ACT}
    functions = read_functions()
    while True:
        more = {name for name, one in functions.items() if name not in reached and one.uses & reached}
        if not more:
            return frozenset(reached)
        reached |= more


@cache
def find_callers() -> dict[str, set[str]]:
    callers = defaultdict(set)
    for name, one in read_functions().items():
        for used in one.uses:
            callers[used].add(name)
    return callers


def find_unkept_writes() -> set[str]:
    """Functions that write, and come from a door, or from nowhere, past nobody below the doors who keeps an act."""
    deeds, functions, callers = list_deeds(), read_functions(), find_callers()

    def is_kept(name: str, seen: frozenset[str]) -> bool:
        if functions[name].is_door:
            return False
        if name in deeds or name in seen:
            return True
        above = callers.get(name, set())
        return bool(above) and all(is_kept(each, seen | {name}) for each in above)

    return {name for name, one in functions.items() if one.writes and not is_kept(name, frozenset())}


def list_outer_deeds() -> set[str]:
    """What doors call, or nobody, to have something done that is kept as an act."""
    functions, callers = read_functions(), find_callers()
    return {
        name
        for name in list_deeds() & set(functions)
        if not functions[name].is_door
        and (not callers.get(name) or any(functions[each].is_door for each in callers[name]))
    }
