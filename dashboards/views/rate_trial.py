"""A usage tried against the rates: nothing is booked."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from billing.core.nearest_models import suggest_model
from billing.core.rate_words import describe_settlements
from billing.core.rates import NO_RATE_FOR_MODEL
from billing.selectors.rate_versions import (
    EVERY_TENANT,
    find_alias,
    list_model_aliases,
    list_priced_names,
    read_rate_versions,
)
from billing.trials import Trial, try_usage
from dashboards.access import Seat, member_required
from dashboards.frame import make_frame, make_link
from dashboards.rates.actors import name_writers
from dashboards.rates.trial import (
    OTHER_METERS,
    TOKEN_FIELDS,
    TrialForm,
    list_meter_rows,
    read_pasted,
    read_trial,
)
from dashboards.usage import describe_lines, find_not_charged


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_rate_trial(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The form and what it costs; the answer alone where it is asked for while typing.

    An object that is pasted is sent by POST, and leads to the address of the usage that it says.
    """
    if request.method == "POST":
        pasted = read_pasted(request.POST)
        if not pasted.problems:
            return redirect(make_link("rate_trial", seat.link_query | pasted.get_query()) + "#result")
        return _render(request, seat, pasted, None, status=422)
    form = read_trial(request.GET, now=timezone.now())
    trial = try_usage(event=form.event, tenant_id=seat.tenant.id) if form.event else None
    return _render(request, seat, form, trial)


def _render(
    request: HttpRequest, seat: Seat, form: TrialForm, trial: Trial | None, *, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "trial": trial,
        "lines": describe_lines(trial.explanation) if trial else (),
        "not_charged": find_not_charged(trial.explanation) if trial else None,
        "model_href": make_link("rate_model", seat.link_query, form.texts["provider"], form.texts["model"])
        if trial
        else "",
        **_describe_rate(seat, trial),
        **_suggest(seat, form, trial),
    }
    address = make_link("rate_trial", seat.link_query | form.get_query())
    if request.htmx:
        response = render(request, "rates/trial_result.html", context)
        response.headers["HX-Replace-Url"] = address
        return response
    return render(
        request,
        "rates/trial.html",
        context
        | {
            "frame": make_frame(seat, current="rates"),
            "now": timezone.now(),
            "fields": [
                (name, word, hint, form.texts[name], form.get_problem(name)) for name, word, hint in TOKEN_FIELDS
            ],
            "meter_rows": [(*row, form.get_problem(f"meter-{row[0]}")) for row in list_meter_rows(form.meters)],
            "other_meters": OTHER_METERS,
            "wrong": {problem.id: problem.text for problem in form.problems},
            "rates_href": make_link("rates", seat.link_query),
            "empty_href": make_link("rate_trial", seat.link_query),
            "form_href": make_link("rate_trial", seat.link_query),
            "link_query": seat.link_query,
        },
        status=status,
    )


def _describe_rate(seat: Seat, trial: Trial | None) -> dict[str, object]:
    """Who approved the list that prices it, and what that list costs beside its calls."""
    rate = trial.explanation.rate if trial else None
    record = read_rate_versions([rate.id]).get(rate.id) if rate else None
    if record is None:
        return {}
    names = name_writers([record], seat)
    return {
        "approver": names.get(record.approved_by, record.approved_by),
        "settlements": describe_settlements(record.content),
    }


def _suggest(seat: Seat, form: TrialForm, trial: Trial | None) -> dict[str, object]:
    """The nearest model of one that nobody has a price for, with the address that tries the same as that one."""
    if trial is None or trial.reason != NO_RATE_FOR_MODEL or form.event is None:
        return {}
    meant = find_alias(list_model_aliases(), form.event.provider, form.event.model)
    priced = list_priced_names(at=form.event.time, tenant_ids=(EVERY_TENANT, seat.tenant.id))
    suggestion = suggest_model(*meant, priced)
    if suggestion is None:
        return {}
    query = form.get_query() | {"provider": suggestion.provider, "model": suggestion.model}
    return {"suggestion": suggestion, "suggestion_href": make_link("rate_trial", seat.link_query | query)}
