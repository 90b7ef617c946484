"""The form of a channel: what was typed, the document that it means, and where its problems belong."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import QueryDict

from alerts.channels import Channel
from alerts.core.channels import ChannelProblem
from alerts.core.routing import KINDS, SEVERITIES

KIND_WORDS = {
    "email": "E-mail", "slack": "Slack", "teams": "Microsoft Teams", "pagerduty": "PagerDuty", "webhook": "Webhook",
}  # fmt: skip
TARGET_WORDS = {
    "email": "Addresses, by commas",
    "slack": "Address of the incoming webhook",
    "teams": "Address of the Workflows webhook",
    "pagerduty": "Integration key, Events API v2",
    "webhook": "Address that takes a POST",
}
TARGET_EXAMPLES = {
    "email": "finance@example.com, ops@example.com",
    "slack": "https://hooks.slack.com/services/…",
    "teams": "https://….logic.azure.com/workflows/…",
    "pagerduty": "32 letters and digits",
    "webhook": "https://hooks.example.com/alerts",
}
SETTING_OF = {"email": "to", "pagerduty": "routing_key"}  # url of all others
HOURS = range(24)

Texts = Mapping[str, str]


def start_texts(kind: str) -> dict[str, str]:
    """An empty form for a kind."""
    return {
        "kind": kind if kind in KINDS else "email", "name": "", "target": "", "owner": "", "feature": "",
        "cost_center": "", "environment": "", "severity_min": "info", "quiet_from": "", "quiet_to": "",
        "digest_hour": "", "enabled": "on",
    }  # fmt: skip


def write_texts(channel: Channel) -> dict[str, str]:
    """The form of a channel that there is; where it leads is not shown again."""
    return {
        "kind": channel.kind,
        "name": channel.name,
        "target": "",
        "owner": channel.owner,
        **{name: channel.scope.get(name, "") for name in ("feature", "cost_center", "environment")},
        "severity_min": channel.severity_min,
        "quiet_from": f"{channel.quiet_from:%H:%M}" if channel.quiet_from else "",
        "quiet_to": f"{channel.quiet_to:%H:%M}" if channel.quiet_to else "",
        "digest_hour": "" if channel.digest_hour is None else str(channel.digest_hour),
        "enabled": "on" if channel.is_enabled else "",
    }


def read_texts(form: QueryDict, kind: str) -> dict[str, str]:
    """What was typed."""
    return {name: form.get(name, "").strip() for name in start_texts(kind)} | {"kind": kind}


def make_document(texts: Texts, *, other_scope: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The document that the form means. other_scope: of dimensions that the form does not show; they stay."""
    kind = texts["kind"]
    typed = {name: texts[name] for name in ("feature", "cost_center", "environment") if texts[name]}
    quiet = {"from": texts["quiet_from"], "to": texts["quiet_to"]}
    hour = texts["digest_hour"]
    document: dict[str, Any] = {
        "name": texts["name"],
        "kind": kind,
        "owner": texts["owner"],
        "scope": {**(other_scope or {}), **typed},
        "severity_min": texts["severity_min"] or None,
        "quiet_hours": quiet if any(quiet.values()) else None,
        "digest_hour": int(hour) if hour.isascii() and hour.isdigit() and len(hour) < 3 else hour or None,
        "enabled": bool(texts["enabled"]),
    }
    if target := texts["target"]:
        value = [one.strip() for one in target.split(",") if one.strip()] if kind == "email" else target
        document["settings"] = {SETTING_OF.get(kind, "url"): value}
    return document


def place_problems(problems: Sequence[ChannelProblem]) -> tuple[dict[str, str], list[str]]:
    """The problem of each field of the form, and those that belong to none."""
    places = {"settings": "target", "quiet_hours": "quiet_from", "quiet_hours.from": "quiet_from",
              "quiet_hours.to": "quiet_to"}  # fmt: skip
    shown = {*start_texts("email")}
    placed: dict[str, str] = {}
    unplaced: list[str] = []
    for problem in problems:
        field = places.get(problem.field, problem.field)
        if field.startswith("settings."):
            field = "target"
        field = field.removeprefix("scope.")
        if field in shown:
            placed.setdefault(field, f"{problem.detail[:1].upper()}{problem.detail[1:]}.")
        else:
            unplaced.append(f"{problem.field} {problem.detail}".strip())
    return placed, unplaced


SEVERITY_WORDS = {name: f"{name} and worse" if name != SEVERITIES[-1] else f"{name} only" for name in SEVERITIES}
SEVERITY_WORDS[SEVERITIES[0]] = "every alert"
