"""How a budget is written down: read from a document, or refused with all that is wrong with it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from alerts.core.budgets import (
    BASES,
    CURRENCIES,
    DAYS_FORECAST,
    DEEDS,
    DIMENSIONS,
    FORECAST_DEEDS,
    NAME_LENGTH_MAX,
    TOKENS_MAX,
    USER_DIMENSIONS,
    WINDOWS,
    Action,
    Basis,
    BudgetProblem,
    BudgetRefused,
    BudgetTerms,
    Deed,
    RequestLimits,
    write_amount,
)
from billing.core.wire import TEXT_LENGTH_MAX

AMOUNT_MAX = Decimal(10) ** 12
AMOUNT_DECIMALS_MAX = 6
ACTIONS_MAX = 20
CHANNELS_MAX = 20
PERCENT_MAX = 1_000
FIELDS = (
    "name", "scope", "window", "amount", "currency", "actions", "per_request", "parent", "rollover", "owner",
    "channels",
)  # fmt: skip


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
