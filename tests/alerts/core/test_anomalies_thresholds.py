"""Thresholds as a tenant sets them: any of them, the others by default."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from alerts.core.anomalies import Thresholds


def test_a_tenant_sets_what_it_wants_and_keeps_the_other_defaults():
    thresholds = msgspec.json.decode(
        b'{"hourly_spike": {"sensitivity": 2}, "heavy_request": {"times": "7.5"}, "silence": {"pause_min": "PT3H"}}',
        type=Thresholds,
    )
    assert (thresholds.hourly_spike.sensitivity, thresholds.hourly_spike.deviations) == (2, 2.5)
    assert (thresholds.heavy_request.times, thresholds.heavy_request.calls_min) == (Decimal("7.5"), 20)
    assert thresholds.silence.pause_min == timedelta(hours=3)
    assert thresholds.new == Thresholds().new


def test_what_is_set_is_written_and_read_again_without_loss():
    assert msgspec.convert(msgspec.to_builtins(Thresholds()), Thresholds) == Thresholds()


@pytest.mark.parametrize(("text", "named"), [
    ('{"hourly_spike": {"sensitivity": 0}}', "hourly_spike.sensitivity is 0"),
    ('{"hourly_spike": {"mads": -1}}', "hourly_spike.mads is -1"),
    ('{"truncation": {"share_max": "-0.1"}}', "truncation.share_max is -0.1"),
    ('{"silence": {"pause_min": "-PT1H"}}', "silence.pause_min is -1 day, 23:00:00"),
    ('{"new": {"cost_min": "ten"}}', "Expected `int`"),
])  # fmt: skip
def test_a_threshold_that_makes_no_sense_is_refused_by_name(text, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        msgspec.json.decode(text, type=Thresholds)


def test_no_threshold_is_not_a_number():
    with pytest.raises(ValueError, match="hourly_spike.margin is nan"):
        Thresholds(hourly_spike=type(Thresholds().hourly_spike)(margin=float("nan")))
