"""Microsoft Teams: an Adaptive Card, posted to the address of a Workflows webhook."""

import re
from typing import Any

from alerts.core.messages import Message
from alerts.senders.outgoing import Outcome, Outgoing, make_link, post_json

SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
ITEMS_MAX = 20
MARKDOWN = re.compile(r"([\\\[\]()*_`#<>~|-])")


def send(outgoing: Outgoing) -> Outcome:
    return post_json(outgoing.settings["url"], make_document(outgoing.message))


def make_document(message: Message) -> dict[str, Any]:
    body: list[dict[str, Any]] = [_make_text(message.subject, size="Large", weight="Bolder")]
    body += [_make_text(text) for text in (message.sentence, message.comment) if text]
    facts = [{"title": figure.label, "value": figure.value} for figure in message.figures]
    facts += [{"title": item.subject, "value": item.sentence or "–"} for item in message.items[:ITEMS_MAX]]
    if facts:
        body.append({"type": "FactSet", "facts": facts})
    where = " · ".join(part for part in (message.tenant_name, message.scope_words) if part)
    body.append(_make_text(f"{where} · {message.happened_at:%d %b %Y %H:%M} UTC", size="Small", isSubtle=True))
    card = {
        "$schema": SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": make_link(message)}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _make_text(text: str, **fields: Any) -> dict[str, Any]:
    """A text block reads Markdown: what a tenant named is escaped."""
    return {"type": "TextBlock", "text": MARKDOWN.sub(r"\\\1", text), "wrap": True, **fields}
