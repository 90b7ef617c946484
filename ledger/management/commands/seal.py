"""`seal`: one round by hand; `--check` compares all of it, `--accept` goes on from what was refused."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ledger.sealing import SEALER
from ledger.sealing.checks import check_tree, list_tenants
from ledger.sealing.decisions import NotAcceptable, accept_key, accept_log, accept_memory, accept_tree, queue_missed
from ledger.sealing.keys import KeyRefused, KeyRing, MemoryLost, settle_keys
from ledger.sealing.memory import Memory, open_memory
from ledger.sealing.rounds import seal_round
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant

ACTOR = "command seal"


class Command(BaseCommand):
    help = (
        "Seal what waits, and publish the log's head. With --check compare every seal again; with --accept go on "
        "from what the database holds, after a backup was brought back or a key was lost."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="exit code 1 when anything is not as it was sealed")
        what.add_argument("--accept", metavar="WHAT", help="a tenant's slug, `log`, `memory`, or a key's id")
        what.add_argument("--queue", metavar="TENANT", help="batches that were taken off the sealer's list wait again")
        parser.add_argument("--reason", default="", help="why; kept as an act of the ledger")

    def handle(self, *, check: bool, accept: str | None, queue: str | None, reason: str, **options: object) -> None:
        if SEALER not in settings.DATABASES:
            raise CommandError("DATABASE_SEALER_URL is not set: run this where the sealer runs")
        if (accept or queue) and not reason.strip():
            raise CommandError("say why with --reason: it is kept as an act of the ledger")
        try:
            if check:
                self._check()
            elif accept:
                self._accept(accept, reason=reason.strip())
            elif queue:
                self._queue(queue, reason=reason.strip())
            else:
                self._seal()
        except (NotAcceptable, MemoryLost, KeyRefused) as error:
            raise CommandError(str(error)) from error

    def _seal(self) -> None:
        batches = refused = 0
        while True:
            done = seal_round(now=timezone.now(), at_once=True)
            batches, refused = batches + done.batches, done.refused
            if not done.has_more:
                break
        self.stdout.write(f"{batches} batches sealed" + (f", {refused} refused: see the log" if refused else ""))

    def _check(self) -> None:
        faults = 0
        with open_memory() as memory:
            ring, _ = settle_keys(memory, now=timezone.now())
            for tenant_id in list_tenants():
                found = check_tree(tenant_id, memory=memory, ring=ring, now=timezone.now())
                before = f", {found.before_seals} from before there were seals" if found.before_seals else ""
                self.stdout.write(
                    f"tenant {tenant_id}: {found.batches} batches, {found.checkpoints} checkpoints{before}"
                )
                for fault in found.faults:
                    self.stdout.write(f"tenant {tenant_id}, {fault.subject}: {fault.detail}")
                faults += len(found.faults)
        self.stdout.write(f"{faults} faults")
        if faults:
            raise SystemExit(1)

    def _accept(self, what: str, *, reason: str) -> None:
        now, operator = timezone.now(), get_tenant(OPERATOR_SLUG)
        how = {"operator_id": operator.id, "reason": reason, "actor": ACTOR, "now": now}
        with open_memory() as memory:
            if what == "memory":
                said = f"installation {accept_memory(memory=memory, **how)}"
            elif what == "log":
                said = f"the log of {accept_log(memory=memory, **how).size} leaves"
            elif tenant := get_tenant(what):
                ring = _settle(memory)
                tree = accept_tree(tenant.id, memory=memory, ring=ring, reason=reason, actor=ACTOR, now=now)
                said = f"the tree of {tenant.slug} with {tree.size} batches"
            else:
                accept_key(what, memory=memory, **how)
                said = f"key {what}"
        self.stdout.write(f"accepted: {said}")

    def _queue(self, slug: str, *, reason: str) -> None:
        tenant = get_tenant(slug)
        if tenant is None:
            raise CommandError(f"there is no tenant {slug!r}")
        with open_memory() as memory:
            ring = _settle(memory)
        missed = queue_missed(tenant.id, ring=ring, reason=reason, actor=ACTOR, now=timezone.now())
        self.stdout.write(f"{len(missed)} batches wait for their seal again")


def _settle(memory: Memory) -> KeyRing:
    ring, _ = settle_keys(memory, now=timezone.now())
    return ring
