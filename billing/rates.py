"""Publishing price lists, and the rate book that a process prices by.

A rate is published, never edited. Publications take the rate book's lock exclusively and raise its version; a booking
holds the lock shared until its commit, so that no entry is priced by a book that had ended.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import TextField
from django.db.models.functions import Cast

from billing.core.rate_documents import Problem, RateDocument, RatesRefused, hash_content
from billing.core.rate_plans import Piece, Plan, Version, plan_versions
from billing.core.rates import ALWAYS, PublishedRate, RateBook, find_ties
from billing.models import ModelAlias, RateVersion
from tenants.selectors import get_tenant

RATE_BOOK_LOCK = 7_264_001
IMPORTED = "genai-prices"  # the origin whose rates a deployment's own win over
ROWS_AT_ONCE = 1_000

LOCK_RATE_BOOK_SQL = "SELECT pg_advisory_xact_lock(%(lock)s)"
READ_RATE_BOOK_VERSION_SQL = "SELECT version FROM rate_book WHERE id = 1"

_Conditions = tuple[str, str, str, int, str, str, str]  # as the table's exclusion constraint has them

_cached_book: RateBook | None = None
_loading = Lock()


# --- the rate book ---


def load_rate_book(*, at_least_version: int | None = None) -> RateBook:
    """The rate book of this process, read again when a publication has raised the version.

    With `at_least_version` a cached book of that version or a later one is answered without a query: 0 takes
    whatever is cached.
    """
    book = _cached_book
    if book is not None and _is_new_enough(book, at_least_version):
        return book
    with _loading:
        book = _cached_book
        if book is None or not _is_new_enough(book, at_least_version):
            book = _read_rate_book()
            _keep_book(book)
    return book


def _is_new_enough(book: RateBook, at_least_version: int | None) -> bool:
    if at_least_version is None:
        return book.version == _read_version()
    return book.version >= at_least_version


def forget_rate_book() -> None:
    """Make the next load read the table."""
    _keep_book(None)


def _keep_book(book: RateBook | None) -> None:
    global _cached_book
    _cached_book = book


def _read_version() -> int:
    with connection.cursor() as cursor:
        cursor.execute(READ_RATE_BOOK_VERSION_SQL)
        (version,) = cursor.fetchone()
    return version


def _read_rate_book() -> RateBook:
    # The version first: a book that holds more than its version says is read once more, never too seldom.
    version = _read_version()
    rows = ModelAlias.objects.values_list("provider", "model", "canonical_provider", "canonical_model")
    aliases = {
        (provider, model): (means_provider, means_model) for provider, model, means_provider, means_model in rows
    }
    return RateBook(version=version, rates=list_published_rates(), aliases=aliases)


def list_published_rates() -> list[PublishedRate]:
    """Every rate that prices some moment, past ones included."""
    rows = (
        RateVersion.objects.filter(state__in=("published", "superseded"), effective__isempty=False)
        .annotate(content=Cast("document", TextField()))
        .values_list(
            "id", "provider", "model", "match", "tenant_id", "service_tier", "region", "time_window", "origin",
            "effective", "content_hash", "content",
        )
    )  # fmt: skip
    return [
        PublishedRate(
            rate_version_id=row_id,
            provider=provider,
            model=model,
            match=match,
            tenant_id=tenant_id,
            service_tier=service_tier,
            region=region,
            time_window=time_window,
            imported=origin == IMPORTED,
            effective_from=effective.lower,
            effective_to=effective.upper,
            content_hash=bytes(content_hash).hex(),
            content=content,
        )
        for row_id, provider, model, match, tenant_id, service_tier, region, time_window, origin, effective,
            content_hash, content in rows.iterator(ROWS_AT_ONCE)
    ]  # fmt: skip


# --- publishing ---


@dataclass(frozen=True, slots=True)
class RateChange:
    """One price list that differs from what is published, for a person to review."""

    kind: str  # new, changed, gone
    name: str
    effective_from: datetime
    before: Mapping[str, object]  # the meters' prices, or {} where there was none
    after: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RateChanges:
    """A reviewed difference between documents and the table, or what came of publishing it.

    `begins`, `ends` and `gives_way` count rows: versions that begin, that end earlier, that are replaced whole.
    `conflicts` names imported lists that a deployment's own list overrules; `history_kept` those whose past
    differs from the import and was left as it was; `backdated` documents that change a price of the past.
    """

    documents: int
    unchanged: int
    changes: tuple[RateChange, ...] = field(repr=False)
    begins: int
    ends: int
    gives_way: int
    conflicts: tuple[str, ...]
    history_kept: tuple[str, ...]
    backdated: tuple[str, ...]
    version: int  # of the rate book afterwards

    def count(self, kind: str) -> int:
        return sum(change.kind == kind for change in self.changes)


def review_rates(documents: Sequence[RateDocument], *, origin: str, now: datetime) -> RateChanges:
    """What publishing `documents` would change; writes nothing."""
    return _Publication(documents, origin=origin, now=now).describe(version=_read_version())


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
        _lock_rate_book()
        publication = _Publication(documents, origin=origin, now=now)
        if close_gone:
            publication.close_gone()
        changes = publication.describe(version=_read_version())
        if publication.is_empty:
            return changes
        publication.write(created_by=created_by, approved_by=approved_by)
        _refuse_ties(documents)
        version = _raise_version()
    forget_rate_book()
    return publication.describe(version=version)


def draft_rates(documents: Sequence[RateDocument], *, origin: str, created_by: str, now: datetime) -> int:
    """Keep what would change as drafts, for somebody else to approve; how many are new. A second call adds none."""
    with transaction.atomic():
        _lock_rate_book()
        publication = _Publication(documents, origin=origin, now=now)
        drafts = [
            document for document in publication.changing() if _draft_key(publication.key(document), document)
            not in publication.drafts
        ]  # fmt: skip
        rows = [
            _make_row(
                publication.key(document), Piece(document.effective_from, document.effective_to or ALWAYS, document),
                origin=origin, created_by=created_by, now=now,
            )
            for document in drafts
        ]  # fmt: skip
        RateVersion.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)
    return len(rows)


def set_model_alias(*, provider: str, model: str, means: tuple[str, str]) -> None:
    """Let (`provider`, `model`), as sent, be priced as the provider and model that it `means`. Safe to repeat."""
    with transaction.atomic():
        _lock_rate_book()
        ModelAlias.objects.update_or_create(
            provider=provider.strip().lower(),
            model=model.strip().lower(),
            defaults={"canonical_provider": means[0], "canonical_model": means[1]},
        )
        _raise_version()
    forget_rate_book()


def _lock_rate_book() -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOCK_RATE_BOOK_SQL, {"lock": RATE_BOOK_LOCK})


# A clock's number and not a count: a publication that is rolled back must not leave its number to the next one.
RAISE_RATE_BOOK_VERSION_SQL = """
    UPDATE rate_book
    SET version = greatest(version + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    WHERE id = 1
    RETURNING version"""


def _raise_version() -> int:
    with connection.cursor() as cursor:
        cursor.execute(RAISE_RATE_BOOK_VERSION_SQL)
        (version,) = cursor.fetchone()
    return version


class _Publication:
    """Documents laid over the published versions of the same conditions."""

    def __init__(self, documents: Sequence[RateDocument], *, origin: str, now: datetime) -> None:
        self.origin = origin
        self.now = now
        self.tenant_ids = _find_tenants(documents)
        self.documents: dict[_Conditions, list[RateDocument]] = defaultdict(list)
        for document in documents:
            self.documents[self.key(document)].append(document)
        self.versions, self.drafts, self.own_names = self._read_versions(
            {document.content["provider"] for document in documents}
        )
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

    def key(self, document: RateDocument) -> _Conditions:
        provider, model, match, tenant, *conditions = document.conditions
        return (provider, model, match, self.tenant_ids.get(tenant, 0), *conditions)

    def _read_versions(
        self, providers: Iterable[str]
    ) -> tuple[dict[_Conditions, list[Version]], dict[tuple[object, ...], int], set[tuple[str, str, str]]]:
        """What is published beside this origin, the drafts' ids, and the names that a deployment priced itself."""
        versions: dict[_Conditions, list[Version]] = defaultdict(list)
        drafts: dict[tuple[object, ...], int] = {}
        own_names: set[tuple[str, str, str]] = set()
        for row in RateVersion.objects.filter(provider__in=providers, effective__isempty=False).order_by("effective"):
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
                row = _make_row(key, piece, origin=self.origin, created_by=created_by, now=self.now)
                row.state, row.approved_by, row.published_at = "published", approved_by, self.now
                draft_id = isinstance(piece.holder, RateDocument) and self.drafts.pop(
                    _draft_key(key, piece.holder), None
                )
                if draft_id:
                    row.id = draft_id
                    approved.append(row)
                else:
                    rows.append(row)
        changed = ["effective", "state", "approved_by", "published_at"]
        RateVersion.objects.bulk_update(approved, changed, batch_size=ROWS_AT_ONCE)
        RateVersion.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)

    def _end_versions(self) -> None:
        rows = []
        for plan in self.plans.values():
            for version, end in plan.ends:
                rows.append(
                    RateVersion(id=version.rate_version_id, effective=_range(version.start, end), state="published")
                )
            for version in plan.gives_way:
                rows.append(
                    RateVersion(id=version.rate_version_id, effective=DateTimeTZRange(empty=True), state="superseded")
                )
        RateVersion.objects.bulk_update(rows, ["effective", "state"], batch_size=ROWS_AT_ONCE)

    # --- what a person reviews ---

    def describe(self, *, version: int) -> RateChanges:
        plans = self.plans
        changing = {id(document) for document in self.changing()}
        documents = sum(len(wanted) for wanted in self.documents.values())
        return RateChanges(
            documents=documents,
            unchanged=documents - len(changing),
            changes=tuple(self._list_changes()),
            begins=sum(len(plan.begins) for plan in plans.values()),
            ends=sum(len(plan.ends) for plan in plans.values()),
            gives_way=sum(len(plan.gives_way) for plan in plans.values()),
            conflicts=tuple(_name(key) for key in self.documents if self._is_overruled(key)),
            history_kept=tuple(_name(key) for key, plan in plans.items() if plan.history_kept),
            backdated=tuple(
                _name(key) for key, plan in plans.items()
                if self.versions.get(key) and any(piece.start < self.now for piece in plan.begins)
            ),
            version=version,
        )  # fmt: skip

    def _list_changes(self) -> Iterable[RateChange]:
        for key, plan in self.plans.items():
            for piece in plan.begins:
                if not isinstance(piece.holder, RateDocument):
                    continue
                before = [v for v in self.versions.get(key, []) if v.start <= piece.start < v.end]
                yield RateChange(
                    "changed" if self.versions.get(key) else "new",
                    _name(key),
                    piece.start,
                    _say_prices(before[0].content) if before else {},
                    _say_prices(piece.holder.content),
                )
        for key, version in self.gone:
            yield RateChange("gone", _name(key), self.now, _say_prices(version.content), {})

    def _is_overruled(self, key: _Conditions) -> bool:
        return self.origin == IMPORTED and key[:3] in self.own_names


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


