"""Rates that somebody else keeps, looked at and accepted: the pinned genai-prices, or a file that was sent.

Nothing is written by looking. Where `RATES_FOUR_EYES` is on, what one person accepts waits in review, and is published
when another one accepts the same; where it is off, accepting publishes.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from billing.core.import_differences import GONE, Conditions, Difference, name_difference, name_gone
from billing.core.price_lists import ALWAYS
from billing.core.rate_documents import Problem, RateDocument, RatesRefused, read_rates, read_rates_file
from billing.core.rate_plans import Piece
from billing.models import RateEnding, RateUpload, RateVersion
from billing.rates.acts import record_act, record_history, record_many, record_publication
from billing.rates.book import (
    IMPORTED,
    ROWS_AT_ONCE,
    forget_rate_book,
    lock_rate_table,
    raise_version,
    read_version,
)
from billing.rates.publication import Publication, make_range, make_row, refuse_ties

UPLOAD_BYTES_MAX = 4 * 2**20
UPLOADS_KEPT = timedelta(days=30)
NAME_LENGTH_MAX = 200
DIFFERENCES_KEPT = timedelta(minutes=10)
SOURCES_KEPT = 2  # in memory: a table of 5,000 lists is some 20 MB
UNDER_WAY = ("draft", "in_review")
UPLOAD_KEY = re.compile(r"[0-9]{1,12}")


class ImportRefused(ValueError):
    """What cannot be accepted or ended, in a sentence."""


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A table of rates to be compared with what is published.

    key: `genai-prices`, or an upload's number. notes: what a person should know of how it was read. aliases: that a
    file names; they are not taken from here.
    """

    key: str
    name: str
    origin: str
    documents: tuple[RateDocument, ...]
    aliases: int
    notes: tuple[str, ...]
    brought_by: str = ""
    brought_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What somebody accepted already, and who may not be the second to. rate_id: of the draft, None of an ending."""

    rate_id: int | None
    state: str
    people: tuple[str, ...]
    by: str
    at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What came of accepting, counted: published (or ended), submitted for a second person, waiting for one already,
    returned because something else was published meanwhile, and no longer there."""

    published: int = 0
    submitted: int = 0
    waiting: int = 0
    returned: int = 0
    vanished: int = 0


def read_source(key: str) -> ImportSource | None:
    """The source of this key; None where there is none."""
    if key == IMPORTED:
        return _read_pinned()
    upload = RateUpload.objects.filter(pk=int(key)).first() if UPLOAD_KEY.fullmatch(key) else None
    if upload is None:
        return None
    return ImportSource(
        key=key,
        name=upload.name,
        origin="file",
        documents=tuple(read_rates(upload.document)),
        aliases=len(upload.document.get("aliases", ())),
        notes=(),
        brought_by=upload.uploaded_by,
        brought_at=upload.uploaded_at,
    )


@lru_cache(maxsize=1)
def _read_pinned() -> ImportSource:
    # The library stays out of every process that never asks for it.
    from billing.genai_prices_import import SOURCE, read_genai_prices

    imported = read_genai_prices()
    return ImportSource(
        key=IMPORTED,
        name=SOURCE["name"],
        origin=IMPORTED,
        documents=imported.documents,
        aliases=0,
        notes=(f"{imported.models:,} models, {len(imported.rounded):,} prices rounded to 6 decimals a million",),
    )


def keep_upload(text: str, *, name: str, actor: str, now: datetime) -> int:
    """Keep a file of rates until it is accepted, 30 days at most; its number. Raises RatesRefused."""
    read = read_rates_file(text)
    if not read.rates:
        raise RatesRefused([Problem("rates", "is empty", "List at least one rate")])
    agreed = [each for each in read.rates if each.content.get("tenant")]
    Publication(agreed, origin="file", now=now)  # refuses a tenant that is not known
    RateUpload.objects.filter(uploaded_at__lt=now - UPLOADS_KEPT).delete()
    upload = RateUpload.objects.create(
        name=name[:NAME_LENGTH_MAX], document=json.loads(text), uploaded_by=actor, uploaded_at=now
    )
    return upload.pk


# --- looking ---

_reviewed: dict[str, tuple[int, datetime, tuple[Difference, ...]]] = {}


def list_source_differences(source: ImportSource, *, now: datetime) -> tuple[Difference, ...]:
    """How the source differs from what is published; of a few minutes ago where nothing was published since."""
    version = read_version()
    kept = _reviewed.get(source.key)
    if kept is None or kept[0] != version or not timedelta() <= now - kept[1] < DIFFERENCES_KEPT:
        found = tuple(Publication(source.documents, origin=source.origin, now=now).list_differences())
        _reviewed.pop(source.key, None)
        while len(_reviewed) >= SOURCES_KEPT:
            _reviewed.pop(next(iter(_reviewed)))
        kept = _reviewed[source.key] = (version, now, found)
    return kept[2]


