"""PagerDuty, Events API v2: an alert is one incident there, from its opening to its end."""

from typing import Any

from django.conf import settings

from alerts.core.messages import Message
from alerts.senders.outgoing import Outcome, Outgoing, make_link, post_json

ACTIONS = {"opened": "trigger", "grown": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
SEVERITIES = {"info": "info", "warning": "warning", "high": "error", "critical": "critical"}
SUMMARY_LENGTH_MAX = 1_024


def send(outgoing: Outgoing) -> Outcome:
    """A test is opened and ended at once: nobody has to."""
    key, message = outgoing.settings["routing_key"], outgoing.message
    if message.kind != "test":
        return post_json(settings.PAGERDUTY_URL, make_event(message, routing_key=key, action=ACTIONS[message.kind]))
    test = f"tokenledger-test-{outgoing.delivery_id}"
    begun = post_json(settings.PAGERDUTY_URL, make_event(message, routing_key=key, action="trigger", dedup_key=test))
    if begun.outcome != "delivered":
        return begun
    return post_json(settings.PAGERDUTY_URL, make_event(message, routing_key=key, action="resolve", dedup_key=test))


def make_event(message: Message, *, routing_key: str, action: str, dedup_key: str = "") -> dict[str, Any]:
    """dedup_key: of the episode where none is given, so that whatever comes later belongs to the same incident."""
    event = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key or f"tokenledger-{message.tenant}-{message.alert_id}",
    }
    if action != "trigger":
        return event
    return event | {
        "payload": {
            "summary": message.title[:SUMMARY_LENGTH_MAX],
            "source": f"tokenledger {message.tenant}",
            "severity": SEVERITIES[message.severity],
            "timestamp": message.happened_at.isoformat(),
            "component": message.scope_words,
            "class": message.rule,
            "custom_details": {"sentence": message.sentence}
            | {figure.label: figure.value for figure in message.figures},
        },
        "links": [{"href": make_link(message), "text": "Open in Tokenledger"}],
    }
