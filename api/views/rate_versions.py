"""/v1/rates/…: a rate from its draft to its publication, and the jobs that count and book what it changes.

For operators: a tenant's key reads what prices that tenant, and changes nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import Access
from api.parameters import read_query
from api.parsing.bodies import JSON, read_body
from api.problems import Problem
from api.rate_shapes import COMMENT_MAX
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from billing import rates, reratings
from billing.core.impacts import Share
from billing.core.rate_checks import Finding
from billing.core.rate_documents import RateDocument, RatesRefused, find_repeated_names, read_rates
from billing.selectors.rates import VersionInfo, get_rate_version
from tenants.selectors import get_tenant_by_id

BODY_PROBLEMS = ("query_invalid", "body_empty", "body_malformed", "body_incomplete", "body_too_large",
                 "content_encoding_unknown", "rate_invalid", "operators_only")  # fmt: skip
STEPS = ("submit", "comment", "return", "withdraw", "approve", "publish")
RATES_PER_REQUEST_MAX = 200
NAMES_TOLD = 5
MARK_LENGTH = 64


class RateVersionDetail(APIView):
    @property
    def required_scope(self) -> str | None:
        return "admin" if self.request.method == "PUT" else None

    @describe_call(
        operation_id="get_rate",
        summary="One rate version: its prices, who did what to it, and what is found in it",
        description="Drafts are told to operators alone, and what was agreed with a tenant to that tenant and to "
        "operators. `examination` compares a draft with what is in force where it begins.",
        tag="reading",
        problems=("query_invalid", "rate_unknown"),
        answers={200: "RateVersion"},
    )
    def get(self, request: Request, rate_id: int) -> Response:
        read_query(request.query_params, ())
        access: Access = request.auth
        version = get_rate_version(rate_id)
        if version is None or not (access.is_operator or _is_told(version, access.tenant_id)):
            raise Problem("rate_unknown")
        return Response(write_version(version, with_history=access.is_operator))

    @describe_call(
        operation_id="edit_rate",
        summary="Replace what a draft says",
        description="The body is one rate as docs/rates.md writes it.",
        tag="rates",
        scope="admin",
        request={JSON: refer("Rate")},
        problems=(*BODY_PROBLEMS, "rate_unknown", "rate_refused"),
        answers={200: "RateVersion"},
    )
    def put(self, request: Request, rate_id: int) -> Response:
        access = _require_operator(request)
        (document,) = _read_documents({"rates": [_read_json(request)]})
        with _tell_refusals():
            rates.edit_rate(rate_id, document, author=access.actor, now=timezone.now())
        return _answer(rate_id)


class RateExaminations(APIView):
    required_scope = None

    @describe_call(
        operation_id="examine_rate",
        summary="What is wrong with a rate, and how it differs from what is in force; keeps nothing",
        tag="rates",
        request={JSON: refer("Rate")},
        problems=BODY_PROBLEMS,
        answers={200: "RateExamination"},
    )
    def post(self, request: Request) -> Response:
        _require_operator(request)
        (document,) = _read_documents({"rates": [_read_json(request)]})
        with _tell_refusals():
            return Response(write_examination(rates.examine_rate(document, now=timezone.now())))


class RateStep(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="take_rate_step",
        summary="Submit, comment, return, withdraw, approve or publish a rate",
        description="`step` is `submit` (with `confirmed`: ids of findings that are questions), `comment`, `return` to "
        "its author, `withdraw`, `approve` — by a key that neither wrote nor submitted it — or `publish`, where the "
        "deployment asks for no second person. `seen` is the `mark` of what you looked at: where the rate was "
        "edited since, it is not submitted, approved or published.",
        tag="rates",
        scope=required_scope,
        request={JSON: refer("RateStep")},
        problems=(*BODY_PROBLEMS, "path_unknown", "rate_unknown", "rate_refused", "rate_has_findings"),
        answers={200: "RateVersion"},
    )
    def post(self, request: Request, rate_id: int, step: str) -> Response:
        access = _require_operator(request)
        if step not in STEPS:
            raise Problem("path_unknown", f"A step is one of {', '.join(STEPS)}.")
        said = _read_step(request)
        given: dict[str, Any] = {"actor": access.actor, "now": timezone.now(), "comment": said["comment"]}
        if step in ("submit", "publish"):
            given["confirmed"] = said["confirmed"]
        if step in ("submit", "approve", "publish"):
            given["seen"] = said["seen"]
        take: dict[str, Callable[..., Any]] = {
            "submit": rates.submit_rate,
            "comment": rates.comment_rate,
            "return": rates.return_rate,
            "withdraw": rates.withdraw_rate,
            "approve": rates.approve_rate,
            "publish": rates.publish_draft,
        }
        with _tell_refusals():
            take[step](rate_id, **given)
        return _answer(rate_id)


class RatePreviews(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="preview_rate",
        summary="Have counted what a rate would change of what is booked",
        description="A job: ask for it until it is `done`. It reads and locks nothing.",
        tag="rates",
        scope=required_scope,
        problems=("query_invalid", "rate_unknown", "operators_only"),
        answers={202: "RateJob"},
    )
    def post(self, request: Request, rate_id: int) -> Response:
        access = _require_operator(request)
        with _tell_refusals():
            job_id = reratings.start_preview(rate_id, requested_by=access.actor, now=timezone.now())
        return _answer_job(job_id, status=202)


class RateReratings(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="rerate",
        summary="Have booked what a published rate changes of what was booked before it",
        description="Entries that cost something else by it are taken back and stated anew, once, however often this "
        "is asked.",
        tag="rates",
        scope=required_scope,
        request={JSON: refer("RateReason")},
        problems=(*BODY_PROBLEMS, "rate_unknown", "rate_refused"),
        answers={202: "RateJob"},
    )
    def post(self, request: Request, rate_id: int) -> Response:
        access = _require_operator(request)
        reason = _read_text(_read_json(request), "reason", 500)
        with _tell_refusals():
            job_id = reratings.start_rerating(rate_id, reason=reason, requested_by=access.actor, now=timezone.now())
        return _answer_job(job_id, status=202)


class RateJobDetail(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="get_rate_job",
        summary="How far a preview or a re-rating came, and what it found",
        tag="rates",
        scope=required_scope,
        problems=("query_invalid", "job_unknown", "operators_only"),
        answers={200: "RateJob"},
    )
    def get(self, request: Request, job_id: int) -> Response:
        _require_operator(request)
        return _answer_job(job_id)


class RateJobStep(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="take_rate_job_step",
        summary="Pause, resume or cancel a job",
        description="`step` is `pause`, `resume` or `cancel`. What was booked stays booked.",
        tag="rates",
        scope=required_scope,
        problems=("query_invalid", "path_unknown", "job_unknown", "rate_refused", "operators_only"),
        answers={200: "RateJob"},
    )
    def post(self, request: Request, job_id: int, step: str) -> Response:
        access = _require_operator(request)
        take = {"pause": reratings.pause_job, "resume": reratings.resume_job, "cancel": reratings.cancel_job}
        if step not in take:
            raise Problem("path_unknown", f"A step is one of {', '.join(take)}.")
        with _tell_refusals():
            take[step](job_id, actor=access.actor, now=timezone.now())
        return _answer_job(job_id)


def draft_rates(request: Request, *, publish: bool, confirmed: tuple[str, ...]) -> Response:
    """POST /v1/rates: every rate of the body as a draft, all or none; published at once where that is asked."""
    access = _require_operator(request, without_query=False)
    body = _read_json(request)
    if "aliases" in body:  # said, rather than left out
        raise Problem(
            "rate_invalid", "Aliases are not taken here: add them on the page of aliases, or by import_rates."
        )
    documents = _read_documents(body)
    try:
        with _tell_refusals(), transaction.atomic():
            now = timezone.now()
            ids = [rates.draft_rate(document, author=access.actor, now=now, origin="file") for document in documents]
            for rate_id in ids if publish else ():
                rates.publish_draft(rate_id, actor=access.actor, now=now, confirmed=confirmed)
    except Problem:
        rates.forget_rate_book()  # a later rate was examined beside an earlier one that is no more
        raise
    versions = [get_rate_version(rate_id) for rate_id in ids]
    return Response({"drafts": [write_version(version) for version in versions if version]}, status=201)


# --- reading ---


def _require_operator(request: Request, *, without_query: bool = True) -> Access:
    access: Access = request.auth
    if not access.is_operator:
        raise Problem("operators_only")
    if without_query:
        read_query(request.query_params, ())
    return access


def _is_told(version: VersionInfo, tenant_id: int) -> bool:
    return version.state in ("published", "superseded") and version.tenant_id in (0, tenant_id)


def _read_json(request: Request) -> Mapping[str, Any]:
    """The object of the body; numbers with a point stay text, lest a price lose a digit."""
    try:
        body = json.loads(read_body(request._request), parse_float=str, object_pairs_hook=_keep_apart)
    except (ValueError, RecursionError) as error:
        raise Problem("body_malformed", f"The body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise Problem("body_malformed", "The body is not an object.")
    return body


def _keep_apart(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each name of which stands once. Raises Problem."""
    if twice := find_repeated_names(pairs):
        raise Problem(
            "body_malformed", f"{', '.join(twice[:NAMES_TOLD])} stands twice in one object: keep one of them."
        )
    return dict(pairs)


