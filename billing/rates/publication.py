"""Publishing price lists: laid over what is published, reviewed, drafted, or written in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from billing.core.import_differences import Difference, list_differences
from billing.core.price_histories import STANDARD, Call, find_rate
from billing.core.price_lists import ALWAYS, PublishedRate
from billing.core.rate_documents import Problem, RateDocument, RatesRefused, canonical_json, hash_content
from billing.core.rate_plans import Piece, Plan, Version, plan_versions
from billing.core.rates import RateBook, Tie, find_ties
from billing.models import ModelAlias, RateVersion
from billing.rates.acts import record_many, record_publication
from billing.rates.book import (
    IMPORTED,
    ROWS_AT_ONCE,
    forget_rate_book,
    list_published_rates,
    load_rate_book,
    lock_rate_table,
    raise_version,
    read_version,
)
from billing.rates.changes import Conditions, RateChanges, describe_changes
from tenants.selectors import get_tenant

UNSAVED_RATE = 0  # the id of a document of which no draft was kept


def review_rates(documents: Sequence[RateDocument], *, origin: str, now: datetime) -> RateChanges:
    """What publishing `documents` would change; writes nothing."""
    return Publication(documents, origin=origin, now=now).describe(version=read_version())


def publish_rates(
    documents: Sequence[RateDocument],
    *,
    origin: str,
    created_by: str,
    approved_by: str,
    now: datetime,
    close_gone: bool = False,
) -> RateChanges:
    """Publish `documents` in one transaction: all or none.

    Each closes the version in force at its start, replaces one with the same start, and ends at the next version's
    start; one with an end of its own lets the version before it go on. An import (origin `genai-prices`) replaces
    prices from `now` on and fills what had none, but changes no price of the past. Equal terms change nothing, so
    a second call does nothing. Drafts of the same content become the published rows. Raises `RatesRefused` where
    two rates would tie, and where a tenant is unknown.
    """
    with transaction.atomic():
        lock_rate_table()
        publication = Publication(documents, origin=origin, now=now)
        if close_gone:
            publication.close_gone()
        changes = publication.describe(version=read_version())
        if publication.is_empty:
            return changes
        publication.write(created_by=created_by, approved_by=approved_by)
        refuse_ties(documents)
        version = raise_version()
        changes = publication.describe(version=version)
        record_publication(
            changes, documents=documents, tenant_ids=publication.tenant_ids, origin=origin, actor=approved_by, now=now
        )
    forget_rate_book()
    return changes


def draft_rates(documents: Sequence[RateDocument], *, origin: str, created_by: str, now: datetime) -> int:
    """Keep what would change as drafts, for somebody else to approve; how many are new. A second call adds none."""
    with transaction.atomic():
        lock_rate_table()
        publication = Publication(documents, origin=origin, now=now)
        drafts = [
            document for document in publication.changing() if _draft_key(publication.key(document), document)
            not in publication.drafts
        ]  # fmt: skip
        rows = [
            make_row(
                publication.key(document), Piece(document.effective_from, document.effective_to or ALWAYS, document),
                origin=origin, created_by=created_by, now=now,
            )
            for document in drafts
        ]  # fmt: skip
        RateVersion.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)
        record_many(rows, act="drafted", actor=created_by, now=now, origin=origin)
    return len(rows)


def set_model_aliases(aliases: Mapping[tuple[str, str], tuple[str, str]]) -> int:
    """Let each (provider, model), as sent, be priced as the pair that it means; how many are new or changed.

    Safe to repeat. What was booked before keeps its price.
    """
    with transaction.atomic():
        lock_rate_table()
        known = {
            (alias.provider, alias.model): (alias.canonical_provider, alias.canonical_model)
            for alias in ModelAlias.objects.all()
        }
        changed = {sent: means for sent, means in aliases.items() if known.get(sent) != means}
        for (provider, model), means in changed.items():
            ModelAlias.objects.update_or_create(
                provider=provider,
                model=model,
                defaults={"canonical_provider": means[0], "canonical_model": means[1]},
            )
        if changed:
            raise_version()
    forget_rate_book()
    return len(changed)


class Publication:
    """Documents laid over the published versions of the same conditions."""

    def __init__(
        self, documents: Sequence[RateDocument], *, origin: str, now: datetime, draft_id: int | None = None
    ) -> None:
        """`draft_id`: of the one document's own draft, where there may be others that say the same."""
        self.origin = origin
        self.now = now
        self.tenant_ids = _find_tenants(documents)
        self.documents: dict[Conditions, list[RateDocument]] = defaultdict(list)
        for document in documents:
            self.documents[self.key(document)].append(document)
        self.versions, self.drafts, self.own_names = self._read_versions()
        if draft_id is not None:
            self.drafts[_draft_key(self.key(documents[0]), documents[0])] = draft_id
        frozen_before = now if origin == IMPORTED else None
        self.plans = {
            key: plan_versions(self.versions.get(key, []), wanted, frozen_before=frozen_before)
            for key, wanted in self.documents.items()
        }
        self.gone = [
            (key, version)
            for key, versions in self.versions.items()
            for version in versions
            if origin == IMPORTED and key not in self.documents and version.end > now
        ]

    def key(self, document: RateDocument) -> Conditions:
        provider, model, match, tenant, *conditions = document.conditions
        return (provider, model, match, self.tenant_ids.get(tenant, 0), *conditions)

    def _read_versions(
        self,
    ) -> tuple[dict[Conditions, list[Version]], dict[tuple[object, ...], int], set[tuple[str, str, str]]]:
        """What is published beside this origin, the drafts' ids, and the names that a deployment priced itself.

        An import is laid beside all that its providers have, to see what is gone; other documents beside their models.
        """
        versions: dict[Conditions, list[Version]] = defaultdict(list)
        drafts: dict[tuple[object, ...], int] = {}
        own_names: set[tuple[str, str, str]] = set()
        providers = {key[0] for key in self.documents}
        known = RateVersion.objects.filter(provider__in=providers, effective__isempty=False).exclude(state="withdrawn")
        if self.origin != IMPORTED:
            known = known.filter(model__in={key[1] for key in self.documents})
        for row in known.order_by("effective"):
            key = (row.provider, row.model, row.match, row.tenant_id, row.service_tier, row.region, row.time_window)
            if row.state in ("draft", "in_review"):
                drafts[key, row.effective.lower, bytes(row.content_hash)] = row.id
                continue
            if row.origin != IMPORTED:
                own_names.add((row.provider, row.model, row.match))
            if (row.origin == IMPORTED) == (self.origin == IMPORTED):
                versions[key].append(Version(row.id, row.effective.lower, row.effective.upper or ALWAYS, row.document))
        return versions, drafts, own_names

    @property
    def is_empty(self) -> bool:
        return all(plan.is_empty for plan in self.plans.values())

    def find_ties(self) -> list[Tie]:
        """Of all that would be in force after this, with which neither would be the more specific."""
        return find_ties(
            rate
            for provider in {key[0] for key in self.plans}
            for rate in self.list_rates_afterwards(provider=provider, may_tie=True)
            if rate.provider == provider
        )

    def list_rates_afterwards(self, *, provider: str, may_tie: bool = False) -> list[PublishedRate]:
        """Every rate of a provider as the table would hold it after this: a draft under its own id, what is new under
        none of the table's. may_tie: as `list_published_rates`."""
        ended = {version.rate_version_id: end for plan in self.plans.values() for version, end in plan.ends}
        gone = {version.rate_version_id for plan in self.plans.values() for version in plan.gives_way}
        stays = [
            rate
            for rate in list_published_rates(provider=provider, may_tie=may_tie)
            if rate.rate_version_id not in gone
        ]
        begins = [
            self._imagine_rate(key, piece, number)
            for key, plan in self.plans.items()
            for number, piece in enumerate(plan.begins)
        ]
        return [
            msgspec.structs.replace(rate, effective_to=_open_end(ended[rate.rate_version_id]))
            if rate.rate_version_id in ended
            else rate
            for rate in stays
        ] + begins

    def _imagine_rate(self, key: Conditions, piece: Piece, number: int) -> PublishedRate:
        """A piece that begins, as a row of the rate book."""
        provider, model, match, tenant_id, service_tier, region, time_window = key
        rate_version_id = -1 - number
        if isinstance(piece.holder, RateDocument):
            rate_version_id = self.drafts.get(_draft_key(key, piece.holder), UNSAVED_RATE)
        return PublishedRate(
            rate_version_id=rate_version_id,
            provider=provider,
            model=model,
            match=match,
            tenant_id=tenant_id,
            service_tier=service_tier,
            region=region,
            time_window=time_window,
            imported=self.origin == IMPORTED,
            effective_from=piece.start,
            effective_to=_open_end(piece.end),
            content_hash=hash_content(piece.holder.content).hex(),
            content=canonical_json(piece.holder.content),
        )

    def find_draft(self, document: RateDocument) -> int | None:
        """The draft that says the same under the same conditions from the same moment on."""
        return self.drafts.get(_draft_key(self.key(document), document))

    def find_replaced(self, document: RateDocument) -> int | None:
        """The version in force under its conditions where it begins, or that begins next before its end."""
        start, end = document.effective_from, document.effective_to or ALWAYS
        versions = self.versions.get(self.key(document), [])
        return next((each.rate_version_id for each in versions if each.start < end and start < each.end), None)

    def list_differences(self) -> list[Difference]:
        """What would begin, and what an import no longer names, for a person to accept one by one."""
        custom = RateVersion.objects.filter(
            origin="custom", state="published", provider__in={key[0] for key in self.plans}
        )
        return list_differences(
            plans=self.plans,
            versions=self.versions,
            gone=self.gone,
            stand_ins=self._find_stand_ins(),
            overruled=self.own_names if self.origin == IMPORTED else (),
            custom_ids=set(custom.values_list("id", flat=True)) if self.origin != IMPORTED else (),
            now=self.now,
        )

    def _find_stand_ins(self) -> dict[tuple[Conditions, datetime], Version]:
        """What prices calls of an exact name where its list would begin; an import stands beside imports alone."""
        if self.origin == IMPORTED:
            return {}
        book = load_rate_book()
        found = {
            (key, piece.start): rate_id
            for key, plan in self.plans.items()
            for piece in plan.begins
            if (rate_id := find_priced(book, key, piece.start))
        }
        rows = {row.pk: row for row in RateVersion.objects.filter(pk__in=set(found.values()))}
        return {
            place: Version(rate_id, row.effective.lower, row.effective.upper or ALWAYS, row.document)
            for place, rate_id in found.items()
            if (row := rows.get(rate_id))
        }

    def changing(self) -> list[RateDocument]:
        """The documents of which something would be published."""
        begins = {id(piece.holder) for plan in self.plans.values() for piece in plan.begins}
        return [document for wanted in self.documents.values() for document in wanted if id(document) in begins]

    def close_gone(self) -> None:
        """End now what the import no longer names."""
        for key, version in self.gone:
            plan = self.plans.setdefault(key, Plan())
            if version.start >= self.now:
                plan.gives_way.append(version)
            else:
                plan.ends.append((version, self.now))

    def write(self, *, created_by: str, approved_by: str) -> None:
        """Ends before beginnings: the table refuses two prices at one time."""
        self._end_versions()
        rows, approved = [], []
        for key, plan in self.plans.items():
            for piece in plan.begins:
                row = make_row(key, piece, origin=self.origin, created_by=created_by, now=self.now)
                row.state, row.approved_by, row.published_at = "published", approved_by, self.now
                draft_id = isinstance(piece.holder, RateDocument) and self.drafts.pop(
                    _draft_key(key, piece.holder), None
                )
                if draft_id:
                    row.id = draft_id
                    approved.append(row)
                else:
                    rows.append(row)
        self._approve(approved, approved_by=approved_by)
        RateVersion.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)

    def _approve(self, rows: Sequence[RateVersion], *, approved_by: str) -> None:
        """Drafts become what is published: first their times, where those differ, then all that is alike at once."""
        kept = dict(RateVersion.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "effective"))
        moved = [row for row in rows if kept.get(row.pk) != row.effective]
        RateVersion.objects.bulk_update(moved, ["effective"], batch_size=ROWS_AT_ONCE)
        RateVersion.objects.filter(pk__in=kept).update(
            state="published", approved_by=approved_by, published_at=self.now
        )

    def _end_versions(self) -> None:
        rows = []
        for plan in self.plans.values():
            for version, end in plan.ends:
                rows.append(
                    RateVersion(id=version.rate_version_id, effective=make_range(version.start, end), state="published")
                )
            for version in plan.gives_way:
                rows.append(
                    RateVersion(id=version.rate_version_id, effective=DateTimeTZRange(empty=True), state="superseded")
                )
        RateVersion.objects.bulk_update(rows, ["effective", "state"], batch_size=ROWS_AT_ONCE)

    def describe(self, *, version: int) -> RateChanges:
        return describe_changes(
            plans=self.plans,
            documents=self.documents,
            versions=self.versions,
            gone=self.gone,
            overruled=self.own_names if self.origin == IMPORTED else set(),
            now=self.now,
            version=version,
        )


