"""How each kind of channel is told: a message in, what became of it out. Nothing here reads or writes the database."""

from alerts.senders import email, pagerduty, slack, teams, webhook
from alerts.senders.outgoing import SIMULATED, Outcome, Outgoing, Sender

STAYS_HERE = Outcome("delivered", None, "simulated: nothing leaves the demo")


def _keep_demo_home(send: Sender) -> Sender:
    """What goes to a channel of the demo's own is not sent; channels that somebody adds to a demo are real ones."""
    return lambda outgoing: STAYS_HERE if outgoing.settings.get(SIMULATED) else send(outgoing)


SENDERS: dict[str, Sender] = {
    "email": _keep_demo_home(email.send),
    "slack": _keep_demo_home(slack.send),
    "teams": _keep_demo_home(teams.send),
    "pagerduty": _keep_demo_home(pagerduty.send),
    "webhook": _keep_demo_home(webhook.send),
}

__all__ = ["SENDERS", "SIMULATED", "STAYS_HERE", "Outcome", "Outgoing", "Sender"]
