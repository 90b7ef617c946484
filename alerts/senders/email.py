"""E-mail, text and HTML, through the relay of the settings EMAIL_*."""

import smtplib
import time
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from alerts.addresses import RequestFailed
from alerts.core.messages import Message
from alerts.senders.outgoing import DETAIL_LENGTH_MAX, Outcome, Outgoing, make_link
from alerts.senders.relay import Relay

# Longer than a webhook's: who leaves while the relay still scans a mail sends it again.
WHOLE_SECONDS = 30.0


def send(outgoing: Outgoing) -> Outcome:
    """One message to all recipients; what was sent before has the same Message-ID, and shows once in most programs."""
    return send_mail(make_mail(outgoing))


def send_mail(mail: EmailMultiAlternatives) -> Outcome:
    """Hand a mail to the relay, within WHOLE_SECONDS."""
    if not settings.EMAIL_HOST:
        return Outcome("failed", None, "there is no mail relay: set EMAIL_HOST")
    mail.connection = Relay(deadline=time.monotonic() + WHOLE_SECONDS)
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        status, said = next(iter(error.recipients.values()))
        return Outcome("failed", status, _say(said))
    except smtplib.SMTPResponseException as error:
        return Outcome("failed", error.smtp_code, _say(error.smtp_error))
    except (smtplib.SMTPException, RequestFailed, OSError) as error:
        return Outcome("failed", None, _say(str(error) or type(error).__name__))
    return Outcome("delivered", 250, "")


def make_mail(outgoing: Outgoing) -> EmailMultiAlternatives:
    message = outgoing.message
    told = {"message": message, "items": [(item, make_link(item)) for item in message.items]}
    told["link"] = make_link(message)
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    mail = EmailMultiAlternatives(
        subject=" ".join(message.subject.split()),
        body=render_to_string("mail/alert.txt", told),
        to=list(outgoing.settings["to"]),
        headers={"Message-ID": f"<{outgoing.delivery_id}@{host}>", **_thread(message, host)},
    )
    mail.attach_alternative(render_to_string("mail/alert.html", told), "text/html")
    return mail


def _thread(message: Message, host: str) -> dict[str, str]:
    """All messages about one alert stand together, and no holiday notice answers them."""
    automatic = {"Auto-Submitted": "auto-generated"}
    if message.alert_id is None:
        return automatic
    return automatic | {"References": f"<alert-{message.tenant}-{message.alert_id}@{host}>"}


def _say(said: str | bytes) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:DETAIL_LENGTH_MAX]
