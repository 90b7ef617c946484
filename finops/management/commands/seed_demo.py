"""`seed_demo`: a demo to look at. Prints its logins and keys once, and alone on the last line the same as JSON."""

import gc
import json
from dataclasses import asdict
from datetime import datetime

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from alerts.demo import seed_forecasts
from alerts.demo_alerts import seed_alerts
from alerts.demo_budgets import seed_budgets
from alerts.forecasts import make_forecasts
from billing.core.demo import TENANTS
from billing.demo import DAYS, NOW_AGO_MAX, Demo, DemoRefused, seed_demo
from billing.demo_cost_centers import seed_cost_centers
from billing.management.moments import parse_moment
from chargeback.demo_bills import seed_bills
from tenants.selectors import get_tenant


class Command(BaseCommand):
    help = "Make five demo tenants with people, keys and simulated calls up to now."
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=DAYS)
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same calls")
        parser.add_argument(
            "--now", type=parse_moment, default=None, metavar="TIME", help="the last moment, with a zone"
        )

    def handle(self, *, days: int, seed: int, now: datetime | None, **options: object) -> None:
        clock = timezone.now()
        if now and now < clock - NOW_AGO_MAX:
            raise CommandError(f"--now lies more than {NOW_AGO_MAX.days} days back: the ledger books nothing that late")
        thresholds = gc.get_threshold()
        gc.set_threshold(20_000, 10, 10)  # no call is part of a circle: looking for one took a fifth of the time
        try:
            demo = seed_demo(now=now or clock, days=days, seed=seed, say=self.stdout.write)
            self._look_back(days=days, now=now or clock)
        except DemoRefused as error:
            raise CommandError(str(error)) from error
        finally:
            gc.set_threshold(*thresholds)
        self._print(demo)

    def _look_back(self, *, days: int, now: datetime) -> None:
        self.stdout.write("forecasting past nights")
        for slug in TENANTS:
            seed_forecasts(tenant=get_tenant(slug), days=days, now=now)
            seed_cost_centers(tenant=get_tenant(slug), now=now)
            seed_budgets(tenant=get_tenant(slug), now=now)
            make_forecasts(tenant=get_tenant(slug), now=now)  # tonight's, with what budgets come to
            seed_alerts(tenant=get_tenant(slug), now=now)
            seed_bills(tenant=get_tenant(slug), now=now)

    def _print(self, demo: Demo) -> None:
        self.stdout.write(
            f"\nThe demo holds {demo.events:,} simulated calls, {demo.unpriced:,} of them unpriced, "
            f"and {demo.rejected:,} that could not be booked.\n\n"
        )
        self.stdout.write("Sign in as (passwords are shown this once):")
        for login in demo.logins:
            password = login.password or "(was there before)"
            self.stdout.write(f"  {login.email:<22} {password:<20} {login.role} of {login.tenant}")
        self.stdout.write("API keys (scopes ingest, read; shown this once):")
        for tenant, key in demo.api_keys.items():
            self.stdout.write(f"  {tenant:<11} {key}")
        self.stdout.write("")
        self.stdout.write(json.dumps(asdict(demo)))
