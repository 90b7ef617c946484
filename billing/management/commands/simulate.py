"""`simulate --rate 50/s`: posts live calls of the demo; the totals as JSON are the last line."""

import json
import os
import re
from argparse import ArgumentTypeError
from dataclasses import asdict

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.simulation import RATE_MAX, Simulation, SimulationRefused

REPORT_SECONDS = 5
URL_DEFAULT = "http://127.0.0.1:{port}"
SECONDS = {"s": 1, "m": 60, "h": 3600}


class Command(BaseCommand):
    help = "Post live, simulated calls of a demo tenant through the API, until Ctrl-C or for a while."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rate", type=_parse_rate, default="10/s", metavar="N/s", help="events a second (10/s)")
        parser.add_argument("--for", dest="seconds", type=_parse_duration, metavar="TIME", help="60s, 5m or 1h")
        parser.add_argument("--url", default=os.environ.get("TOKENLEDGER_URL"), help="or TOKENLEDGER_URL")
        parser.add_argument("--key", default=os.environ.get("TOKENLEDGER_KEY"), help="or TOKENLEDGER_KEY")
        parser.add_argument("--tenant", default="", metavar="SLUG", help="whom an operator's key charges")
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes calls alike")

    def handle(
        self, *, rate: float, seconds: float | None, url: str, key: str, tenant: str, seed: int, **options: object
    ) -> None:
        if not key:
            raise CommandError("a key is missing: --key, or TOKENLEDGER_KEY; seed_demo prints one for each tenant")
        url = url or URL_DEFAULT.format(port=os.environ.get("PORT") or 8000)
        simulation = None
        try:
            simulation = Simulation(url=url, key=key, tenant=tenant, seed=seed, clock=timezone.now)
            self._report(f"posting {rate:g} simulated calls a second of {simulation.tenant}; Ctrl-C ends it")
            simulation.post_for(rate=rate, seconds=seconds, report=self._report, every=REPORT_SECONDS)
        except SimulationRefused as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("")
        finally:
            if simulation:
                self._print_totals(simulation)

    def _report(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _print_totals(self, simulation: Simulation) -> None:
        totals = simulation.totals
        self.stdout.write(f"in all: {totals.describe()}")
        if totals.unanswered:
            self.stdout.write(f"{totals.unanswered:,} of them were not answered: they may be booked or not")
        facts = {name: count for name, count in asdict(totals).items() if name != "latencies_ms"}
        self.stdout.write(json.dumps(facts | {"tenant": simulation.tenant, "run": simulation.run}))


def _parse_rate(text: str) -> float:
    found = re.fullmatch(r"(\d{1,5}(?:\.\d{1,3})?)(?:/s)?", text)
    if not found or not 0 < (rate := float(found[1])) <= RATE_MAX:
        raise ArgumentTypeError(f"{text!r} is no rate: from 0.001/s to {RATE_MAX}/s, such as 50/s")
    return rate


def _parse_duration(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([smh]?)", text)
    if not found or found[1].strip("0") == "":
        raise ArgumentTypeError(f"{text!r} is no time: 60s, 5m or 1h")
    return float(int(found[1]) * SECONDS[found[2] or "s"])
