"""What a budget is, the calendar window that it counts in, which use it covers, and how one is written down. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast, get_args
from zoneinfo import ZoneInfo

from billing.core.periods import start_of_day
from billing.core.wire import TEXT_LENGTH_MAX

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
AMOUNT_MAX = Decimal(10) ** 12
AMOUNT_DECIMALS_MAX = 6
ACTIONS_MAX = 20
CHANNELS_MAX = 20
PERCENT_MAX = 1_000
TOKENS_MAX = 10**12
MONTHS = 12
FIELDS = (
    "name", "scope", "window", "amount", "currency", "actions", "per_request", "parent", "rollover", "owner",
    "channels",
)  # fmt: skip


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


def find_window(window: Window, at: datetime, *, timezone: str, fiscal_month: int) -> tuple[datetime, datetime]:
    """The window that `at` lies in, [start, end) in UTC.

    Days, weeks (from Monday) and longer ones begin at midnight in `timezone`, where clocks change with a day of 23 or
    25 hours; quarters and years with the month `fiscal_month` (1 to 12). Hours are those of UTC, by which cost is
    summed: they begin at a local half hour in zones that are half an hour off.
    """
    if window == "hour":
        start = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return start, start + timedelta(hours=1)
    zone = ZoneInfo(timezone)
    first = _find_first_day(window, at.astimezone(zone).date(), fiscal_month)
    after = _find_next_day(window, first)
    # Where clocks go back over midnight a date comes again; what is counted goes on with the one after it.
    while start_of_day(after, zone) <= at:
        first, after = after, _find_next_day(window, after)
    return start_of_day(first, zone), start_of_day(after, zone)


def find_window_before(
    window: Window, start: datetime, *, timezone: str, fiscal_month: int
) -> tuple[datetime, datetime]:
    """The window that ends where one starts."""
    return find_window(window, start - timedelta(microseconds=1), timezone=timezone, fiscal_month=fiscal_month)


def _find_first_day(window: Window, day: date, fiscal_month: int) -> date:
    if window == "day":
        return day
    if window == "week":
        return day - timedelta(days=day.weekday())
    months_into_year = (day.month - fiscal_month) % MONTHS
    back = {"month": 0, "quarter": months_into_year % 3, "year": months_into_year}[window]
    return _add_months(day.replace(day=1), -back)


def _find_next_day(window: Window, first: date) -> date:
    if window in ("day", "week"):
        return first + timedelta(days=1 if window == "day" else 7)
    return _add_months(first, {"month": 1, "quarter": 3, "year": MONTHS}[window])


def _add_months(first: date, months: int) -> date:
    years, month_index = divmod(first.month - 1 + months, MONTHS)
    return date(first.year + years, month_index + 1, 1)


def covers(scope: Mapping[str, str], use: Mapping[str, str]) -> bool:
    """Whether a budget of `scope` counts a call. use: dimension → value; one that is missing has none."""
    return all(use.get(dimension, "") == value for dimension, value in scope.items())


def read_terms(document: Any) -> BudgetTerms:
    """The terms that a document as `POST /v1/budgets` takes it states. Raises BudgetRefused with all that is wrong.

    Amounts are text, or whole numbers. What needs the tenant's other budgets is left to `find_parent_problems`.
    """
    if not isinstance(document, Mapping):
        raise BudgetRefused([BudgetProblem("", "wrong_type", "a budget is an object")])
    if problems := list(_check_document(document)):
        raise BudgetRefused(problems)
    return load_terms(document)


def load_terms(document: Mapping[str, Any]) -> BudgetTerms:
    """The terms of a document that was found right before."""
    limits = document.get("per_request") or {}
    return BudgetTerms(
        name=document["name"].strip(),
        scope=dict(document.get("scope") or {}),
        window=document["window"],
        amount=Decimal(document["amount"]),
        currency=document.get("currency", "USD"),
        actions=tuple(sorted(map(_read_action, document.get("actions") or []), key=_order_action)),
        per_request=RequestLimits(
            input_tokens=limits.get("input_tokens"),
            output_tokens=limits.get("output_tokens"),
            cost=Decimal(limits["cost"]) if limits.get("cost") is not None else None,
        ),
        parent_id=document.get("parent"),
        rollover=document.get("rollover") or False,
        owner=(document.get("owner") or "").strip(),
        channel_ids=tuple(document.get("channels") or []),
    )


def write_terms(terms: BudgetTerms) -> dict[str, Any]:
    """The document that `read_terms` reads the same terms from."""
    limits = terms.per_request
    return {
        "name": terms.name,
        "scope": dict(terms.scope),
        "window": terms.window,
        "amount": write_amount(terms.amount),
        "currency": terms.currency,
        "actions": [
            {"at_percent": action.at_percent, "on": action.on, "do": action.do}
            | ({"model": action.model} if action.model else {})
            for action in terms.actions
        ],
        "per_request": {
            "input_tokens": limits.input_tokens,
            "output_tokens": limits.output_tokens,
            "cost": None if limits.cost is None else write_amount(limits.cost),
        },
        "parent": terms.parent_id,
        "rollover": terms.rollover,
        "owner": terms.owner,
        "channels": list(terms.channel_ids),
    }


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


def _read_action(raw: Mapping[str, Any]) -> Action:
    return Action(
        at_percent=raw["at_percent"],
        on=cast(Basis, raw.get("on", "actual")),
        do=cast(Deed, raw["do"]),
        model=raw.get("model") or "",
    )


def _order_action(action: Action) -> tuple[int, int, int, str]:
    return action.at_percent, BASES.index(action.on), DEEDS.index(action.do), action.model


def _check_document(document: Mapping[str, Any]) -> Iterator[BudgetProblem]:
    for name in document:
        if name not in FIELDS:
            yield BudgetProblem(
                str(name)[:64], "unknown_field", f"is no field of a budget; those are {', '.join(FIELDS)}"
            )
    yield from _check_text("name", document.get("name"), length_max=NAME_LENGTH_MAX, is_required=True)
    yield from _check_text("owner", document.get("owner", ""), length_max=NAME_LENGTH_MAX)
    yield from _check_choice("window", document.get("window"), WINDOWS)
    yield from _check_amount("amount", document.get("amount"))
    yield from _check_choice("currency", document.get("currency", "USD"), CURRENCIES)
    yield from _check_scope(document.get("scope"))
    yield from _check_actions(document.get("actions"), document.get("window"))
    yield from _check_request_limits(document.get("per_request"))
    parent, rollover, channels = document.get("parent"), document.get("rollover"), document.get("channels")
    if parent is not None and not _is_whole(parent, 1, 2**63 - 1):
        yield BudgetProblem("parent", "wrong_type", "must be the id of a budget, or null")
    if rollover is not None and not isinstance(rollover, bool):
        yield BudgetProblem("rollover", "wrong_type", "must be true or false")
    if channels is not None and not (
        isinstance(channels, list) and all(_is_whole(channel, 1, 2**63 - 1) for channel in channels)
    ):
        yield BudgetProblem("channels", "wrong_type", "must be a list of ids of channels")
    elif channels is not None and (len(channels) > CHANNELS_MAX or len(set(channels)) < len(channels)):
        yield BudgetProblem("channels", "too_many", f"names at most {CHANNELS_MAX} channels, each once")


def _check_text(name: str, value: Any, *, length_max: int, is_required: bool = False) -> Iterator[BudgetProblem]:
    if value is None and not is_required:
        return
    if value is None or (is_required and isinstance(value, str) and not value.strip()):
        yield BudgetProblem(name, "missing_field", "is required")
    elif not isinstance(value, str):
        yield BudgetProblem(name, "wrong_type", "must be text")
    elif len(value) > length_max:
        yield BudgetProblem(name, "too_long", f"has at most {length_max} characters")
    elif not value.isprintable():
        yield BudgetProblem(name, "invalid_text", "must stand on one line, without control characters")


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> Iterator[BudgetProblem]:
    if value is None:
        yield BudgetProblem(name, "missing_field", f"is required: {', '.join(choices)}")
    elif value not in choices:
        yield BudgetProblem(name, "wrong_value", f"must be {'one of ' * (len(choices) > 1)}{', '.join(choices)}")


def _check_amount(name: str, value: Any) -> Iterator[BudgetProblem]:
    if value is None:
        yield BudgetProblem(name, "missing_field", "is required, as text such as “3000.00”")
        return
    amount = _read_decimal(value)
    if amount is None:
        yield BudgetProblem(name, "wrong_type", "must be a decimal as text, such as “3000.00”")
    elif not 0 < amount <= AMOUNT_MAX:
        yield BudgetProblem(name, "out_of_range", f"must be above 0, and at most {AMOUNT_MAX:,f}")
    elif -int(amount.normalize().as_tuple().exponent) > AMOUNT_DECIMALS_MAX:
        yield BudgetProblem(name, "too_precise", f"has at most {AMOUNT_DECIMALS_MAX} decimals")


def _read_decimal(value: Any) -> Decimal | None:
    """The number, None for what is none; a float is none, as it is not what was written."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _check_scope(scope: Any) -> Iterator[BudgetProblem]:
    if scope is None:
        return
    if not isinstance(scope, Mapping):
        yield BudgetProblem("scope", "wrong_type", 'must be an object such as {"feature": "chat"}')
        return
    for name, value in scope.items():
        if name not in DIMENSIONS:
            cure = f"is no dimension of a budget; those are {', '.join(DIMENSIONS)}"
            yield BudgetProblem(f"scope.{str(name)[:64]}", "unknown_field", cure)
        else:
            yield from _check_text(f"scope.{name}", value, length_max=TEXT_LENGTH_MAX, is_required=True)
    beside = [name for name in scope if name in DIMENSIONS and name not in USER_DIMENSIONS]
    if "user" in scope and beside:
        cure = f"does not go with {', '.join(beside)}: users are summed by {', '.join(USER_DIMENSIONS[1:])} only"
        yield BudgetProblem("scope.user", "not_together", cure)


