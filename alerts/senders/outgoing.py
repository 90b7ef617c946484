"""What a sender is given, and what it says of an attempt."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings

from alerts.addresses import AddressRefused, Answer, RequestFailed, post
from alerts.core.messages import Message

DETAIL_LENGTH_MAX = 300
GONE = 410
SIMULATED = "simulated"  # in the settings of a demo's channel, where nobody but the seeding can write it


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One delivery. settings: the channel's, decrypted."""

    delivery_id: UUID
    message: Message
    settings: Mapping[str, Any] = field(repr=False)
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt: delivered; failed, to be tried again; refused, which trying again cannot mend.

    status: of HTTP or SMTP, None without an answer. retry_after: what the receiver asked for.
    """

    outcome: Literal["delivered", "failed", "refused"]
    status: int | None
    detail: str
    retry_after: timedelta | None = None


Sender = Callable[[Outgoing], Outcome]


def make_link(message: Message) -> str:
    """The page of the alert, of the inbox where the message is about none or many."""
    place = f"/alerts/{message.alert_id}" if message.alert_id is not None else "/alerts"
    return f"{settings.PUBLIC_URL}{place}?{urlencode({'tenant': message.tenant})}"


def post_json(url: str, document: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Outcome:
    return post_body(url, json.dumps(document).encode(), headers=headers)


def post_body(url: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> Outcome:
    """Send to an address that a tenant named, and judge the answer."""
    try:
        answer = post(url, body=body, headers={"Content-Type": "application/json", **(headers or {})})
    except AddressRefused as error:
        return Outcome("refused", None, str(error))
    except RequestFailed as error:
        return Outcome("failed", None, str(error))
    return judge_answer(answer)


def judge_answer(answer: Answer) -> Outcome:
    """2xx is delivered. A redirect and 410 Gone are final: the one is not followed, the other says not to come back."""
    said = " ".join(answer.text.split())[:DETAIL_LENGTH_MAX]
    if 200 <= answer.status < 300:
        return Outcome("delivered", answer.status, "")
    if 300 <= answer.status < 400:
        return Outcome("refused", answer.status, "redirects are not followed: give the channel the address itself")
    if answer.status == GONE:
        return Outcome("refused", answer.status, said or "gone")
    return Outcome("failed", answer.status, said, _read_retry_after(answer.headers.get("retry-after", "")))


def _read_retry_after(text: str) -> timedelta | None:
    """In seconds, as receivers of messages send it; a date is left alone."""
    return timedelta(seconds=int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else None
