"""Where days are exported to: how a target is written down, and what is wrong with one. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from chargeback.core.exports import read_day

Kind = Literal["folder", "s3"]
KINDS: tuple[Kind, ...] = ("folder", "s3")
FIELDS = (
    "name", "kind", "place", "region", "endpoint", "path_style", "first_day", "enabled", "access_key_id",
    "secret_access_key",
)  # fmt: skip
S3_ALONE = ("region", "endpoint", "path_style", "access_key_id", "secret_access_key")
NAME_LENGTH_MAX = 100
PLACE_LENGTH_MAX = 300
ENDPOINT_LENGTH_MAX = 300
KEY_LENGTH_MAX = 200

_STEP = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"
FOLDER = re.compile(rf"{_STEP}(/{_STEP})*")
BUCKET = re.compile(rf"[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](/{_STEP})*")
REGION = re.compile(r"[a-z0-9-]{1,40}")
KEY = re.compile(r"[\x21-\x7e]{1,200}")
HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTerms:
    """What somebody decides about a target.

    place: a folder below the operator's root, or a bucket and a prefix, `bucket/a/b`. endpoint: '' is Amazon's own of
    the region. credentials: `access_key_id` and `secret_access_key` of S3, secret, empty where they stay.
    """

    name: str
    kind: Kind
    place: str
    region: str = ""
    endpoint: str = ""
    is_path_style: bool = True
    first_day: date
    is_enabled: bool = True
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown_place(self) -> str:
        """What may be shown of where it leads."""
        return f"s3://{self.place}" if self.kind == "s3" else self.place


@dataclass(frozen=True, slots=True)
class TargetProblem:
    """One thing wrong with a target: the field of its document, a stable code, and the cure."""

    field: str
    code: str
    detail: str


class TargetRefused(ValueError):
    """A target that cannot be as it is written; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[TargetProblem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}".strip() for problem in problems))
        self.problems = tuple(problems)


def read_terms(
    document: Any, *, kinds: Sequence[Kind], schemes: Sequence[str], today: date, needs_credentials: bool = True
) -> TargetTerms:
    """The terms that a document as `POST /v1/export-targets` takes it states. Raises TargetRefused with all problems.

    kinds: that whoever asks may make. today: of UTC, from which days are sent where the document names none.
    """
    if not isinstance(document, Mapping):
        raise TargetRefused([TargetProblem("", "wrong_type", "a target is an object")])
    if problems := list(_check_document(document, kinds, schemes, today, needs_credentials)):
        raise TargetRefused(problems)
    has_keys = bool(document.get("secret_access_key"))
    is_s3 = document["kind"] == "s3"
    return TargetTerms(
        name=document["name"].strip(),
        kind=document["kind"],
        place=document["place"].strip("/"),
        region=(document.get("region") or "us-east-1") if is_s3 else "",
        endpoint=(document.get("endpoint") or "").rstrip("/") if is_s3 else "",
        is_path_style=document.get("path_style") is not False,
        first_day=read_day(document.get("first_day") or "") or today,
        is_enabled=document.get("enabled") is not False,
        credentials={name: document[name] for name in S3_ALONE[3:]} if has_keys else {},
    )


def write_terms(terms: TargetTerms) -> dict[str, Any]:
    """The document again, without what is secret."""
    written: dict[str, Any] = {
        "name": terms.name,
        "kind": terms.kind,
        "place": terms.place,
        "first_day": terms.first_day.isoformat(),
        "enabled": terms.is_enabled,
    }
    if terms.kind == "s3":
        written |= {"region": terms.region, "endpoint": terms.endpoint, "path_style": terms.is_path_style}
    return written