def _read_documents(body: Mapping[str, Any]) -> list[RateDocument]:
    """The rates of a body. Raises Problem `rate_invalid` that names everything that is wrong."""
    try:
        documents = read_rates(dict(body))
    except RatesRefused as error:
        raise _refuse(error) from None
    if not 1 <= len(documents) <= RATES_PER_REQUEST_MAX:
        raise Problem("rate_invalid", f"Send 1 to {RATES_PER_REQUEST_MAX} rates at a time.")
    return documents


def _refuse(error: RatesRefused) -> Problem:
    problems = [{"field": each.path, "detail": f"{each.problem}. {each.cure}."} for each in error.problems]
    return Problem("rate_invalid", problems=problems)


def _read_step(request: Request) -> dict[str, Any]:
    body = _read_json(request) if request._request.body.strip() else {}
    if unknown := set(body) - {"comment", "confirmed", "seen"}:
        raise Problem(
            "rate_invalid", f"There is no {', '.join(sorted(unknown))} here; there are comment, confirmed, seen."
        )
    confirmed = body.get("confirmed", [])
    if not isinstance(confirmed, list) or not all(isinstance(each, str) for each in confirmed):
        raise Problem("rate_invalid", "`confirmed` is a list of ids of findings.")
    return {
        "comment": _read_text(body, "comment", COMMENT_MAX),
        "confirmed": confirmed,
        "seen": _read_text(body, "seen", MARK_LENGTH),
    }


