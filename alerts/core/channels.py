"""How a channel is written down, what is wrong with one, and what of it may be shown. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Any
from urllib.parse import urlsplit

from alerts.core.budgets import DIMENSIONS, NAME_LENGTH_MAX
from alerts.core.routing import KINDS, SEVERITIES, Kind, Severity
from billing.core.wire import TEXT_LENGTH_MAX

FIELDS = ("name", "kind", "settings", "owner", "scope", "severity_min", "quiet_hours", "digest_hour", "enabled")
SETTINGS_OF: Mapping[Kind, str] = {
    "email": "to", "slack": "url", "teams": "url", "pagerduty": "routing_key", "webhook": "url",
}  # fmt: skip
RECIPIENTS_MAX = 20
URL_LENGTH_MAX = 2_000
ADDRESS = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,190}")
ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTerms:
    """What somebody decides about a channel. settings: what its kind needs, secret; see `alerts.core.routing.Route`."""

    name: str
    kind: Kind
    settings: Mapping[str, Any] = field(repr=False)
    owner: str = ""
    scope: Mapping[str, str] = field(default_factory=dict)
    severity_min: Severity = "info"
    quiet_from: time | None = None
    quiet_to: time | None = None
    digest_hour: int | None = None
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class ChannelProblem:
    """One thing wrong with a channel: the field of its document, a stable code, and the cure."""

    field: str
    code: str
    detail: str


class ChannelRefused(ValueError):
    """A channel that cannot be as it is written; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[ChannelProblem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}" for problem in problems))
        self.problems = tuple(problems)


def read_terms(document: Any, *, schemes: Sequence[str] = ("https",), needs_settings: bool = True) -> ChannelTerms:
    """The terms that a document as `POST /v1/alert-channels` takes it states. Raises ChannelRefused with all problems.

    schemes: of addresses; http only where one's own network is told. needs_settings: else they may be missing, and are
    empty then.
    """
    if not isinstance(document, Mapping):
        raise ChannelRefused([ChannelProblem("", "wrong_type", "a channel is an object")])
    if problems := list(_check_document(document, schemes, needs_settings)):
        raise ChannelRefused(problems)
    quiet = document.get("quiet_hours") or {}
    return ChannelTerms(
        name=document["name"].strip(),
        kind=document["kind"],
        settings=_clean_settings(document["kind"], document["settings"]) if document.get("settings") else {},
        owner=(document.get("owner") or "").strip(),
        scope=dict(document.get("scope") or {}),
        severity_min=document.get("severity_min") or "info",
        quiet_from=time.fromisoformat(quiet["from"]) if quiet else None,
        quiet_to=time.fromisoformat(quiet["to"]) if quiet else None,
        digest_hour=document.get("digest_hour"),
        is_enabled=document.get("enabled") is not False,
    )


def write_terms(terms: ChannelTerms) -> dict[str, Any]:
    """The document again, without its settings: they are secret."""
    quiet = None
    if terms.quiet_from is not None and terms.quiet_to is not None:
        quiet = {"from": f"{terms.quiet_from:%H:%M}", "to": f"{terms.quiet_to:%H:%M}"}
    return {
        "name": terms.name,
        "kind": terms.kind,
        "owner": terms.owner,
        "scope": dict(terms.scope),
        "severity_min": terms.severity_min,
        "quiet_hours": quiet,
        "digest_hour": terms.digest_hour,
        "enabled": terms.is_enabled,
    }


def name_target(terms: ChannelTerms) -> str:
    """What may be shown of where a channel leads: never a path, which is the secret of such addresses."""
    if terms.kind == "email":
        first, *others = terms.settings["to"]
        return f"{first} and {len(others)} more" if others else str(first)
    if terms.kind == "pagerduty":
        return f"integration …{terms.settings['routing_key'][-4:]}"
    return urlsplit(terms.settings["url"]).hostname or ""


def _clean_settings(kind: Kind, settings: Mapping[str, Any]) -> dict[str, Any]:
    name = SETTINGS_OF[kind]
    value = settings[name]
    return {name: [one.strip() for one in value] if kind == "email" else value.strip()}


def _check_document(
    document: Mapping[str, Any], schemes: Sequence[str], needs_settings: bool
) -> Iterator[ChannelProblem]:
    for name in document:
        if name not in FIELDS:
            listed = ", ".join(FIELDS)
            yield ChannelProblem(str(name)[:64], "unknown_field", f"is no field of a channel; those are {listed}")
    yield from _check_text("name", document.get("name"), length_max=NAME_LENGTH_MAX, is_required=True)
    yield from _check_text("owner", document.get("owner"), length_max=NAME_LENGTH_MAX)
    kind = document.get("kind")
    if kind not in KINDS:
        yield ChannelProblem("kind", "wrong_value", f"must be one of {', '.join(KINDS)}")
    elif needs_settings or document.get("settings") is not None:
        yield from _check_settings(kind, document.get("settings"), schemes)
    if document.get("severity_min") not in (None, *SEVERITIES):
        yield ChannelProblem("severity_min", "wrong_value", f"must be one of {', '.join(SEVERITIES)}")
    yield from _check_scope(document.get("scope"))
    yield from _check_quiet_hours(document.get("quiet_hours"))
    hour = document.get("digest_hour")
    if hour is not None and (isinstance(hour, bool) or not isinstance(hour, int) or not 0 <= hour <= 23):
        yield ChannelProblem("digest_hour", "out_of_range", "must be an hour of the day, 0 to 23, or null")
    elif hour is not None and kind == "pagerduty":
        yield ChannelProblem("digest_hour", "not_together", "does not go with pagerduty, which tells each alert alone")
    if not isinstance(document.get("enabled", True), bool):
        yield ChannelProblem("enabled", "wrong_type", "must be true or false")


