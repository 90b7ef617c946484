"""How each kind of channel is told: a message in, what became of it out. Nothing here reads or writes the database."""

from alerts.senders import email, pagerduty, slack, teams, webhook
from alerts.senders.outgoing import Outcome, Outgoing, Sender

SENDERS: dict[str, Sender] = {
    "email": email.send,
    "slack": slack.send,
    "teams": teams.send,
    "pagerduty": pagerduty.send,
    "webhook": webhook.send,
}

__all__ = ["SENDERS", "Outcome", "Outgoing", "Sender"]
