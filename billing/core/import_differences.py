"""How a table of rates that somebody else keeps differs from what is published, one price list at a time. Pure.

A difference is named by what it says and not by when it was looked at: whoever accepts it accepts just that.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from billing.core.price_lists import ALWAYS
from billing.core.rate_checks import QUESTION, Finding, PriceDiff, check_rate, diff_prices, find_in_force
from billing.core.rate_documents import RateDocument, canonical_json
from billing.core.rate_plans import Piece, Plan, Version

# provider, model, match, tenant id, service tier, region, time window: as the table's exclusion constraint has them.
Conditions = tuple[str, str, str, int, str, str, str]

NEW, CHANGED, GONE, CONFLICT = KINDS = ("new", "changed", "gone", "conflict")
# What a person is asked of a list that comes from elsewhere; that it replaces another is what an import is for.
ASKED = ("far_away", "missing_meter", "price_from", "above_list")


@dataclass(frozen=True, slots=True)
class Difference:
    """One price list that would begin, or one that is no longer named.

    kind: new, changed, gone, or conflict where a rate of the deployment's own says something else. document: what
    would begin at `starts`, None of what is gone. before: what prices such calls there, None of what is new. questions:
    to be looked at one by one. keeps_past: the past differs too, and stays as it is.
    """

    id: str
    kind: str
    conditions: Conditions
    document: RateDocument | None
    before: Version | None
    starts: datetime
    questions: tuple[Finding, ...] = ()
    keeps_past: bool = False

    @property
    def provider(self) -> str:
        return self.conditions[0]

    @property
    def model(self) -> str:
        return self.conditions[1]

    @property
    def prices(self) -> list[PriceDiff]:
        """Every price beside the one in force, also those that stay; all of them gone where the list is."""
        before = self.before.content if self.before else None
        return diff_prices(before, self.document.content if self.document else {})


def name_difference(conditions: Conditions, effective_from: datetime, content_hash: bytes) -> str:
    """The id of a list that would begin."""
    said = [*conditions, effective_from.astimezone(UTC).isoformat(), content_hash.hex()]
    return sha256(canonical_json(said).encode()).hexdigest()[:20]


def name_gone(rate_version_id: int) -> str:
    """The id of a version that is no longer named."""
    return f"gone-{rate_version_id}"


def list_differences(
    *,
    plans: Mapping[Conditions, Plan],
    versions: Mapping[Conditions, Sequence[Version]],
    gone: Sequence[tuple[Conditions, Version]],
    stand_ins: Mapping[tuple[Conditions, datetime], Version] = {},
    overruled: Collection[tuple[str, str, str]] = (),
    custom_ids: Collection[int] = (),
    now: datetime,
) -> list[Difference]:
    """What is laid over the published `versions`, by provider and model, exact names first.

    stand_ins: what prices such calls where a list would begin, though its conditions are others: a list for every
    tier beside that of the standard one, an own rate before an imported one. overruled: (provider, model, match) that
    the deployment prices itself, before what is compared here. custom_ids: published versions that were written by
    hand, which would give way.
    """
    found = [
        difference
        for key, plan in plans.items()
        for difference in _list_of_plan(key, plan, versions.get(key, ()), stand_ins, overruled, custom_ids)
    ]
    found += [
        Difference(name_gone(version.rate_version_id), GONE, key, None, version, max(now, version.start))
        for key, version in gone
    ]
    return sorted(found, key=lambda each: (each.provider, each.conditions[2] != "exact", each.conditions, each.starts))


def _list_of_plan(
    key: Conditions,
    plan: Plan,
    versions: Sequence[Version],
    stand_ins: Mapping[tuple[Conditions, datetime], Version],
    overruled: Collection[tuple[str, str, str]],
    custom_ids: Collection[int],
) -> Iterator[Difference]:
    """One for each document that begins anywhere, however many stretches of time it gets."""
    by_document: dict[int, list[Piece]] = {}
    for piece in plan.begins:
        if isinstance(piece.holder, RateDocument):
            by_document.setdefault(id(piece.holder), []).append(piece)
    for pieces in by_document.values():
        first = min(pieces, key=lambda piece: piece.start)
        document = first.holder
        assert isinstance(document, RateDocument)
        before = find_in_force(versions, first.start) or stand_ins.get((key, first.start))
        conflicts = tuple(_find_conflicts(key, pieces, versions, overruled, custom_ids))
        yield Difference(
            id=name_difference(key, document.effective_from, document.content_hash),
            kind=CONFLICT if conflicts else CHANGED if versions or before else NEW,
            conditions=key,
            document=document,
            before=before,
            starts=first.start,
            questions=(*conflicts, *_ask(document, before)),
            keeps_past=plan.history_kept,
        )


def _find_conflicts(
    key: Conditions,
    pieces: Sequence[Piece],
    versions: Sequence[Version],
    overruled: Collection[tuple[str, str, str]],
    custom_ids: Collection[int],
) -> Iterator[Finding]:
    if key[:3] in overruled:
        yield Finding(QUESTION, "overruled", "", "a rate of your own prices it; this one would stand behind it")
    end = max(piece.end for piece in pieces)
    start = min(piece.start for piece in pieces)
    for version in versions:
        if version.rate_version_id in custom_ids and version.start < end and start < version.end:
            until = "" if version.end == ALWAYS else f", until {version.end:%Y-%m-%d}"
            yield Finding(
                QUESTION, "custom", "", f"version {version.rate_version_id}, written by hand{until}, gives way to it"
            )


def _ask(document: RateDocument, before: Version | None) -> Iterator[Finding]:
    if before is None:
        return
    for finding in check_rate(document, versions=(), in_force=before.content):
        was_missing = finding.code == "missing_meter" and finding.meter not in before.content.get("meters", {})
        if finding.code in ASKED and not was_missing:  # an embedding never had a price of output
            yield finding
