"""A report in words: one content, which HTML and text place each in its way."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from alerts.core.budgets import describe_scope
from billing.core.changes import Change
from billing.core.figures import MINUS, write_amount, write_percent, write_quantity
from chargeback.core.reports.report import AlertLine, BudgetLine, ChangeLine, Report, Top, TopLine

EN_DASH = "\N{EN DASH}"
UNKNOWN = "unknown"
LINES_MAX = 10  # of budgets and models without a price


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with its name, where it stands, and what there is to say of it."""

    label: str
    value: str
    note: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """lead: a sentence below the heading, '' for none; href: the page with all of it."""

    title: str
    rows: Sequence[Row]
    lead: str = ""
    href: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """facts: what the figures are of; warnings: what stands before all of them."""

    subject: str
    title: str
    figure: Row
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    sections: Sequence[Section]
    is_simulated: bool


def write_report(report: Report) -> Document:
    """The report in words. Of days in which nothing was used it says so, and leaves out what has no figures then."""
    cadence = report.period.cadence
    about = "" if not report.scope else f", {describe_scope(report.scope)}"
    name = f"{report.tenant_name}{about}: {report.period.write_name()}"
    used = report.total.calls > 0 or report.total.cost
    said = write_dollars(report.total.cost) if used else "nothing was used"
    simulated = "[simulated] " if report.is_simulated else ""
    sections = [
        *([_write_changes(report)] if used or report.total.before else []),
        _write_budgets(report),
        _write_month_end(report),
        *(_write_use(report) if used else []),
        _write_alerts(report),
        *_write_loose_ends(report),
    ]
    return Document(
        subject=" ".join(f"{simulated}{name}, {said}".split()),
        title=f"{cadence.capitalize()} report of {name}",
        figure=_write_total(report),
        facts=_list_facts(report),
        warnings=[f"Not complete: {reason}." for reason in report.missing],
        sections=[section for section in sections if section is not None],
        is_simulated=report.is_simulated,
    )


def write_dollars(amount: Decimal | None, *, signed: bool = False) -> str:
    """“$1,349.33”, rounded as the pages round it; “unknown” for want of a price."""
    if amount is None:
        return UNKNOWN
    text = write_amount(abs(amount))
    sign = MINUS if amount < 0 else "+" if signed and amount else ""
    return f"{sign}${text}"


def write_change(change: Change | None) -> str:
    """The change in words, as the pages have it."""
    if change is None:
        return "change unknown"
    size = "" if change.percent is None else write_percent(change.percent)
    return {
        "same": "no change",
        "new": "▲ new",
        "gone": "▼ gone",
        "up": f"▲ {size} more",
        "down": f"▼ {size} less",
    }[change.direction]


def _count(number: int, word: str) -> str:
    return f"{write_quantity(number)} {word}{'' if number == 1 else 's'}"


# --- the head ---


def _write_total(report: Report) -> Row:
    total, before = report.total, report.period.find_previous()
    if not total.calls and not total.cost:
        value, note = "Nothing was used", "No call was booked in these days, and nothing was charged."
        if total.before:
            note = f"{note} {before.write()}: {write_dollars(total.before)}."
        return Row("Total cost", value, note, total.href)
    note = f"{write_change(total.change)} than {write_dollars(total.before)} in {before.write()}"
    if total.change is None or total.change.direction not in ("up", "down"):
        note = f"{write_change(total.change)}; {write_dollars(total.before)} in {before.write()}"
    return Row("Total cost", write_dollars(total.cost), f"{note}. {_count(total.calls, 'call')}.", total.href)


def _list_facts(report: Report) -> list[tuple[str, str]]:
    complete = report.complete_to.astimezone(ZoneInfo(report.timezone))
    return [
        ("Days", f"{report.period.write()}, in the time of {report.timezone}"),
        ("Compared with", report.period.find_previous().write()),
        ("About", describe_scope(report.scope)),
        ("Environment", "all environments"),
        ("Currency", "USD"),
        ("Complete to", f"{complete.day} {complete:%B %Y %H:%M}, {report.timezone}"),
    ]


# --- the sections ---


def _write_changes(report: Report) -> Section:
    changes = report.changes
    if changes is None:
        lead = "Calls are of too many kinds to be compared here."
        return Section("What changed", [], lead, report.changes_href, "Explore")
    rows = [_write_change_row(line) for line in changes.lines]
    if changes.other_count:
        rows.append(Row(f"{changes.other_count} more features changed", "", "", report.changes_href))
    rows.append(_write_change_row(changes.total))
    return Section("What changed", rows, "By feature, the largest first.", report.changes_href, "Explore")


def _write_change_row(line: ChangeLine) -> Row:
    steps = ", ".join(f"{name} {write_dollars(amount, signed=True)}" for name, amount in line.steps.items())
    return Row(line.name, write_dollars(line.difference, signed=True), steps, line.href)


