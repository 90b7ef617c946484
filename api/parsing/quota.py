"""A quota check as `POST /v1/quota/check` takes it: all of its problems at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from alerts.core.budgets import TOKENS_MAX
from alerts.core.quota import Call
from alerts.quota import HOLD_SECONDS, HOLD_SECONDS_MAX
from api.problems import refuse_input
from api.quota_shapes import COST_MAX, QUOTA_QUESTION, REQUEST_ID_LENGTH_MAX
from billing.core.wire import TEXT_LENGTH_MAX
from billing.core.wire_checks import (
    KIND_NAMES,
    ItemProblem,
    ItemRefused,
    check_text,
    load_strictly,
    name_kind,
    printable,
)

BODY_BYTES_MAX = 64_000
FIELDS = tuple(QUOTA_QUESTION["properties"])
REQUIRED = tuple(QUOTA_QUESTION["required"])
KINDS: dict[str, type] = {
    "estimated_input_tokens": int, "max_output_tokens": int, "hold_seconds": int, "reserve": bool,
}  # fmt: skip
BOUNDS = {
    "estimated_input_tokens": (0, TOKENS_MAX),
    "max_output_tokens": (0, TOKENS_MAX),
    "hold_seconds": (1, HOLD_SECONDS_MAX),
}
COST_DECIMALS_MAX = 12


@dataclass(frozen=True, slots=True)
class QuotaQuestion:
    """A call that is asked about, and what is to be held for it. request_id: '' for none."""

    call: Call
    reserves: bool
    hold_seconds: int
    request_id: str


Name = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_LENGTH_MAX)]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH_MAX)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A check as nearly all of them come: texts without an escape, no name twice, and the cost left to the rates."""

    provider: Name
    model: Name
    feature: Text | msgspec.UnsetType = msgspec.UNSET
    user: Text | msgspec.UnsetType = msgspec.UNSET
    cost_center: Text | msgspec.UnsetType = msgspec.UNSET
    environment: Text | msgspec.UnsetType = msgspec.UNSET
    key: Text | msgspec.UnsetType = msgspec.UNSET
    service_tier: Text | msgspec.UnsetType = msgspec.UNSET
    region: Text | msgspec.UnsetType = msgspec.UNSET
    estimated_input_tokens: Tokens | msgspec.UnsetType = msgspec.UNSET
    max_output_tokens: Tokens | msgspec.UnsetType = msgspec.UNSET
    reserve: bool | msgspec.UnsetType = msgspec.UNSET
    hold_seconds: Annotated[int, msgspec.Meta(ge=1, le=HOLD_SECONDS_MAX)] | msgspec.UnsetType = msgspec.UNSET
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=REQUEST_ID_LENGTH_MAX)] | msgspec.UnsetType = (
        msgspec.UNSET
    )


_decode_plain = msgspec.json.Decoder(_Plain).decode


def read_quota_question(body: bytes, *, key_id: str) -> QuotaQuestion:
    """The question of a body, about a call whose event the key `key_id` sends. Raises Problem: quota_invalid."""
    document = _read_plainly(body) or _read_closely(body)
    say = document.get
    call = Call(
        provider=document["provider"],
        model=document["model"],
        feature=say("feature", ""),
        user=say("user", ""),
        cost_center=say("cost_center", ""),
        environment=say("environment") or "production",
        key=say("key") or key_id,
        service_tier=say("service_tier") or "standard",
        region=say("region", ""),
        input_tokens=say("estimated_input_tokens"),
        output_tokens=say("max_output_tokens"),
        cost=Decimal(document["estimated_cost"]) if "estimated_cost" in document else None,
    )
    return QuotaQuestion(call, say("reserve", False), say("hold_seconds", HOLD_SECONDS), say("request_id", ""))


def _read_plainly(body: bytes) -> dict[str, Any] | None:
    """The members of a check that is right, in a part of the time; None for what needs the closer look.

    Where nothing is escaped, each quotation mark begins or ends a name or a text: more than the members have are those
    of a name that stands twice.
    """
    if len(body) > BODY_BYTES_MAX or b"\\" in body:
        return None
    try:
        plain = _decode_plain(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    document = msgspec.to_builtins(plain)
    texts = len(document) + sum([type(value) is str for value in document.values()])
    return document if body.count(b'"') == 2 * texts else None


def _read_closely(body: bytes) -> dict[str, Any]:
    """The members, or all that is wrong with them. Raises Problem: quota_invalid."""
    try:
        document = load_strictly(body, bytes_max=BODY_BYTES_MAX)
        problems = list(_check_question(document))
    except ItemRefused as refused:
        problems = list(refused.problems)
    if problems:
        raise refuse_input("quota_invalid", problems)
    return document


def _check_question(document: Any) -> Iterator[ItemProblem]:
    if not isinstance(document, dict):
        yield ItemProblem("", "wrong_type", f"a check is an object, not {name_kind(document)}")
        return
    for name in REQUIRED:
        if name not in document:
            yield ItemProblem(name, "missing_field", "is required")
    for name, value in document.items():
        if name not in FIELDS:
            yield ItemProblem(printable(name), "unknown_field", f"is none of {', '.join(FIELDS)}")
        elif name == "estimated_cost":
            yield from _check_cost(value)
        else:
            yield from _check_field(name, value)


def _check_field(name: str, value: Any) -> Iterator[ItemProblem]:
    kind = KINDS.get(name, str)
    if type(value) is not kind:
        yield ItemProblem(name, "wrong_type", f"must be {KIND_NAMES[kind]}, not {name_kind(value)}")
    elif kind is int and not BOUNDS[name][0] <= value <= BOUNDS[name][1]:
        yield ItemProblem(name, "out_of_range", "must be {:,} to {:,}".format(*BOUNDS[name]))
    elif kind is str:
        if not value and name in (*REQUIRED, "request_id"):
            yield ItemProblem(name, "missing_field", "must not be empty")
        yield from check_text(name, value, REQUEST_ID_LENGTH_MAX if name == "request_id" else TEXT_LENGTH_MAX)


def _check_cost(value: Any) -> Iterator[ItemProblem]:
    """USD as text, so that no digit of it was ever a float."""
    try:
        cost = Decimal(value) if isinstance(value, str) else None
    except ArithmeticError:
        cost = None
    if cost is None or not cost.is_finite():
        yield ItemProblem("estimated_cost", "wrong_type", "must be a decimal in USD, as text: “0.0123”")
    elif not 0 <= cost <= COST_MAX or int(cost.as_tuple().exponent) < -COST_DECIMALS_MAX:
        bounds = f"must be 0 to {COST_MAX:,} with at most {COST_DECIMALS_MAX} decimals"
        yield ItemProblem("estimated_cost", "out_of_range", bounds)