def find_waiting(source: ImportSource, differences: Sequence[Difference]) -> dict[str, Waiting]:
    """Those that somebody accepted, or had drafted, by the difference's id."""
    rows = RateVersion.objects.filter(state__in=UNDER_WAY, origin=source.origin)
    drafts = {
        name_difference(_get_conditions(row), row.effective.lower, bytes(row.content_hash)): row
        for row in rows.defer("document")
    }
    endings = {row.rate_version_id: row for row in RateEnding.objects.filter(state="waiting")}
    found = {}
    for each in differences:
        if each.document is not None:
            row = drafts.get(each.id)
            if row is not None:
                found[each.id] = _describe_draft(row)
        elif each.before is not None and (ending := endings.get(each.before.rate_version_id)):
            found[each.id] = Waiting(
                None, "waiting", (ending.asked_by,), ending.asked_by, ending.asked_at, ending.ends_at
            )
    return found


def _get_conditions(row: RateVersion) -> Conditions:
    return (row.provider, row.model, row.match, row.tenant_id, row.service_tier, row.region, row.time_window)


def _describe_draft(row: RateVersion) -> Waiting:
    people = tuple(dict.fromkeys(filter(None, (*row.authors, row.created_by, row.submitted_by))))
    return Waiting(row.pk, row.state, people, row.submitted_by or row.created_by, row.submitted_at or row.created_at)


# --- accepting ---


def accept_differences(source: ImportSource, ids: Collection[str], *, actor: str, now: datetime) -> Acceptance:
    """Accept what these ids name, all or none; safe to repeat. Raises RatesRefused where rates would tie."""
    with transaction.atomic():
        lock_rate_table()
        publication = Publication(source.documents, origin=source.origin, now=now)
        differences = [each for each in publication.list_differences() if each.id in ids]
        chosen = [each.document for each in differences if each.document is not None]
        vanished = len(set(ids)) - len(chosen)
        if settings.RATES_FOUR_EYES:
            result = _accept_by_two(publication, chosen, actor=actor, now=now, vanished=vanished)
        else:
            _publish(chosen, source.origin, author=actor, actor=actor, now=now)
            result = Acceptance(published=len(chosen), vanished=vanished)
    forget_rate_book()
    return result


def _accept_by_two(
    publication: Publication, chosen: Sequence[RateDocument], *, actor: str, now: datetime, vanished: int
) -> Acceptance:
    drafts = {row.pk: row for row in RateVersion.objects.select_for_update().filter(pk__in=publication.drafts.values())}
    fresh: list[RateDocument] = []
    drafted: list[RateVersion] = []
    approved: list[tuple[RateDocument, RateVersion]] = []
    returned: list[RateVersion] = []
    overtaken = _find_overtaken(list(drafts.values()))
    waiting = 0
    for document in chosen:
        row = drafts.get(publication.find_draft(document) or 0)
        if row is None:
            fresh.append(document)
        elif row.state == "draft":
            drafted.append(row)
        elif actor in (*row.authors, row.created_by, row.submitted_by):
            waiting += 1
        elif row.replaces_id != publication.find_replaced(document) or _get_conditions(row) in overtaken:
            returned.append(row)
        else:
            approved.append((document, row))
    if approved:
        _publish(
            [each for each, _ in approved], publication.origin, author=approved[0][1].created_by, actor=actor, now=now
        )
    _submit(publication, fresh, drafted, actor=actor, now=now)
    _return(returned, actor=actor, now=now)
    return Acceptance(len(approved), len(fresh) + len(drafted), waiting, len(returned), vanished)


def _find_overtaken(rows: Sequence[RateVersion]) -> set[Conditions]:
    """Conditions under which something was published, for any time, after their draft was submitted."""
    submitted = {_get_conditions(row): row.submitted_at for row in rows if row.submitted_at}
    if not submitted:
        return set()
    published = RateVersion.objects.filter(
        state__in=("published", "superseded"), published_at__gt=min(submitted.values())
    )
    return {
        key
        for row in published.defer("document")
        if (key := _get_conditions(row)) in submitted and row.published_at > submitted[key]
    }


def _submit(
    publication: Publication,
    documents: Sequence[RateDocument],
    drafted: Sequence[RateVersion],
    *,
    actor: str,
    now: datetime,
) -> None:
    """New drafts, and those that somebody had drafted before, for a second person."""
    rows = [
        make_row(
            publication.key(each),
            Piece(each.effective_from, each.effective_to or ALWAYS, each),
            origin=publication.origin,
            created_by=actor,
            now=now,
        )
        for each in documents
    ]
    for row in (*rows, *drafted):
        row.state, row.submitted_by, row.submitted_at = "in_review", actor, now
        row.replaces_id = publication.find_replaced(
            RateDocument(row.effective.lower, row.effective.upper, row.document)
        )
    RateVersion.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)
    changed = ["state", "submitted_by", "submitted_at", "replaces_id"]
    RateVersion.objects.bulk_update(drafted, changed, batch_size=ROWS_AT_ONCE)
    record_many([*rows, *drafted], act="submitted", actor=actor, now=now, in_history=True, origin=publication.origin)


