"""API keys: `tl_<public id>_<256 random bits>_<checksum>`, of which only a hash is kept."""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from django.db import IntegrityError, OperationalError, connection
from django.db.models import Q, Value
from django.db.models.functions import Least, Now

from tenants.limits import COLUMNS, Limits
from tenants.models import SCOPES, ApiKey
from tenants.scope import tenant_scope

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PUBLIC_ID_LENGTH = 12
SECRET_LENGTH = 43  # 62^43 > 2^256
CHECKSUM_LENGTH = 6  # 62^6 > 2^32
TOKEN_PATTERN = re.compile(r"tl_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class ApiKeyHolder:
    """Whom a key speaks for."""

    tenant_id: int
    slug: str
    timezone: str
    is_operator: bool
    key_id: str
    name: str
    scopes: frozenset[str]
    limits: Limits  # of the tenant
    key_limits: Limits


class ScopesUnknown(ValueError):
    """A scope that does not exist, or none at all."""


class KeyNameTaken(ValueError):
    """Two live keys have this name already: the old and the new one of a rotation."""


class KeyMadeAlready(ValueError):
    """The tenant has a key of this public id."""


def make_key_id() -> str:
    """The public part of a key to come."""
    return _random_text(PUBLIC_ID_LENGTH)


def issue_api_key(
    *,
    tenant_id: int,
    scopes: Iterable[str],
    name: str = "",
    now: datetime,
    key_id: str = "",
    created_by: str = "",
    limits: Limits | None = None,
) -> str:
    """Make a key and return it whole: this once, because only its hash is kept.

    A key without a name is named after its public id. key_id: of `make_key_id`, so that a request that comes twice
    makes one key. Raises ScopesUnknown, KeyMadeAlready, and KeyNameTaken when two live keys of the tenant have that
    name.
    """
    wanted = sorted(set(scopes), key=lambda scope: SCOPES.index(scope) if scope in SCOPES else -1)
    if not wanted or set(wanted) - set(SCOPES):
        raise ScopesUnknown(f"scopes must be some of {', '.join(SCOPES)}; got {', '.join(wanted) or 'none'}")
    key_id = key_id or make_key_id()
    body = f"tl_{key_id}_{_random_text(SECRET_LENGTH)}"
    token = f"{body}_{_checksum(body)}"
    try:
        with tenant_scope(tenant_id):
            ApiKey.objects.create(
                tenant_id=tenant_id,
                key_id=key_id,
                name=name or key_id,
                secret_hash=_hash(token),
                scopes=wanted,
                created_at=now,
                created_by=created_by,
                **{COLUMNS[resource]: number for resource, number in (limits or Limits())._asdict().items()},
            )
    except IntegrityError as error:
        if "two live keys" in str(error):
            raise KeyNameTaken(f"two live keys are named {name!r} already; revoke one of them first") from error
        if "api_key_pkey" in str(error):
            raise KeyMadeAlready(f"the key tl_{key_id}… was made already") from error
        raise
    return token


FIND_API_KEY_SQL = """
    SELECT tenant_id, slug, timezone, is_operator, key_id, name, secret_hash, scopes, revoked_at,
           tenant_limits, key_limits
    FROM find_api_key(%(key_id)s)"""


def find_api_key(token: str) -> ApiKeyHolder | None:
    """Whom this key speaks for; None for a key that is mistyped, unknown or revoked.

    Asks the database each time, so a revoked key is refused by the next request. A mistyped one costs no query.
    """
    match = TOKEN_PATTERN.fullmatch(token)
    if not match or _checksum(token.rpartition("_")[0]) != match[3]:
        return None
    digest = _hash(token)
    with connection.cursor() as cursor:
        cursor.execute(FIND_API_KEY_SQL, {"key_id": match[1]})
        rows = cursor.fetchall()
    for *holder, secret_hash, scopes, revoked_at, limits, key_limits in rows:
        if hmac.compare_digest(bytes(secret_hash), digest) and revoked_at is None:
            return ApiKeyHolder(*holder, frozenset(scopes), Limits(*limits), Limits(*key_limits))
    return None


REMEMBERED_SECONDS = 10
REMEMBERED_MAX = 10_000
_remembered: dict[str, tuple[float, ApiKeyHolder]] = {}  # by token: when it was found, by the process's own clock


def recall_api_key(token: str, *, seconds: float = REMEMBERED_SECONDS) -> ApiKeyHolder | None:
    """As `find_api_key`, but a key that was found is believed for `seconds`, revoked or not.

    For longer than a moment only for who confirms it later, in the transaction that acts on it: see `list_live_keys`,
    a function in SQL. While the database is away a key is believed for REMEMBERED_SECONDS in any case.
    """
    holder = get_remembered_key(token, seconds=seconds)
    if holder:
        return holder
    try:
        holder = find_api_key(token)
    except OperationalError:
        holder = get_remembered_key(token, seconds=REMEMBERED_SECONDS)
        if holder:
            return holder
        raise
    if holder:
        if len(_remembered) >= REMEMBERED_MAX:
            _remembered.clear()
        _remembered[token] = monotonic(), holder
    else:
        _remembered.pop(token, None)
    return holder


def get_remembered_key(token: str, *, seconds: float) -> ApiKeyHolder | None:
    """Whom this key was found to speak for within the last `seconds`; None where the database has to be asked."""
    found = _remembered.get(token)
    return found[1] if found and monotonic() - found[0] < seconds else None


def revoke_api_key(*, tenant_id: int, key_id: str, now: datetime, ends_at: datetime | None = None) -> bool:
    """Refuse the key from now on, or from `ends_at`; False when the tenant has no such live key, or it ends before."""
    with tenant_scope(tenant_id):
        longer = Q(revoked_at=None) | Q(revoked_at__gt=max(now, ends_at or now))
        live = ApiKey.objects.filter(longer, tenant_id=tenant_id, key_id=key_id)
        # At once is by the clock that judges keys, were ours ahead of it.
        return live.update(revoked_at=ends_at or Least(Value(now), Now())) == 1


def _random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _checksum(body: str) -> str:
    """CRC-32 in base 62: tells a mistyped or cut key from an unknown one, and lets scanners recognise ours."""
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