def _read_text(body: Mapping[str, Any], name: str, length_max: int) -> str:
    text = body.get(name, "")
    if not isinstance(text, str) or len(text) > length_max or any(ord(each) < 32 and each != "\n" for each in text):
        raise Problem("rate_invalid", f"`{name}` is a text of at most {length_max:,} characters.")
    return text.encode("utf-8", "replace").decode()


@contextmanager
def _tell_refusals() -> Iterator[None]:
    """What billing refuses, as a problem document."""
    try:
        yield
    except RatesRefused as error:
        raise _refuse(error) from None
    except rates.RateUnknown:
        raise Problem("rate_unknown") from None
    except reratings.JobUnknown:
        raise Problem("job_unknown") from None
    except rates.RateStepRefused as error:
        detail = f"{str(error)[:1].upper()}{str(error)[1:]}."
        if error.findings:
            raise Problem(
                "rate_has_findings", detail, findings=[write_finding(finding) for finding in error.findings]
            ) from None
        raise Problem("rate_refused", detail, reason=error.code) from None
    except reratings.JobRefused as error:
        raise Problem("rate_refused", f"{str(error)[:1].upper()}{str(error)[1:]}.", reason=error.code) from None


# --- writing ---


def _answer(rate_id: int) -> Response:
    version = get_rate_version(rate_id)
    return Response(write_version(version)) if version else Response(status=404)


