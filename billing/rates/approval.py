"""A rate on its way: drafted, edited, submitted, commented, and published by somebody else.

    draft → in_review → published → superseded
      ↑_________|            (returned)
      draft, in_review → withdrawn

Each step is one transaction with its act in the ledger. Where `RATES_FOUR_EYES` is on, nobody publishes what he wrote.
`seen`, where it is given, is the `mark` of the document that the actor looked at: another one is refused.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from billing.core.price_lists import ALWAYS
from billing.core.rate_checks import ERROR, Finding
from billing.core.rate_documents import RateDocument
from billing.core.rate_plans import Piece
from billing.models import RateAct, RateVersion
from billing.rates.acts import record_act
from billing.rates.book import forget_rate_book, lock_rate_table, raise_version
from billing.rates.examination import examine_rate
from billing.rates.publication import Publication, make_row, refuse_ties

COMMENT_LENGTH_MAX = 1_000
UNDER_WAY = ("draft", "in_review")
EDITED = (
    "provider", "model", "match", "tenant_id", "service_tier", "region", "time_window", "effective", "currency",
    "document", "content_hash", "authors",
)  # fmt: skip


class RateUnknown(LookupError):
    """No rate version has this id."""


class RateStepRefused(ValueError):
    """A step that the rate's state, or who takes it, does not allow; `code` says which."""

    def __init__(self, code: str, text: str, *, findings: Sequence[Finding] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.findings = tuple(findings)


def draft_rate(document: RateDocument, *, author: str, now: datetime, origin: str = "custom", comment: str = "") -> int:
    """Keep a document as a draft, which prices nothing; its id. Raises RatesRefused for an unknown tenant."""
    with transaction.atomic():
        row = _make_draft(document, author=author, now=now, origin=origin)
        row.save(force_insert=True)
        record_act(row, act="drafted", actor=author, now=now, comment=_check_comment(comment))
    return row.pk


LOCK_DRAFTING_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('drafting ' || %(author)s::text, 0))"


def draft_rate_once(document: RateDocument, *, author: str, now: datetime, comment: str = "") -> int:
    """The same for who may have asked twice: the author's own rate under way where one says just this."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK_DRAFTING_SQL, {"author": author})
        wanted = document.mark
        same = RateVersion.objects.filter(
            content_hash=document.content_hash, created_by=author, origin="custom", state__in=UNDER_WAY
        )
        known = next((row.pk for row in same if read_document(row).mark == wanted), None)
        return known or draft_rate(document, author=author, now=now, comment=comment)


def edit_rate(
    rate_id: int, document: RateDocument, *, author: str, now: datetime, comment: str = "", seen: str = ""
) -> None:
    """Replace what a draft says. Raises RateUnknown, RatesRefused, RateStepRefused unless it is a draft."""
    with transaction.atomic():
        row = _lock_rate(rate_id, states=("draft",), step="edited", seen=seen)
        told = _make_draft(document, author=author, now=now, origin=row.origin)
        told.authors = list(dict.fromkeys([*row.authors, author]))
        for name in EDITED:
            setattr(row, name, getattr(told, name))
        row.save(update_fields=EDITED)
        record_act(row, act="edited", actor=author, now=now, comment=_check_comment(comment))


def submit_rate(
    rate_id: int, *, actor: str, now: datetime, comment: str = "", confirmed: Collection[str] = (), seen: str = ""
) -> None:
    """Ask for approval; what is in force where it begins is remembered, so that the reviewer judges that.

    confirmed: ids of findings that are questions. Raises RateStepRefused `rate_has_findings` while one is an error or
    a question is open; the act keeps what was confirmed.
    """
    with transaction.atomic():
        row = _lock_rate(rate_id, states=("draft",), step="submitted", seen=seen)
        answered = _refuse_findings(row, confirmed=confirmed, now=now)
        row.state, row.submitted_by, row.submitted_at = "in_review", actor, now
        row.replaces_id = _find_replaced(row, now=now)
        row.save(update_fields=["state", "submitted_by", "submitted_at", "replaces_id"])
        record_act(row, act="submitted", actor=actor, now=now, comment=_check_comment(comment), **answered)


def comment_rate(rate_id: int, *, actor: str, now: datetime, comment: str) -> None:
    """Say something about a rate, in any state; the same again adds nothing."""
    with transaction.atomic():
        row = _lock_rate(rate_id)
        if not comment.strip():
            raise RateStepRefused("comment_empty", "a comment says something")
        last = RateAct.objects.filter(rate_version_id=rate_id).order_by("-id").first()
        if last and (last.act, last.actor, last.comment) == ("commented", actor, comment.strip()):
            return
        record_act(row, act="commented", actor=actor, now=now, comment=_check_comment(comment))


def return_rate(rate_id: int, *, actor: str, now: datetime, comment: str = "") -> None:
    """Send a rate back to its author, as a draft."""
    with transaction.atomic():
        row = _lock_rate(rate_id, states=("in_review",), step="returned")
        row.state = "draft"
        row.save(update_fields=["state"])
        record_act(row, act="returned", actor=actor, now=now, comment=_check_comment(comment))


def withdraw_rate(rate_id: int, *, actor: str, now: datetime, comment: str = "") -> None:
    """End a rate that was never published, for good; it stays readable."""
    with transaction.atomic():
        row = _lock_rate(rate_id, states=("draft", "in_review"), step="withdrawn")
        row.state = "withdrawn"
        row.save(update_fields=["state"])
        record_act(row, act="withdrawn", actor=actor, now=now, comment=_check_comment(comment))


def approve_rate(rate_id: int, *, actor: str, now: datetime, comment: str = "", seen: str = "") -> int:
    """Approve and publish a rate in review, in one transaction; the rate book's new version.

    Raises RateStepRefused: `rate_state`, `rate_needs_another` where four eyes are asked for and the actor wrote or
    submitted it, `rate_outdated` where something else was published since it was submitted, `rate_changes_nothing`;
    RatesRefused where it ties with another rate.
    """
    with transaction.atomic():
        lock_rate_table()
        row = _lock_rate(rate_id, states=("in_review",), step="approved", seen=seen)
        if settings.RATES_FOUR_EYES and actor in (*row.authors, row.created_by, row.submitted_by):
            raise RateStepRefused("rate_needs_another", "somebody who neither wrote nor submitted it approves a rate")
        if _find_replaced(row, now=now) != row.replaces_id or _is_overtaken(row):
            raise RateStepRefused(
                "rate_outdated", "another price was published since this was submitted; return it and look again"
            )
        comment = _check_comment(comment)
        version = _publish(row, actor=actor, now=now)
        record_act(row, act="approved", actor=actor, now=now, comment=comment)
        record_act(row, act="published", actor=actor, now=now, rate_book=str(version))
    forget_rate_book()
    return version


def publish_draft(
    rate_id: int, *, actor: str, now: datetime, comment: str = "", confirmed: Collection[str] = (), seen: str = ""
) -> int:
    """Publish a draft without a second person, where `RATES_FOUR_EYES` is off.

    Raises as `submit_rate` and `approve_rate` do.
    """
    if settings.RATES_FOUR_EYES:
        raise RateStepRefused("rate_needs_another", "here a second person approves a rate: submit it")
    with transaction.atomic():
        lock_rate_table()
        row = _lock_rate(rate_id, states=("draft", "in_review"), step="published", seen=seen)
        answered = _refuse_findings(row, confirmed=confirmed, now=now)
        comment = _check_comment(comment)
        version = _publish(row, actor=actor, now=now)
        record_act(row, act="published", actor=actor, now=now, comment=comment, rate_book=str(version), **answered)
    forget_rate_book()
    return version


def read_document(row: RateVersion) -> RateDocument:
    """The document that a row was made from."""
    return RateDocument(row.effective.lower, row.effective.upper, row.document)


def _publish(row: RateVersion, *, actor: str, now: datetime) -> int:
    """Lay the rate over what is in force; the rate book's new version. Acts are recorded after it."""
    document = read_document(row)
    publication = Publication([document], origin=row.origin, now=now, draft_id=row.pk)
    if not publication.changing():
        raise RateStepRefused("rate_changes_nothing", "what is in force says the same already; withdraw it")
    publication.write(created_by=row.created_by, approved_by=actor)
    refuse_ties([document])
    version = raise_version()
    row.refresh_from_db()
    return version