def _write_budgets(report: Report) -> Section:
    rows = [_write_budget(line) for line in report.budgets[:LINES_MAX]]
    lead = "" if rows else "No budget counts this."
    if len(report.budgets) > LINES_MAX:
        lead = f"The {LINES_MAX} most used of {len(report.budgets)}."
    return Section("Against budget", rows, lead, report.budgets_href, "Budgets")


def _write_budget(line: BudgetLine) -> Row:
    over = line.spent - line.limit
    left = f"{write_dollars(over)} over" if over > 0 else f"{write_dollars(-over)} left"
    note = (
        f"{write_dollars(line.spent)} of {write_dollars(line.limit)}, {left}. Counts {line.scope_words}; {line.window}."
    )
    return Row(line.name, f"{line.percent} %", note, line.href)


def _write_month_end(report: Report) -> Section:
    end = report.month_end
    title = f"Forecast of {end.month:%B %Y}"
    if end.expected is None:
        return Section(title, [Row("Booked so far", write_dollars(end.booked), end.reason, end.href)])
    note = (
        f"Between {write_dollars(end.low)} and {write_dollars(end.high)}. Booked so far: {write_dollars(end.booked)}."
    )
    return Section(title, [Row("Expected", write_dollars(end.expected), note, end.href)], "", end.href, "Forecast")


def _write_use(report: Report) -> list[Section]:
    return [
        _write_top("Top features", "features", report.features, report),
        _write_top("Top users", "users", report.users, report),
        _write_top("Top models", "models", report.models, report),
        _write_efficiency(report),
    ]


def _write_top(title: str, word: str, top: Top, report: Report) -> Section:
    rows = [_write_top_row(line) for line in top.lines]
    if top.other_count:
        rows.append(Row(f"Other, {top.other_count} more", write_dollars(top.other_cost), "", top.href))
    return Section(title, rows, top.refusal, top.href, f"All {word}")


def _write_top_row(line: TopLine) -> Row:
    told = [line.under, write_change(line.change), _count(line.calls, "call")]
    return Row(line.name, write_dollars(line.cost), ", ".join(one for one in told if one), line.href)


def _write_efficiency(report: Report) -> Section:
    found = report.efficiency
    share = f"{EN_DASH}" if found.cache_share is None else write_percent(found.cache_share)
    rows = [
        Row("Cache share", share, f"of input tokens; caching saved {write_dollars(found.saved)}", found.href),
        Row("Tokens in", write_quantity(found.input_tokens), "", found.href),
        Row("Tokens out", write_quantity(found.output_tokens), "", found.href),
    ]
    if found.per_call is not None:
        half = f"half of the calls cost at most {write_dollars(found.p50)} (p50)"
        spread = f"{half}, 95 % at most {write_dollars(found.p95)} (p95)"
        rows.append(Row("Cost per call, mean", write_dollars(found.per_call), spread, found.href))
        return Section("Efficiency", rows, "", found.href, "Showback")
    lead = "The spread of calls' cost is not kept for this, and a mean is not shown alone."
    return Section("Efficiency", rows, lead, found.href, "Showback")


def _write_alerts(report: Report) -> Section:
    alerts = report.alerts
    if not alerts.lines:
        return Section("Anomalies and alerts", [], "None opened in these days.", alerts.href, "Alerts")
    anomalies = f"{alerts.anomalies} {'anomaly' if alerts.anomalies == 1 else 'anomalies'}"
    lead = f"{anomalies} and {_count(alerts.others, 'other alert')} opened in these days."
    if alerts.anomalies + alerts.others > len(alerts.lines):
        lead = f"{lead} The worst {len(alerts.lines)}:"
    return Section("Anomalies and alerts", [_write_alert(line) for line in alerts.lines], lead, alerts.href, "Alerts")


def _write_alert(line: AlertLine) -> Row:
    kind = "anomaly" if line.is_anomaly else "alert"
    value = "" if line.impact is None else write_dollars(line.impact, signed=True)
    return Row(line.title, value, f"{line.severity} {kind}, {line.state}", line.href)


def _write_loose_ends(report: Report) -> list[Section]:
    """What no price, or no cost centre, is known of; nothing where there is none."""
    sections = []
    if report.unpriced:
        rows = [
            Row(line.name, _count(line.calls, "call"), line.under, line.href) for line in report.unpriced[:LINES_MAX]
        ]
        lead = "Their calls are in no total until a price is given."
        if len(report.unpriced) > LINES_MAX:
            lead = f"{lead} {LINES_MAX} of {len(report.unpriced)} models:"
        sections.append(Section("Models without a price", rows, lead))
    if report.unallocated:
        found = report.unallocated
        share = "" if found.share is None else f"{write_percent(found.share)} of all cost, "
        row = Row(
            "Names no cost centre", write_dollars(found.cost), f"{share}{_count(found.calls, 'call')}", found.href
        )
        sections.append(Section("Unallocated", [row]))
    return sections
