"""From USD to the currency that is billed: which rate holds, what it makes of an amount, and what can be paid. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from chargeback.core.shares import PICO, divide_half_even, scale_exactly

LEDGER_CURRENCY = "USD"
RATE_DECIMALS = 10
RATE_SCALE = 10**RATE_DECIMALS
# Currencies of ISO 4217 whose smallest coin is no hundredth; the exponents are those of its list one.
MINOR_DIGITS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
# What is billed in: ISO 4217, without funds, metals and test codes.
ISO_4217 = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
    SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES
    VND VUV WST XAF XCD XOF XPF YER ZAR ZMW
"""
CURRENCIES = frozenset(ISO_4217.split())


@dataclass(frozen=True, slots=True)
class FxRate:
    """What one USD is worth on a day. rate: of `currency`, at most ten decimals; source: who said so."""

    currency: str
    day: date
    rate: Decimal
    source: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What USD are billed in. day: of the rate, None where nothing is exchanged."""

    currency: str = LEDGER_CURRENCY
    rate: Decimal = Decimal(1)
    day: date | None = None

    def convert(self, pico: int) -> int:
        """An amount in pico-USD in whole units of 10⁻¹² of the currency, rounded half-even."""
        return divide_half_even(pico * scale_exactly(self.rate, RATE_SCALE), RATE_SCALE)


def find_exchange(rates: Iterable[FxRate], *, currency: str, last_day: date) -> Exchange | None:
    """By the newest rate of a day up to `last_day`, of one day the last in `rates`; None where there is none."""
    if currency == LEDGER_CURRENCY:
        return Exchange()
    found: FxRate | None = None
    for rate in rates:
        if rate.currency == currency and rate.day <= last_day and (found is None or rate.day >= found.day):
            found = rate
    return Exchange(currency, found.rate, found.day) if found else None


def round_to_payable(pico: int, currency: str) -> int:
    """What can be paid of an amount: rounded once, half-even, to the currency's smallest coin; in units of 10⁻¹²."""
    coin: int = PICO // 10 ** MINOR_DIGITS.get(currency, 2)
    return divide_half_even(pico, coin) * coin