def _check_document(
    document: Mapping[str, Any], kinds: Sequence[Kind], schemes: Sequence[str], today: date, needs_credentials: bool
) -> Iterator[TargetProblem]:
    for name in document:
        if name not in FIELDS:
            listed = ", ".join(FIELDS)
            yield TargetProblem(str(name)[:64], "unknown_field", f"is no field of a target; those are {listed}")
    yield from _check_text("name", document.get("name"), length_max=NAME_LENGTH_MAX)
    for name in ("path_style", "enabled"):
        if not isinstance(document.get(name, True), bool):
            yield TargetProblem(name, "wrong_type", "must be true or false")
    yield from _check_first_day(document.get("first_day"), today)
    kind = document.get("kind")
    if kind not in KINDS:
        yield TargetProblem("kind", "wrong_value", f"must be one of {', '.join(kinds)}")
    elif kind not in kinds:
        yield TargetProblem("kind", "wrong_value", f"must be one of {', '.join(kinds)}: a folder is the operator's own")
    elif kind == "folder":
        yield from _check_folder(document)
    else:
        yield from _check_bucket(document, schemes)
        yield from _check_keys(document, needs_credentials)


def _check_text(name: str, value: Any, *, length_max: int) -> Iterator[TargetProblem]:
    if not isinstance(value, str) or not value.strip():
        yield TargetProblem(name, "missing_field", "is required")
    elif len(value) > length_max or not value.isprintable():
        yield TargetProblem(name, "too_long", f"is one line of at most {length_max} characters")


def _check_first_day(value: Any, today: date) -> Iterator[TargetProblem]:
    if value in (None, ""):
        return
    day = read_day(value) if isinstance(value, str) else None
    if day is None:
        yield TargetProblem("first_day", "wrong_value", "must be a day such as 2026-11-22")
    elif day > today or day.year < 2000:
        yield TargetProblem("first_day", "out_of_range", "must not lie ahead")


def _check_folder(document: Mapping[str, Any]) -> Iterator[TargetProblem]:
    place = document.get("place")
    is_whole = isinstance(place, str) and len(place) <= PLACE_LENGTH_MAX and FOLDER.fullmatch(place.rstrip("/"))
    if not is_whole:
        cure = "must be a folder below the operator's root such as finance/tokenledger, of letters, digits, ., _ and -"
        yield TargetProblem("place", "wrong_value", cure)
    for name in S3_ALONE:
        if document.get(name) not in (None, "", True):
            yield TargetProblem(name, "not_together", "does not go with a folder")


def _check_bucket(document: Mapping[str, Any], schemes: Sequence[str]) -> Iterator[TargetProblem]:
    place = document.get("place")
    is_whole = isinstance(place, str) and len(place) <= PLACE_LENGTH_MAX and BUCKET.fullmatch(place.strip("/"))
    if not is_whole or ".." in str(place).partition("/")[0]:
        yield TargetProblem("place", "wrong_value", "must be a bucket and, if you like, a prefix: bucket/tokenledger")
    region = document.get("region") or "us-east-1"
    if not isinstance(region, str) or not REGION.fullmatch(region):
        yield TargetProblem("region", "wrong_value", "must be a region such as eu-central-1")
    endpoint = document.get("endpoint") or ""
    if endpoint and not _is_endpoint(endpoint, schemes):
        own = "" if "http" in schemes else "; http goes only to one's own networks, of the setting ALERT_NETWORKS"
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        yield TargetProblem("endpoint", "wrong_value", f"must be {begins} and a host, nothing else{own}")


def _is_endpoint(value: Any, schemes: Sequence[str]) -> bool:
    if not isinstance(value, str) or not value.isascii() or len(value) > ENDPOINT_LENGTH_MAX:
        return False
    try:
        part = urlsplit(value)
        is_whole = bool(part.hostname) and (part.port is None or 0 < part.port < 65536)
    except ValueError:
        return False
    host = part.netloc.rpartition(":")[0] if part.port else part.netloc
    return is_whole and part.scheme in schemes and part.path in ("", "/") and bool(HOST.fullmatch(host))


def _check_keys(document: Mapping[str, Any], needs_credentials: bool) -> Iterator[TargetProblem]:
    given = [document.get(name) for name in S3_ALONE[3:]]
    if not any(given) and not needs_credentials:
        return
    for name, value in zip(S3_ALONE[3:], given, strict=True):
        if not value:
            yield TargetProblem(name, "missing_field", "is required; the key and its secret go together")
        elif not isinstance(value, str) or not KEY.fullmatch(value):
            yield TargetProblem(name, "wrong_value", f"is at most {KEY_LENGTH_MAX} letters, digits and signs")
