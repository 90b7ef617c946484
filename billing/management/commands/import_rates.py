"""`import_rates genai-prices|FILE [--approve]`: what differs, and last how many rates were published or drafted."""

from argparse import RawDescriptionHelpFormatter
from datetime import datetime
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from billing.aliases import AliasRefused, set_file_aliases
from billing.core.rate_documents import RatesFile, RatesRefused, read_rates_file
from billing.rates import (
    IMPORTED,
    RateChange,
    RateChanges,
    draft_rates,
    publish_rates,
    review_rates,
)

LINES_SHOWN = 15
FILE_BYTES_MAX = 64 * 2**20
MARKS = {"new": "+", "changed": "~", "gone": "-"}


class Command(BaseCommand):
    help = (
        "Import price lists: those of the pinned genai-prices, or a file of our own format (docs/rates.md).\n"
        "Without --approve they become drafts for somebody else to approve. Running it twice changes nothing."
    )
    requires_system_checks = ("role",)

    def create_parser(self, *args: object, **options: object) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", help=f"{IMPORTED}, or a file of rates in JSON")
        parser.add_argument("--approve", action="store_true", help="publish them")
        parser.add_argument("--by", default="import_rates", metavar="NAME", help="who imports, or who approves")
        parser.add_argument("--close-gone", action="store_true", help="end what genai-prices no longer names")
        parser.add_argument("--all", action="store_true", help="show every difference")

    def handle(self, *, source: str, approve: bool, by: str, close_gone: bool, **options: object) -> None:
        origin = IMPORTED if source == IMPORTED else "file"
        now = timezone.now()
        try:
            read = self._read_genai_prices() if origin == IMPORTED else self._read_file(Path(source))
            changes = review_rates(read.rates, origin=origin, now=now)
            self._show(changes, lines=None if options["all"] else LINES_SHOWN, close_gone=close_gone)
            if approve:
                result = self._publish(read, origin=origin, by=by, now=now, close_gone=close_gone)
            else:
                result = self._draft(read, origin=origin, by=by, now=now)
        except RatesRefused as error:
            count = len(error.problems)
            raise CommandError(f"nothing was imported: {count} problem{'s' * (count > 1)}\n{error}") from None
        except AliasRefused as refused:
            raise CommandError(f"nothing was imported: {refused}") from None
        self.stdout.write(str(result))

    def _publish(self, read: RatesFile, *, origin: str, by: str, now: datetime, close_gone: bool) -> int:
        with transaction.atomic():  # the rates and the aliases of one file, or neither
            changes = publish_rates(
                read.rates, origin=origin, created_by=by, approved_by=by, now=now, close_gone=close_gone
            )
            aliases = set_file_aliases(read.aliases, actor=by, now=now) if read.aliases else 0
        if read.aliases:
            self.stdout.write(f"{len(read.aliases):,} aliases, {aliases:,} of them new or changed")
        self.stdout.write(
            f"{changes.begins:,} versions begin, {changes.ends:,} end earlier, {changes.gives_way:,} give way; "
            f"the rate book is at version {changes.version}"
        )
        return changes.begins

    def _draft(self, read: RatesFile, *, origin: str, by: str, now: datetime) -> int:
        drafts = draft_rates(read.rates, origin=origin, created_by=by, now=now)
        if read.aliases:
            self.stdout.write(f"{len(read.aliases):,} aliases wait for --approve")
        self.stdout.write(f"{drafts:,} new drafts; nothing is published without --approve")
        return drafts

    def _read_genai_prices(self) -> RatesFile:
        # The library stays out of every other process: only an import pays for loading it.
        from billing.genai_prices_import import SOURCE, read_genai_prices

        imported = read_genai_prices()
        self.stdout.write(f"{SOURCE['name']}: {imported.models:,} models")
        self._list("rounded to 6 decimals a pricing unit", imported.rounded, 5)
        self._list("taken by an earlier model of the library", imported.unreachable, 5)
        return RatesFile(imported.documents, {})

    def _read_file(self, path: Path) -> RatesFile:
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise CommandError(f"{path} has more than {FILE_BYTES_MAX >> 20} MB: import it in parts")
            return read_rates_file(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise CommandError(f"{path} is not UTF-8 text") from None

    def _show(self, changes: RateChanges, *, lines: int | None, close_gone: bool) -> None:
        self.stdout.write(f"{changes.documents:,} price lists, {changes.unchanged:,} of them unchanged")
        for kind in ("new", "changed", "gone"):
            of_kind = [change for change in changes.changes if change.kind == kind]
            about = kind
            if kind == "gone" and of_kind and not close_gone:
                about = "gone from the import: they stay in force (--close-gone ends them)"
            self._list(about, [_describe(change) for change in of_kind], lines)
        self._list("overruled by a rate of your own", changes.conflicts, lines)
        self._list("different in the past, which an import leaves as it was", changes.history_kept, lines)
        self._list("backdated: what was booked before keeps its price", changes.backdated, lines)

    def _list(self, about: str, lines: tuple[str, ...] | list[str], most: int | None) -> None:
        if not lines:
            return
        self.stdout.write(f"{len(lines):,} {about}")
        for line in lines[:most]:
            self.stdout.write(f"  {line}")
        if most is not None and len(lines) > most:
            self.stdout.write(f"  … and {len(lines) - most:,} more")


def _describe(change: RateChange) -> str:
    """One difference: only the prices that differ, `before → after`."""
    prices = []
    for meter in dict.fromkeys((*change.before, *change.after)):
        before, after = change.before.get(meter, "none"), change.after.get(meter, "none")
        if before != after:
            prices.append(f"{meter} {after}" if not change.before else f"{meter} {before} → {after}")
    since = f"from {change.effective_from:%Y-%m-%d}"
    return f"{MARKS[change.kind]} {change.name} {since}: {', '.join(prices) or 'other terms'}"
