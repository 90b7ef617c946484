"""The rate book that a process prices by, and the lock and the version that keep it true."""

from threading import Lock

from django.db import connection
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from billing.core.price_lists import PublishedRate
from billing.core.rates import RateBook
from billing.models import ModelAlias, RateVersion

RATE_BOOK_LOCK, RATE_TABLE_LOCK = 7_264_001, 7_264_002
IMPORTED = "genai-prices"  # the origin whose rates a deployment's own win over
ROWS_AT_ONCE = 1_000

LOCK_SQL = "SELECT pg_advisory_xact_lock(%(lock)s)"
READ_RATE_BOOK_VERSION_SQL = "SELECT version FROM rate_book WHERE id = 1"

_cached_book: RateBook | None = None
_loading = Lock()


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
        return book.version == read_version()
    return book.version >= at_least_version


def forget_rate_book() -> None:
    """Make the next load read the table."""
    _keep_book(None)


def _keep_book(book: RateBook | None) -> None:
    global _cached_book
    _cached_book = book


def read_version() -> int:
    """The version that the table is at."""
    with connection.cursor() as cursor:
        cursor.execute(READ_RATE_BOOK_VERSION_SQL)
        (version,) = cursor.fetchone()
    return version


HOLD_RATE_BOOK_SQL = "SELECT hold_rate_book(%(lock)s)"


def hold_rate_book() -> int:
    """Keep publications, and changes of tenants' rules, out until the commit; the version that holds until then."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD_RATE_BOOK_SQL, {"lock": RATE_BOOK_LOCK})
        (version,) = cursor.fetchone()
    return version


def _read_rate_book() -> RateBook:
    # The version first: a book that holds more than its version says is read once more, never too seldom.
    version = read_version()
    return RateBook(version=version, rates=list_published_rates(), aliases=list_aliases())


def list_aliases() -> dict[tuple[str, str], tuple[str, str]]:
    """(provider, model) as sent to the provider and model that they mean."""
    rows = ModelAlias.objects.values_list("provider", "model", "canonical_provider", "canonical_model")
    return {(provider, model): (means_provider, means_model) for provider, model, means_provider, means_model in rows}


def list_published_rates(*, provider: str = "", may_tie: bool = False) -> list[PublishedRate]:
    """Every rate that prices some moment, past ones included; of one provider where one is named.

    may_tie: only those that another name or another window of the day may tie with.
    """
    published = RateVersion.objects.filter(state__in=("published", "superseded"), effective__isempty=False)
    if may_tie:
        published = published.filter(Q(match="pattern") | ~Q(time_window=""))
    rows = (
        (published.filter(provider=provider) if provider else published)
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


# --- for those who change it ---


def lock_rate_table() -> None:
    """Keep other publications out until the end of this transaction; bookings go on by the book that there is."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SQL, {"lock": RATE_TABLE_LOCK})


# A clock's number and not a count: a publication that is rolled back must not leave its number to the next one.
RAISE_RATE_BOOK_VERSION_SQL = """
    UPDATE rate_book
    SET version = greatest(version + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    WHERE id = 1
    RETURNING version"""


def raise_version() -> int:
    """Tell every process that its book is old; the new version. Bookings are kept out from here to the commit.

    It comes after what takes long, and before any act is recorded: a booking that is under way is waited for, and it
    may be waiting for the ledger of a tenant that an act was booked in.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SQL, {"lock": RATE_BOOK_LOCK})
        cursor.execute(RAISE_RATE_BOOK_VERSION_SQL)
        (version,) = cursor.fetchone()
    return version