def _check_settings(kind: Kind, settings: Any, schemes: Sequence[str]) -> Iterator[ChannelProblem]:
    name = SETTINGS_OF[kind]
    place = f"settings.{name}"
    if not isinstance(settings, Mapping):
        yield ChannelProblem("settings", "missing_field", f"of {kind} is an object with “{name}”")
        return
    for other in settings:
        if other != name:
            yield ChannelProblem(
                f"settings.{str(other)[:64]}", "unknown_field", f"is none of {kind}, which has “{name}”"
            )
    value = settings.get(name)
    if kind == "email":
        yield from _check_recipients(place, value)
    elif not isinstance(value, str) or not value.strip():
        yield ChannelProblem(place, "missing_field", "is required")
    elif kind == "pagerduty" and not ROUTING_KEY.fullmatch(value.strip()):
        yield ChannelProblem(place, "wrong_value", "must be the 32 letters and digits of an Events API v2 integration")
    elif kind != "pagerduty":
        yield from _check_url(place, value.strip(), schemes)


def _check_recipients(place: str, value: Any) -> Iterator[ChannelProblem]:
    if not isinstance(value, list) or not 0 < len(value) <= RECIPIENTS_MAX:
        yield ChannelProblem(place, "wrong_type", f"must be a list of 1 to {RECIPIENTS_MAX} e-mail addresses")
        return
    for number, one in enumerate(value):
        if not isinstance(one, str) or not one.isascii() or not ADDRESS.fullmatch(one.strip()):
            yield ChannelProblem(f"{place}.{number}", "wrong_value", "is no e-mail address such as finance@example.com")


def _check_url(place: str, value: str, schemes: Sequence[str]) -> Iterator[ChannelProblem]:
    is_plain = value.isascii() and value.isprintable() and " " not in value and len(value) <= URL_LENGTH_MAX
    try:
        part = urlsplit(value)
        is_whole = bool(part.hostname) and (part.port is None or 0 < part.port < 65536)
    except ValueError:
        part, is_whole = urlsplit(""), False
    if not is_plain or not is_whole or part.scheme not in schemes:
        own = "" if "http" in schemes else "; http goes only to one's own networks, of the setting ALERT_NETWORKS"
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        yield ChannelProblem(place, "wrong_value", f"must be an address that begins with {begins}{own}")
    elif part.username or part.password or part.fragment:
        yield ChannelProblem(place, "wrong_value", "must name no user, no password and no #fragment")


def _check_scope(scope: Any) -> Iterator[ChannelProblem]:
    if scope is None:
        return
    if not isinstance(scope, Mapping):
        yield ChannelProblem("scope", "wrong_type", 'must be an object such as {"feature": "chat"}')
        return
    for name, value in scope.items():
        if name not in DIMENSIONS:
            listed = ", ".join(DIMENSIONS)
            yield ChannelProblem(f"scope.{str(name)[:64]}", "unknown_field", f"is no dimension; those are {listed}")
        else:
            yield from _check_text(f"scope.{name}", value, length_max=TEXT_LENGTH_MAX, is_required=True)


def _check_quiet_hours(quiet: Any) -> Iterator[ChannelProblem]:
    if quiet is None:
        return
    if not isinstance(quiet, Mapping) or set(quiet) != {"from", "to"}:
        yield ChannelProblem("quiet_hours", "wrong_type", 'must be such as {"from": "22:00", "to": "07:00"}, or null')
        return
    for name, value in quiet.items():
        if not isinstance(value, str) or not CLOCK.fullmatch(value):
            yield ChannelProblem(f"quiet_hours.{name}", "wrong_value", "must be a time of the day such as 22:00")
    if quiet["from"] == quiet["to"]:
        yield ChannelProblem("quiet_hours", "out_of_range", "must end at another time than they begin")


def _check_text(name: str, value: Any, *, length_max: int, is_required: bool = False) -> Iterator[ChannelProblem]:
    if value is None and not is_required:
        return
    if value is None or (is_required and isinstance(value, str) and not value.strip()):
        yield ChannelProblem(name, "missing_field", "is required")
    elif not isinstance(value, str):
        yield ChannelProblem(name, "wrong_type", "must be text")
    elif len(value) > length_max:
        yield ChannelProblem(name, "too_long", f"has at most {length_max} characters")
    elif not value.isprintable():
        yield ChannelProblem(name, "invalid_text", "must stand on one line, without control characters")