def _make_draft(document: RateDocument, *, author: str, now: datetime, origin: str) -> RateVersion:
    publication = Publication([document], origin=origin, now=now)
    piece = Piece(document.effective_from, document.effective_to or ALWAYS, document)
    return make_row(publication.key(document), piece, origin=origin, created_by=author, now=now)


def _refuse_findings(row: RateVersion, *, confirmed: Collection[str], now: datetime) -> dict[str, str]:
    """What was confirmed, as a fact to keep. Raises RateStepRefused with what stays open."""
    findings = examine_rate(read_document(row), origin=row.origin, now=now, rate_id=row.pk).findings
    left = [finding for finding in findings if finding.kind == ERROR or finding.id not in confirmed]
    if left:
        raise RateStepRefused(
            "rate_has_findings", "correct each error, and confirm each question by its id", findings=left
        )
    return {"confirmed": " ".join(finding.id for finding in findings)} if findings else {}


def _lock_rate(rate_id: int, *, states: tuple[str, ...] = (), step: str = "", seen: str = "") -> RateVersion:
    """The rate, nobody else's until the end of the transaction. Raises RateUnknown, RateStepRefused."""
    row = RateVersion.objects.select_for_update().filter(pk=rate_id).first()
    if row is None:
        raise RateUnknown(rate_id)
    if states and row.state not in states:
        raise RateStepRefused("rate_state", f"a rate that is {row.state.replace('_', ' ')} cannot be {step}")
    if seen and seen != read_document(row).mark:
        raise RateStepRefused("rate_changed", "it was edited since you opened it; look at it again")
    return row


def _find_replaced(row: RateVersion, *, now: datetime) -> int | None:
    """The version in force under the same conditions where this one begins, or that begins next before its end."""
    document = read_document(row)
    return Publication([document], origin=row.origin, now=now, draft_id=row.pk).find_replaced(document)


def _is_overtaken(row: RateVersion) -> bool:
    """Whether something was published under the same conditions, for any time, since this was submitted."""
    same = ("provider", "model", "match", "tenant_id", "service_tier", "region", "time_window")
    return RateVersion.objects.filter(
        **{name: getattr(row, name) for name in same},
        state__in=("published", "superseded"),
        published_at__gt=row.submitted_at,
    ).exists()


def _check_comment(comment: str) -> str:
    comment = comment.strip()
    if len(comment) > COMMENT_LENGTH_MAX or "\0" in comment:
        raise RateStepRefused("comment_too_long", f"a comment has at most {COMMENT_LENGTH_MAX:,} characters")
    return comment
