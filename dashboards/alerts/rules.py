"""The form of thresholds: what each kind of anomaly is told for, in words, with the numbers that people change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import QueryDict

from alerts.anomalies.past import TRIED
from alerts.core.anomalies import KINDS, Thresholds
from alerts.core.watch_settings import OFF, ThresholdProblem, WatchSetting, write_setting

NUMBER_PATTERN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
PERCENT, HOURS, PLAIN = "%", "hours", ""
SCALES = {PERCENT: Decimal("0.01"), HOURS: Decimal(3600), PLAIN: Decimal(1)}


@dataclass(frozen=True, slots=True)
class Number:
    """A threshold of the form. unit: in which it is shown, PERCENT or HOURS; else as it is kept."""

    name: str
    label: str
    unit: str = PLAIN


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind, and when it is told."""

    kind: str
    title: str
    words: str
    numbers: tuple[Number, ...] = ()


RULES = (
    Rule(
        "hourly_spike",
        "Hourly spike",
        "An hour costs far more than the same hours of the last two weeks, and more than the height that was reached "
        "on two of those days.",
        (
            Number("sensitivity", "Sensitivity; 2 tells more, 0.5 less"),
            Number("impact_min", "At least, % of an average hour", PERCENT),
            Number("cost_min", "And at least, USD"),
        ),
    ),
    Rule(
        "daily_spike",
        "Daily spike",
        "A day rises out of proportion to the days before, each freed of its weekday. Below that, a rise is shown here "
        "and told by no message.",
        (
            Number("mads", "Above the usual change, times"),
            Number("impact_min", "At least, % of an average day", PERCENT),
            Number("cost_min", "And at least, USD"),
            Number("rise_max", "Shown above the week’s mean, times"),
        ),
    ),
    Rule(
        "sustained_growth",
        "Sustained growth",
        "Each of some weeks costs more than the one before.",
        (
            Number("growth_max", "More than, % a week", PERCENT),
            Number("weeks", "Weeks running"),
            Number("cost_min", "At least, USD"),
        ),
    ),
    Rule(
        "heavy_user",
        "Heavy user",
        "One user costs more than a part of the daily budget within an hour. It needs a budget of all that you spend.",
        (Number("budget_share_max", "More than, % of a day’s budget", PERCENT),),
    ),
    Rule(
        "heavy_request",
        "Heavy request",
        "One call takes many times the tokens that the calls of its feature take.",
        (Number("times", "More than, times"), Number("calls_min", "Known from, calls")),
    ),
    Rule(
        "rate_spike",
        "Rate spike",
        "A feature has many times its usual calls in a minute.",
        (Number("times", "More than, times"), Number("calls_min", "At least, calls a minute")),
    ),
    Rule(
        "new",
        "New",
        "A model, key, feature or user is first seen, and has cost more than a sum.",
        (Number("cost_min", "More than, USD"), Number("days_min", "Known from, days")),
    ),
    Rule(
        "unit_price_drift",
        "Unit price drift",
        "A million tokens of a model cost more than the week before, and no rate was published.",
        (Number("change_max", "More than, %", PERCENT),),
    ),
    Rule(
        "cache_collapse",
        "Cache collapse",
        "The share of input that is read from a cache falls to a part of what it was.",
        (Number("remaining_max", "To, % of what it was", PERCENT),),
    ),
    Rule(
        "truncation",
        "Truncation",
        "Calls of a feature end for want of output tokens.",
        (Number("share_max", "More than, % of calls", PERCENT), Number("calls_min", "Known from, calls")),
    ),
    Rule("unpriced", "Unpriced", "Calls of a model have no rate.", (Number("calls_min", "At least, calls an hour"),)),
    Rule(
        "silence",
        "Silence",
        "A key that sent something every day has stopped.",
        (Number("times", "Longer than its longest pause, times"), Number("pause_min", "At least, hours", HOURS)),
    ),
    Rule("reconciliation", "Reconciliation", "A rollup no longer agrees with the ledger, at the nightly comparison."),
)
DEFAULTS = write_setting(WatchSetting(Thresholds()))
Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """A number of the form. id: `new.cost_min`. default: as shown. problem: what is wrong with it, '' for nothing."""

    id: str
    label: str
    text: str
    default: str
    problem: str

    @property
    def html_id(self) -> str:
        return self.id.replace(".", "-")


@dataclass(frozen=True, slots=True)
class RuleForm:
    """A rule with its numbers. is_tried: whether the past can be tried."""

    rule: Rule
    is_on: bool
    fields: tuple[Field, ...]
    is_tried: bool


def make_forms(
    setting: WatchSetting, *, texts: Texts | None = None, problems: Mapping[str, str] | None = None
) -> list[RuleForm]:
    """The rules as the form shows them: by what is set, or by `texts` that were sent and not taken."""
    written = write_setting(setting)
    return [
        RuleForm(
            rule=rule,
            is_on=rule.kind not in setting.off,
            fields=tuple(_make_field(rule, number, written, texts, problems or {}) for number in rule.numbers),
            is_tried=rule.kind in TRIED,
        )
        for rule in RULES
    ]


def _make_field(
    rule: Rule, number: Number, written: Mapping[str, Any], texts: Texts | None, problems: Mapping[str, str]
) -> Field:
    field_id = f"{rule.kind}.{number.name}"
    kept = _show(written[rule.kind][number.name], number)
    default = _show(DEFAULTS[rule.kind][number.name], number)
    text = kept if texts is None else texts.get(field_id, "")
    return Field(field_id, number.label, text, default, problems.get(field_id, ""))


def read_changes(form: QueryDict) -> tuple[dict[str, Any], list[ThresholdProblem]]:
    """The changes of a form, and what cannot be read of it. An empty number means its default."""
    changes: dict[str, Any] = {}
    problems = []
    for rule in RULES:
        for number in rule.numbers:
            field_id = f"{rule.kind}.{number.name}"
            text = form.get(field_id, "").strip()
            if text and not NUMBER_PATTERN.fullmatch(text):
                problems.append(ThresholdProblem(field_id, "is a number"))
                continue
            value = f"{(Decimal(text) * SCALES[number.unit]).normalize():f}" if text else None
            if text and text == _show(DEFAULTS[rule.kind][number.name], number):
                value = None
            changes.setdefault(rule.kind, {})[number.name] = value
    on = set(form.getlist("on"))
    shown = {rule.kind for rule in RULES}
    changes[OFF] = [kind for kind in KINDS if kind in shown and kind not in on]
    return changes, problems


def _show(value: Any, number: Number) -> str:
    return f"{(Decimal(str(value)) / SCALES[number.unit]).normalize():f}"
