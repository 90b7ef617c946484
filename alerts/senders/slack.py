"""Slack's incoming webhooks, with Block Kit (docs.slack.dev/reference/block-kit)."""

from typing import Any

from alerts.core.messages import Message
from alerts.senders.outgoing import Outcome, Outgoing, make_link, post_json

HEADER_LENGTH_MAX = 150
TEXT_LENGTH_MAX = 3_000
FIELDS_MAX = 10
ITEMS_MAX = 20


def send(outgoing: Outgoing) -> Outcome:
    return post_json(outgoing.settings["url"], make_document(outgoing.message))


def make_document(message: Message) -> dict[str, Any]:
    """`text` is what a notification shows."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(message.subject, HEADER_LENGTH_MAX)}}
    ]
    said = "\n".join(part for part in (message.sentence, message.comment and f"“{message.comment}”") if part)
    if said:
        blocks.append(_make_section(_escape(said)))
    if message.figures:
        fields = [
            {"type": "mrkdwn", "text": f"*{_escape(figure.label)}*\n{_escape(figure.value)}"}
            for figure in message.figures[:FIELDS_MAX]
        ]
        blocks.append({"type": "section", "fields": fields})
    for item in message.items[:ITEMS_MAX]:
        blocks.append(_make_section(f"<{make_link(item)}|{_escape(item.subject)}>\n{_escape(item.sentence)}"))
    context = " · ".join(part for part in (message.tenant_name, message.scope_words, _say_time(message)) if part)
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _escape(context)}]})
    button = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": make_link(message)}
    blocks.append({"type": "actions", "elements": [button]})
    return {"text": _escape(message.subject), "blocks": blocks}


def _make_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, TEXT_LENGTH_MAX)}}


def _say_time(message: Message) -> str:
    return f"{message.happened_at:%d %b %Y %H:%M} UTC"


def _escape(text: str) -> str:
    """The three characters that Slack's text gives a meaning: so no name becomes a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
