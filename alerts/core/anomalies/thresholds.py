"""From where on each kind of anomaly is one: the defaults, each of which a tenant may set. Pure."""

from dataclasses import dataclass, field, fields
from datetime import timedelta
from decimal import Decimal

from ledger.core.entries import PICO


@dataclass(frozen=True, slots=True)
class HourlySpike:
    """An hour is a spike above all four: `deviations` standard deviations over the mean; `mads` over the median of the
    same hour (± 1) of the days before, a MAD counting at least `mad_min` of the mean; `impact_min` of an average hour
    over that median; and `margin` above the height that was reached on `familiar_days` of the days before.

    sensitivity: 2 halves deviations, mads and margin, ½ doubles them. familiar_days 0: no height is familiar. cost_min,
    here and below: of how much impact, in pico-USD, somebody wants to be told; whoever tells heeds it.
    """

    sensitivity: float = 1.0
    deviations: float = 2.5
    mads: float = 3.5
    mad_min: float = 0.1
    impact_min: float = 0.5
    margin: float = 0.1
    familiar_days: int = 2
    hours_min: int = 48
    cost_min: int = 1 * PICO


@dataclass(frozen=True, slots=True)
class DailySpike:
    """`mads` of the daily changes above the day before, a MAD counting at least `mad_min` (of a logarithm), and
    `impact_min` of an average day above it. At watch level: `rise_max` times the week's mean."""

    mads: float = 3.5
    mad_min: float = 0.1
    impact_min: float = 0.5
    days_min: int = 14
    rise_max: Decimal = Decimal("1.5")
    cost_min: int = 1 * PICO


@dataclass(frozen=True, slots=True)
class SustainedGrowth:
    """More than `growth_max` from week to week, so many weeks running."""

    growth_max: Decimal = Decimal("0.15")
    weeks: int = 3
    cost_min: int = 1 * PICO


@dataclass(frozen=True, slots=True)
class HeavyRequest:
    """So many times the usual tokens of its feature, once that is known from `calls_min` calls."""

    times: Decimal = Decimal(10)
    calls_min: int = 20


@dataclass(frozen=True, slots=True)
class RateSpike:
    """So many times the usual calls of a minute, and `calls_min` at least: three calls beside one are no spike."""

    times: Decimal = Decimal(3)
    calls_min: int = 30
    minutes_min: int = 24 * 60


@dataclass(frozen=True, slots=True)
class HeavyUser:
    """More than this share of the daily budget within an hour."""

    budget_share_max: Decimal = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class New:
    """More than this cost, in pico-USD, once there are days enough by which to know what is not new."""

    cost_min: int = 10 * PICO
    days_min: int = 7


@dataclass(frozen=True, slots=True)
class PriceDrift:
    """A million tokens cost this much more; both periods must have `tokens_min`."""

    change_max: Decimal = Decimal("0.1")
    tokens_min: int = 100_000


@dataclass(frozen=True, slots=True)
class CacheCollapse:
    """The cache's share of input fell to this part of what it was, where it was at least `share_min`."""

    remaining_max: Decimal = Decimal("0.5")
    share_min: Decimal = Decimal("0.1")
    tokens_min: int = 100_000


@dataclass(frozen=True, slots=True)
class Truncation:
    """More than this share of calls ended for want of output tokens."""

    share_max: Decimal = Decimal("0.05")
    calls_min: int = 100


@dataclass(frozen=True, slots=True)
class Unpriced:
    """So many calls without a price."""

    calls_min: int = 1


@dataclass(frozen=True, slots=True)
class Silence:
    """So many times its longest pause, and `pause_min` at least. A source with pauses above `pause_usual_max`, or known
    for less than `days_min`, is none that always sends."""

    times: Decimal = Decimal(2)
    pause_min: timedelta = timedelta(hours=1)
    pause_usual_max: timedelta = timedelta(days=1)
    days_min: int = 7


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How far a bill may be from the ledger, in pico-USD and as a share of the ledger, whichever is more; a rollup may
    not differ at all. How long an entry may wait for its seal."""

    bill_difference_max: int = 1 * PICO
    bill_share_max: Decimal = Decimal("0.01")
    unsealed_max: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Those of one tenant, as `msgspec.convert` reads them from what it has set; what it has not has its default.

    The daily budget has none: it is one. Raises ValueError that names a number below 0, and a sensitivity of 0.
    """

    hourly_spike: HourlySpike = field(default_factory=HourlySpike)
    daily_spike: DailySpike = field(default_factory=DailySpike)
    sustained_growth: SustainedGrowth = field(default_factory=SustainedGrowth)
    heavy_request: HeavyRequest = field(default_factory=HeavyRequest)
    rate_spike: RateSpike = field(default_factory=RateSpike)
    heavy_user: HeavyUser = field(default_factory=HeavyUser)
    new: New = field(default_factory=New)
    unit_price_drift: PriceDrift = field(default_factory=PriceDrift)
    cache_collapse: CacheCollapse = field(default_factory=CacheCollapse)
    truncation: Truncation = field(default_factory=Truncation)
    unpriced: Unpriced = field(default_factory=Unpriced)
    silence: Silence = field(default_factory=Silence)
    reconciliation: Reconciliation = field(default_factory=Reconciliation)

    def __post_init__(self) -> None:
        for kind in fields(self):
            one = getattr(self, kind.name)
            for number in fields(one):
                value = getattr(one, number.name)
                nothing = type(value)(0)
                if not value >= nothing or (number.name == "sensitivity" and value == nothing):
                    raise ValueError(f"{kind.name}.{number.name} is {value}; it must be above 0")


DEFAULTS = Thresholds()