def _check_actions(actions: Any, window: Any) -> Iterator[BudgetProblem]:
    if actions is None:
        return
    if not isinstance(actions, list):
        yield BudgetProblem("actions", "wrong_type", 'must be a list such as [{"at_percent": 80, "do": "notify"}]')
        return
    if len(actions) > ACTIONS_MAX:
        yield BudgetProblem("actions", "too_many", f"has at most {ACTIONS_MAX} actions")
        return
    told: set[tuple[Any, ...]] = set()
    for number, action in enumerate(actions):
        problems = list(_check_action(f"actions.{number}", action, window))
        yield from problems
        if problems:
            continue
        key = (action["at_percent"], action.get("on", "actual"), action["do"])
        if key in told:
            yield BudgetProblem(f"actions.{number}", "duplicate", "stands twice; leave one of them out")
        told.add(key)


def _check_action(place: str, action: Any, window: Any) -> Iterator[BudgetProblem]:
    if not isinstance(action, Mapping):
        yield BudgetProblem(place, "wrong_type", 'must be an object such as {"at_percent": 80, "do": "notify"}')
        return
    for name in action:
        if name not in ("at_percent", "on", "do", "model"):
            yield BudgetProblem(f"{place}.{str(name)[:64]}", "unknown_field", "is none of at_percent, on, do, model")
    if not _is_whole(action.get("at_percent"), 1, PERCENT_MAX):
        yield BudgetProblem(f"{place}.at_percent", "out_of_range", f"must be a whole number, 1 to {PERCENT_MAX}")
    on, do, model = action.get("on", "actual"), action.get("do"), action.get("model")
    yield from _check_choice(f"{place}.on", on, BASES)
    yield from _check_choice(f"{place}.do", do, DEEDS)
    if on == "forecast" and do in DEEDS and do not in FORECAST_DEEDS:
        cure = f"on a forecast is {' or '.join(FORECAST_DEEDS)}: no call is held up for what may come"
        yield BudgetProblem(f"{place}.do", "wrong_value", cure)
    if on == "forecast" and window in WINDOWS and window not in DAYS_FORECAST:
        yield BudgetProblem(f"{place}.on", "wrong_value", f"can be forecast for a {', '.join(DAYS_FORECAST)} only")
    if do == "suggest":
        yield from _check_text(f"{place}.model", model, length_max=TEXT_LENGTH_MAX, is_required=True)
    elif model:
        yield BudgetProblem(f"{place}.model", "wrong_value", "goes with suggest only; leave it out")


def _check_request_limits(limits: Any) -> Iterator[BudgetProblem]:
    if limits is None:
        return
    if not isinstance(limits, Mapping):
        yield BudgetProblem("per_request", "wrong_type", 'must be an object such as {"output_tokens": 4096}')
        return
    for name, value in limits.items():
        place = f"per_request.{str(name)[:64]}"
        if name not in ("input_tokens", "output_tokens", "cost"):
            yield BudgetProblem(place, "unknown_field", "is none of input_tokens, output_tokens, cost")
        elif name == "cost" and value is not None:
            yield from _check_amount(place, value)
        elif value is not None and not _is_whole(value, 1, TOKENS_MAX):
            yield BudgetProblem(place, "out_of_range", f"must be a whole number, 1 to {TOKENS_MAX:,}")


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