def _return(rows: Sequence[RateVersion], *, actor: str, now: datetime) -> None:
    """Of what was overtaken the first person judged something else: he looks again."""
    for row in rows:
        row.state = "draft"
    RateVersion.objects.bulk_update(rows, ["state"], batch_size=ROWS_AT_ONCE)
    record_many(rows, act="returned", actor=actor, now=now, in_history=True)


def _publish(documents: Sequence[RateDocument], origin: str, *, author: str, actor: str, now: datetime) -> None:
    if not documents:
        return
    publication = Publication(documents, origin=origin, now=now)
    drafts = [draft_id for each in documents if (draft_id := publication.find_draft(each))]
    publication.write(created_by=author, approved_by=actor)
    refuse_ties(documents)
    changes = publication.describe(version=raise_version())
    entry_id = record_publication(
        changes, documents=documents, tenant_ids=publication.tenant_ids, origin=origin, actor=actor, now=now
    )
    record_history(drafts, act="published", actor=actor, now=now, entry_id=entry_id)


# --- ending what is gone ---


def end_gone(source: ImportSource, ids: Collection[str], *, ends_at: datetime, actor: str, now: datetime) -> Acceptance:
    """End versions that the source no longer names, from `ends_at` on; by two people where that is asked for.

    The second person sets the end that the first one asked for. Raises ImportRefused for an end in the past: what is
    booked keeps its price.
    """
    if ends_at < now:
        raise ImportRefused("An end lies in the future: what is booked keeps its price.")
    with transaction.atomic():
        lock_rate_table()
        publication = Publication(source.documents, origin=source.origin, now=now)
        wanted = {
            each.before.rate_version_id
            for each in publication.list_differences()
            if each.kind == GONE and each.before is not None and each.id in ids
        }
        asked = {row.rate_version_id: row for row in RateEnding.objects.filter(state="waiting")}
        rows = list(RateVersion.objects.select_for_update().filter(pk__in=wanted))
        ends: dict[int, datetime] = {}
        new, waiting = [], 0
        for row in rows:
            ending = asked.get(row.pk)
            if not settings.RATES_FOUR_EYES:
                ends[row.pk] = ends_at
            elif ending is None:
                new.append(row)
            elif ending.asked_by == actor:
                waiting += 1
            else:
                ends[row.pk] = max(ending.ends_at, now)
        _set_ends([row for row in rows if row.pk in ends], ends, actor=actor, now=now)
        _ask_endings(new, ends_at=ends_at, actor=actor, now=now)
    forget_rate_book()
    return Acceptance(len(ends), len(new), waiting, 0, len(set(ids)) - len(rows))


def withdraw_ending(source: ImportSource, ids: Collection[str], *, actor: str, now: datetime) -> int:
    """Take back ends that were asked for; how many there were."""
    count = 0
    with transaction.atomic():
        for ending in RateEnding.objects.select_for_update().filter(state="waiting"):
            if name_gone(ending.rate_version_id) in ids:
                ending.state, ending.decided_by, ending.decided_at = "withdrawn", actor, now
                ending.save(update_fields=["state", "decided_by", "decided_at"])
                row = RateVersion.objects.get(pk=ending.rate_version_id)
                record_act(row, act="ending_withdrawn", actor=actor, now=now)
                count += 1
    return count


def _ask_endings(rows: Sequence[RateVersion], *, ends_at: datetime, actor: str, now: datetime) -> None:
    RateEnding.objects.bulk_create(
        RateEnding(rate_version_id=row.pk, ends_at=ends_at, state="waiting", asked_by=actor, asked_at=now)
        for row in rows
    )
    record_many(rows, act="ending_asked", actor=actor, now=now, in_history=True, effective_to=ends_at.isoformat())


def _set_ends(rows: Sequence[RateVersion], ends: Mapping[int, datetime], *, actor: str, now: datetime) -> None:
    """A version that would begin later than its end gives way whole."""
    if not rows:
        return
    for row in rows:
        start, end = row.effective.lower, ends[row.pk]
        if start >= end:
            row.effective, row.state = DateTimeTZRange(empty=True), "superseded"
        else:
            row.effective = make_range(start, min(end, row.effective.upper or ALWAYS))
    RateVersion.objects.bulk_update(rows, ["effective", "state"], batch_size=ROWS_AT_ONCE)
    RateEnding.objects.filter(rate_version_id__in=ends, state="waiting").update(
        state="done", decided_by=actor, decided_at=now
    )
    version = raise_version()
    record_many(rows, act="ended", actor=actor, now=now, in_history=True, rate_book=str(version))
