"""Rules of chargeback: all of them, and the form that adds, changes, tries and ends one."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from billing.cost_centers import list_cost_centers
from billing.drivers import sum_drivers
from billing.selectors.direct_costs import list_cost_centers_used
from chargeback.charging import DryRun, dry_run
from chargeback.core.allocation import METHODS
from chargeback.core.charges import CHARGE_KINDS
from chargeback.core.rule_fields import RuleProblem, RuleRefused
from chargeback.core.rule_terms import read_dated
from chargeback.core.rule_terms import read_month as read_month_text
from chargeback.core.shares import to_money
from chargeback.rules import (
    Family,
    KeptRule,
    RuleUnknown,
    change_rule,
    create_rule,
    end_rule,
    find_newest,
    list_versions,
)
from dashboards.access import Seat, member_required
from dashboards.chargeback.rule_form import (
    Texts,
    describe_terms,
    make_document,
    place_problems,
    read_texts,
    start_texts,
    write_texts,
)
from dashboards.frame import make_frame, make_link
from dashboards.rates.actors import name_actors

FAMILIES: tuple[Family, ...] = ("allocation", "charge")
FAMILY_WORDS = {"allocation": "Allocation rule", "charge": "Charge rule"}
METHOD_WORDS = {
    "even": "evenly",
    "cost": "by direct cost",
    "tokens": "by tokens",
    "calls": "by calls",
    "driver": "by business drivers",
    "fixed": "by fixed shares",
}
KIND_WORDS = {"markup": "markup", "discount": "discount", "fee": "fee", "minimum": "least charge", "credit": "credit"}
DONE = {
    "created": "The rule counts from its month on.",
    "same": "There is such a rule already. Nothing was changed.",
    "changed": "The rule has a new version. Months before it keep theirs.",
    "ended": "The rule has ended. What it did before stays.",
}


@require_safe
@member_required
def show_chargeback_rules(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Every rule by its newest version, in the order in which they are applied."""
    families = []
    for family in FAMILIES:
        rules = find_newest(list_versions(family, tenant_id=seat.tenant.id))
        rules.sort(key=lambda rule: (rule.is_ended, getattr(rule.terms, "position", 0), rule.rule_id))
        rows = [
            (rule, describe_terms(rule.terms), make_link("chargeback_rule", seat.link_query, family, rule.rule_id))
            for rule in rules
        ]
        families.append((family, rows, make_link("chargeback_rule_new", seat.link_query, family)))
    context = {
        "frame": make_frame(seat, current="chargeback"),
        "families": families,
        "names": _name_writers((rule for _, rows, _ in families for rule, _, _ in rows), seat),
        "may_charge": seat.may_charge,
        "done": DONE.get(request.GET.get("done", ""), ""),
        "chargeback_href": make_link("chargeback", seat.link_query),
    }
    return render(request, "chargeback/rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_new_chargeback_rule(request: HttpRequest, seat: Seat, family: str) -> HttpResponse:
    """The empty form. By POST the rule is tried on a month (`act` try), or added."""
    _require_keeper(seat)
    now, name = timezone.now(), _read_family(family)
    if request.method != "POST":
        return _render(request, seat, name, start_texts(_get_month(now), family=name), now=now)
    return _take_form(request, seat, name, rule=None, now=now)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_chargeback_rule(request: HttpRequest, seat: Seat, family: str, rule_id: int) -> HttpResponse:
    """A rule's versions, and the form of another one. By POST it is tried, changed or ended."""
    now, name = timezone.now(), _read_family(family)
    versions = [rule for rule in list_versions(name, tenant_id=seat.tenant.id) if rule.rule_id == rule_id]
    if not versions:
        raise Http404
    if request.method != "POST":
        texts = write_texts(versions[-1]) | {"valid_from": f"{_get_month(now):%Y-%m}"}
        return _render(request, seat, name, texts, versions=versions, now=now)
    _require_keeper(seat)
    return _take_form(request, seat, name, rule=versions[-1], now=now, versions=versions)


def _take_form(
    request: HttpRequest,
    seat: Seat,
    family: Family,
    *,
    rule: KeptRule | None,
    now: datetime,
    versions: Sequence[KeptRule] = (),
) -> HttpResponse:
    act = request.POST.get("act")
    texts = write_texts(rule) if act == "end" and rule else read_texts(request.POST)
    named = {"tenant_id": seat.tenant.id, "actor": seat.actor, "now": now}
    try:
        if act == "end" and rule is not None:
            month = _read_end(request.POST.get("end", ""))
            end_rule(family, rule_id=rule.rule_id, month=month, **named)
            return _lead_on(seat, "ended")
        dated = read_dated(make_document(texts, family=family), family=family)
        if act == "try":
            trial = dry_run(
                dated.terms, tenant_id=seat.tenant.id, period=dated.valid_from, rule_id=rule and rule.rule_id
            )
            return _render(request, seat, family, texts, versions=versions, trial=trial, now=now)
        if act != "save":
            raise BadRequest("an act is try, save or end")
        months = {"valid_from": dated.valid_from, "valid_to": dated.valid_to}
        if rule is None:
            _, is_new = create_rule(dated.terms, **months, **named)
            return _lead_on(seat, "created" if is_new else "same")
        change_rule(dated.terms, rule_id=rule.rule_id, **months, **named)
        return _lead_on(seat, "changed")
    except RuleRefused as refused:
        problems = refused.problems
        return _render(request, seat, family, texts, versions=versions, problems=problems, status=422, now=now)
    except RuleUnknown:
        raise Http404 from None


def _read_end(text: str) -> date:
    try:
        return read_month_text(text)
    except ValueError as error:
        raise RuleRefused([RuleProblem("end", "wrong_value", str(error))]) from None


def _lead_on(seat: Seat, done: str) -> HttpResponse:
    return redirect(make_link("chargeback_rules", seat.link_query | {"done": done}))


def _render(
    request: HttpRequest,
    seat: Seat,
    family: Family,
    texts: Texts,
    *,
    now: datetime,
    versions: Sequence[KeptRule] = (),
    problems: Sequence[RuleProblem] = (),
    trial: DryRun | None = None,
    status: int = 200,
) -> HttpResponse:
    wrong, unplaced = place_problems(problems)
    tenant_id = seat.tenant.id
    centers = {center.code for center in list_cost_centers(tenant_id=tenant_id)}
    context = {
        "frame": make_frame(seat, current="chargeback"),
        "family": family,
        "family_words": FAMILY_WORDS[family],
        "rule": versions[-1] if versions else None,
        "versions": [(rule, describe_terms(rule.terms)) for rule in reversed(versions)],
        "names": _name_writers(versions, seat),
        "texts": texts,
        "wrong": wrong,
        "unplaced": unplaced,
        "has_problems": bool(problems),
        "methods": METHOD_WORDS.items() if family == "allocation" else [(name, METHOD_WORDS[name]) for name in METHODS],
        "kinds": [(kind, KIND_WORDS[kind]) for kind in CHARGE_KINDS],
        "centers": sorted(centers | set(list_cost_centers_used(tenant_id=tenant_id))),
        "drivers": [driver.name for driver in sum_drivers(tenant_id=tenant_id)],
        "may_charge": seat.may_charge,
        "trial": _show_trial(trial) if trial else None,
        "here": request.get_full_path(),
        "rules_href": make_link("chargeback_rules", seat.link_query),
        "chargeback_href": make_link("chargeback", seat.link_query),
        "month": _get_month(now),
    }
    return render(request, "chargeback/rule.html", context, status=status)


def _show_trial(trial: DryRun) -> dict[str, object]:
    """What a rule would change: each cost centre that differs, and that all of it comes to the same."""
    differences = trial.differences
    before, after = trial.before.charge, trial.after.charge
    return {
        "period": trial.before.facts.period,
        "rows": [
            (one.cost_center, to_money(one.before.sums.charged), to_money(one.after.sums.charged), to_money(one.change))
            for one in differences
            if one.change
        ],
        "same": sum(1 for one in differences if not one.change),
        "before": to_money(sum(one.before.sums.charged for one in differences)),
        "after": to_money(sum(one.after.sums.charged for one in differences)),
        "change": to_money(sum(one.change for one in differences)),
        "notes": [note.words for note in after.notes if note not in before.notes],
    }


def _read_family(name: str) -> Family:
    if name not in FAMILIES:
        raise Http404
    return name  # type: ignore[return-value]


def _name_writers(rules: Iterable[KeptRule], seat: Seat) -> dict[str, str]:
    """By name for the operator's people; a tenant's are told numbers."""
    return name_actors(rule.created_by for rule in rules) if seat.is_operator else {}


def _get_month(now: datetime) -> date:
    return now.date().replace(day=1)


def _require_keeper(seat: Seat) -> None:
    if not seat.may_charge:
        raise Http404
