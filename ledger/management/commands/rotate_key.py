"""`rotate_key seal`, `rotate_key receipt`: a new signing key, announced by the old one and itself."""

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ledger.receipts import RECEIPT_KEY_PLACE
from ledger.sealing import SEALER
from ledger.sealing.keys import RECEIPT, SEAL, SEAL_KEY_PLACE
from ledger.sealing.memory import open_memory
from ledger.sealing.rotation import replace_key
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant

ACTOR = "command rotate_key"
PLACES = {SEAL: (SEAL_KEY_PLACE, SEALER), RECEIPT: (RECEIPT_KEY_PLACE, "default")}
THEN = {
    SEAL: "The sealer signs with it from its next round.",
    RECEIPT: "Web and worker sign with it when they are started again; what they sign until then stays good.",
}


class Command(BaseCommand):
    help = (
        "Make a new key in place of the one that signs checkpoints (seal) or receipts, announced by both. Prints its "
        "id alone on the last line; where the key comes from the environment, the new one instead, once."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("purpose", choices=sorted(PLACES))

    def handle(self, *, purpose: str, **options: object) -> None:
        place, using = PLACES[purpose]
        operator = get_tenant(OPERATOR_SLUG)
        with open_memory() as memory:
            if not memory.installation:
                raise CommandError("nothing is sealed yet: a first key needs no other before it")
            pair, secret = replace_key(
                purpose=purpose,
                place=place,
                installation=memory.installation,
                operator_id=operator.id,
                actor=ACTOR,
                now=timezone.now(),
                using=using,
            )
        if secret:
            self.stdout.write(f"Announced {pair.key_id}. Set {place.variable} to this, and start again what has it:")
        else:
            self.stdout.write(f"Announced, and put into {place.path}. {THEN[purpose]}")
        self.stdout.write(secret or pair.key_id)
