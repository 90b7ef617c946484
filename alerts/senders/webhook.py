"""Generic webhooks by the Standard Webhooks specification (standardwebhooks.com): signed, and of a stable id."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from alerts.core.messages import Message, write_message
from alerts.senders.outgoing import Outcome, Outgoing, make_link, post_body

SECRET_PREFIX = "whsec_"


def send(outgoing: Outgoing) -> Outcome:
    body = json.dumps(make_document(outgoing.message), ensure_ascii=False).encode()
    message_id = f"msg_{outgoing.delivery_id}"
    timestamp = str(int(outgoing.sent_at.timestamp()))
    secrets = list_live_secrets(outgoing.settings["secrets"], now=outgoing.sent_at)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }
    return post_body(outgoing.settings["url"], body, headers=headers)


def make_document(message: Message) -> dict[str, Any]:
    """The payload: `type`, `timestamp`, `data`, as the specification recommends."""
    data = write_message(message)
    for one in (data, *data["items"]):
        one.pop("kind")
        one["link"] = make_link(message)
    return {"type": f"alert.{message.kind}", "timestamp": message.happened_at.isoformat(), "data": data}


def list_live_secrets(secrets: Iterable[Mapping[str, str | None]], *, now: datetime) -> list[str]:
    """The newest first; an older one signs too until its time is over."""
    return [str(one["secret"]) for one in secrets if not one["until"] or datetime.fromisoformat(one["until"]) > now]


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over id, timestamp and body, with the secret's bytes."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