def _answer_job(job_id: int, *, status: int = 200) -> Response:
    job = reratings.get_job(job_id)
    if job is None:
        raise Problem("job_unknown")
    return Response(write_job(job), status=status)


def write_version(version: VersionInfo, *, with_history: bool = True) -> dict[str, Any]:
    """A rate version; who did what to it is for operators."""
    examination, mark = None, ""
    if version.effective_from is not None:
        document = RateDocument(version.effective_from, version.effective_to, version.content)
        mark = document.mark
    if version.state in ("draft", "in_review"):
        found = rates.examine_rate(document, origin=version.origin, now=timezone.now(), rate_id=version.id)
        examination = write_examination(found)
    return {
        "id": version.id,
        "state": version.state,
        "rate": {
            **version.content,
            "effective_from": write_time(version.effective_from),
            "effective_to": write_time(version.effective_to),
        },
        "content_hash": version.content_hash,
        "mark": mark,
        "origin": version.origin,
        "created_by": version.created_by if with_history else "",
        "submitted_by": version.submitted_by if with_history else "",
        "approved_by": version.approved_by if with_history else "",
        "published_at": write_time(version.published_at),
        "acts": [
            {
                "act": act.act,
                "actor": act.actor,
                "comment": act.comment,
                "at": write_time(act.acted_at),
                "entry_id": act.entry_id,
            }
            for act in (version.acts if with_history else ())
        ],
        "examination": examination,
        "jobs": [job.id for job in reratings.list_jobs(rate_version_id=version.id)] if with_history else [],
    }


def write_examination(examination: rates.Examination) -> dict[str, Any]:
    return {
        "findings": [write_finding(finding) for finding in examination.findings],
        "prices": [
            {
                "meter": price.meter,
                "tier": price.tier,
                "kind": price.kind,
                "per": price.per,
                **{
                    name: None if getattr(price, name) is None else format(getattr(price, name), "f")
                    for name in ("before", "after", "list_before", "list_after")
                },
            }
            for price in examination.prices
        ],
        "in_force": examination.in_force_id,
    }


def write_finding(finding: Finding) -> dict[str, str]:
    return {
        "id": finding.id,
        "kind": finding.kind,
        "code": finding.code,
        "meter": finding.meter,
        "text": finding.text,
    }


def write_job(job: reratings.JobInfo) -> dict[str, Any]:
    """A job, its impact by tenant and billing period, costs in USD to the last digit."""
    slugs = {tenant_id: get_tenant_by_id(tenant_id) for tenant_id in job.impact.tenant_ids}
    return {
        "id": job.id,
        "kind": job.kind,
        "rate": job.rate_version_id,
        "state": job.state,
        "reason": job.reason,
        "requested_by": job.requested_by,
        "created_at": write_time(job.created_at),
        "started_at": write_time(job.started_at),
        "finished_at": write_time(job.finished_at),
        "entries_read": job.entries_read,
        "entries_expected": job.entries_expected,
        "total": _write_share(job.impact.total),
        "periods": [
            {
                "tenant": tenant.slug if (tenant := slugs[tenant_id]) else "",
                "billing_period": period.isoformat(),
                **_write_share(share),
            }
            for (tenant_id, period), share in sorted(job.impact.shares.items())
        ],
        "error": job.error,
    }


def _write_share(share: Share) -> dict[str, Any]:
    costs = {"before": share.before, "after": share.after, "difference": share.after - share.before}
    return {
        "entries": share.entries,
        "rated": share.rated,
        "unrated": share.unrated,
        **{name: write_money(Decimal(picos).scaleb(-12)) for name, picos in costs.items()},
    }
