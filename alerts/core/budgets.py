"""What a budget is, which use it covers, what stands above it, and how it is said again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args

Window = Literal["hour", "day", "week", "month", "quarter", "year"]
Basis = Literal["actual", "forecast"]
Deed = Literal["notify", "warn", "throttle", "deny", "suggest"]

WINDOWS: tuple[Window, ...] = get_args(Window)
BASES: tuple[Basis, ...] = get_args(Basis)
DEEDS: tuple[Deed, ...] = get_args(Deed)
DIMENSIONS = ("environment", "cost_center", "feature", "user", "key", "model")
USER_DIMENSIONS = ("user", "environment", "feature", "model")  # by which users are summed
CURRENCIES = ("USD",)  # of the ledger
DAYS_FORECAST = ("week", "month", "quarter", "year")  # a forecast is made from whole days
FORECAST_DEEDS = ("notify", "warn")  # no call is held up for what may come

NAME_LENGTH_MAX = 120
TOKENS_MAX = 10**12


@dataclass(frozen=True, slots=True)
class Action:
    """What is done once a window's spending, or its forecast, reaches `at_percent` of the limit.

    model: what `suggest` suggests in place of the one asked for, '' with any other deed.
    """

    at_percent: int
    on: Basis
    do: Deed
    model: str = ""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The most that one call may take; None: any number. cost in the budget's currency."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerms:
    """What somebody decides about a budget.

    scope: dimension → the value that counts, of DIMENSIONS; none of them: all that the tenant uses. amount: for one
    window, in `currency`. rollover: what the window before left of its amount is added to this one, and not what that
    one had been left itself.
    """

    name: str
    window: Window
    amount: Decimal
    scope: Mapping[str, str] = field(default_factory=dict)
    currency: str = "USD"
    actions: tuple[Action, ...] = ()
    per_request: RequestLimits = RequestLimits()
    parent_id: int | None = None
    rollover: bool = False
    owner: str = ""
    channel_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(BudgetTerms):
    """A tenant's budget as it is kept. created_by: as acts name an actor. retired_at: it counts until then."""

    tenant_id: int
    id: int
    created_by: str = ""
    created_at: datetime | None = None
    changed_at: datetime | None = None
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BudgetProblem:
    """One thing wrong with a budget: the field of its document, a stable code, and the cure."""

    field: str
    code: str
    detail: str


class BudgetRefused(ValueError):
    """A budget that cannot be as it is written; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[BudgetProblem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}" for problem in problems))
        self.problems = tuple(problems)


def covers(scope: Mapping[str, str], use: Mapping[str, str]) -> bool:
    """Whether a budget of `scope` counts a call. use: dimension → value; one that is missing has none."""
    return all(use.get(dimension, "") == value for dimension, value in scope.items())


def write_amount(amount: Decimal) -> str:
    """Every digit that says something, and two decimals at least."""
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def find_parent_problems(
    terms: BudgetTerms, *, budget_id: int | None, budgets: Mapping[int, Budget]
) -> list[BudgetProblem]:
    """What is wrong with the parent, and for the children, of a budget with these terms.

    budget_id: its own, None while it is new. budgets: those of the tenant that are not retired, by id.
    """
    children = [one for one in budgets.values() if budget_id is not None and one.parent_id == budget_id]
    problems = [
        BudgetProblem("scope", "outside_parent", f"must hold what its child “{child.name}” counts")
        for child in children
        if not covers(terms.scope, child.scope)
    ]
    if terms.parent_id is None:
        return problems
    parent = budgets.get(terms.parent_id)
    if parent is None:
        return [*problems, BudgetProblem("parent", "unknown_parent", "is no budget of the tenant, or was retired")]
    if budget_id is not None and budget_id in _list_line(parent, budgets):
        cure = "is the budget itself or stands below it; take one that does not"
        return [*problems, BudgetProblem("parent", "circular", cure)]
    if not covers(parent.scope, terms.scope):
        cure = f"counts {describe_scope(parent.scope)}, and this budget more or other than that: give it that scope too"
        problems.append(BudgetProblem("parent", "outside_parent", cure))
    return problems


def _list_line(budget: Budget, budgets: Mapping[int, Budget]) -> list[int]:
    """The budget and all that it stands below."""
    line: list[int] = []
    above: Budget | None = budget
    while above is not None and above.id not in line:
        line.append(above.id)
        above = budgets.get(above.parent_id) if above.parent_id is not None else None
    return line


def describe_scope(scope: Mapping[str, str]) -> str:
    """A scope in words: “feature chat, environment production”, or “everything”."""
    words = {"cost_center": "cost centre", "key": "API key"}
    told = [f"{words.get(name, name)} {scope[name]}" for name in DIMENSIONS if name in scope]
    return ", ".join(told) or "everything"
