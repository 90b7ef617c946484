"""Where settled days are sent."""

from datetime import date

from chargeback.core.export_targets import read_terms
from chargeback.exports.runs import queue_days
from chargeback.exports.standing import run_again
from chargeback.exports.targets import add_target, change_target, remove_target
from tests.architecture.deeds.scenario import NOW, scenario

DAY = date(2026, 11, 1)
LAKE = {
    "name": "lake", "kind": "s3", "place": "lake/cost", "first_day": "2026-11-01", "access_key_id": "AKIA",
    "secret_access_key": "secret",
}  # fmt: skip


def read(document):
    return read_terms(document, kinds=("s3",), schemes=("https",), today=NOW.date())


def make_target(world):
    return add_target(read(LAKE), **world.own).id


@scenario(add_target, "export_target.added")
def _(world):
    return lambda: add_target(read(LAKE), **world.own)


@scenario(change_target, "export_target.changed")
def _(world):
    target_id = make_target(world)
    return lambda: change_target(read(LAKE | {"place": "lake/other"}), target_id=target_id, **world.own)


@scenario(remove_target, "export_target.removed")
def _(world):
    target_id = make_target(world)
    return lambda: remove_target(target_id=target_id, **world.own)


@scenario(run_again, "export_target.day_again")
def _(world):
    target_id = make_target(world)
    queue_days(tenant_id=world.id, now=NOW)
    return lambda: run_again(target_id=target_id, day=DAY, **world.own)