def _find_tenants(documents: Sequence[RateDocument]) -> dict[str, int]:
    """The tenants that rates are for, by slug."""
    found, problems = {}, []
    for slug in sorted({document.content.get("tenant", "") for document in documents} - {""}):
        tenant = get_tenant(slug)
        if tenant is None:
            problems.append(Problem(f"tenant {slug}", "is not known", f"Make it first: create_tenant {slug}"))
        else:
            found[slug] = tenant.id
    if problems:
        raise RatesRefused(problems)
    return found


def refuse_ties(documents: Sequence[RateDocument]) -> None:
    """Nothing is published of which neither rate would be the more specific."""
    providers = {document.content["provider"] for document in documents}
    rates = [rate for provider in providers for rate in list_published_rates(provider=provider, may_tie=True)]
    if ties := find_ties(rates):
        raise RatesRefused([
            Problem(tie.one, f"ties with {tie.other}", "Give one pattern a higher priority, or part their times")
            for tie in ties
        ])  # fmt: skip


def make_row(key: Conditions, piece: Piece, *, origin: str, created_by: str, now: datetime) -> RateVersion:
    """A draft of `piece`."""
    provider, model, match, tenant_id, service_tier, region, time_window = key
    content = dict(piece.holder.content)
    return RateVersion(
        provider=provider,
        model=model,
        match=match,
        tenant_id=tenant_id,
        service_tier=service_tier,
        region=region,
        time_window=time_window,
        origin=origin,
        effective=make_range(piece.start, piece.end),
        currency=content["currency"],
        document=content,
        content_hash=hash_content(content),
        state="draft",
        created_by=created_by,
        created_at=now,
        authors=[created_by],
        approved_by="",
        published_at=None,
    )


def find_priced(book: RateBook, key: Conditions, at: datetime) -> int | None:
    """The version that prices calls of these names and conditions then; None also for a pattern of names."""
    provider, model, match, tenant_id, service_tier, region, _ = key
    if match != "exact":
        return None
    call = Call(provider, model, service_tier or STANDARD, region, tenant_id)
    return find_rate(book, call, at)


def _draft_key(key: Conditions, document: RateDocument) -> tuple[object, ...]:
    return key, document.effective_from, document.content_hash


def _open_end(end: datetime) -> datetime | None:
    return None if end == ALWAYS else end


def make_range(start: datetime, end: datetime) -> DateTimeTZRange:
    """[start, end), without an end where that is ALWAYS."""
    return DateTimeTZRange(start, _open_end(end), "[)")