def _refuse_ties(documents: Sequence[RateDocument]) -> None:
    """Nothing is published of which neither rate would be the more specific."""
    providers = {document.content["provider"] for document in documents}
    ties = find_ties(rate for rate in list_published_rates() if rate.provider in providers)
    if ties:
        raise RatesRefused([
            Problem(tie.one, f"ties with {tie.other}", "Give one pattern a higher priority, or part their times")
            for tie in ties
        ])  # fmt: skip


def _make_row(key: _Conditions, piece: Piece, *, origin: str, created_by: str, now: datetime) -> RateVersion:
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
        effective=_range(piece.start, piece.end),
        currency=content["currency"],
        document=content,
        content_hash=hash_content(content),
        state="draft",
        created_by=created_by,
        created_at=now,
        approved_by="",
        published_at=None,
    )


def _draft_key(key: _Conditions, document: RateDocument) -> tuple[object, ...]:
    return key, document.effective_from, document.content_hash


def _range(start: datetime, end: datetime) -> DateTimeTZRange:
    return DateTimeTZRange(start, None if end == ALWAYS else end, "[)")


def _name(key: _Conditions) -> str:
    provider, model, match, tenant_id, service_tier, region, time_window = key
    conditions = [match, service_tier, region, time_window, f"tenant {tenant_id}" if tenant_id else ""]
    return f"{provider}/{model} ({', '.join(filter(None, conditions))})"


def _say_prices(content: Mapping[str, object]) -> dict[str, str]:
    """Each meter's price in words: `0.25 / 1000000`."""
    prices = {name: f"{meter['price']} / {meter['per']}" for name, meter in content.get("meters", {}).items()}
    for tier in content.get("context_tiers", ()):
        for name, meter in tier["meters"].items():
            prices[f"{name} {tier['compare']} {tier['input_tokens']}"] = f"{meter['price']} / {meter['per']}"
    return prices
