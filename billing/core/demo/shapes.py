"""Figures of public traces, by which the demo's calls are drawn: constants, and no row of any trace.

ServeGen (Alibaba, Apache-2.0): requests of ten days by client, and tokens by client and quarter of a day. Azure 2023
(CC BY 4.0): 45 minutes of two services. Claude Code: one team's requests (Apache-2.0). Exgentic: a coding agent's spans
(CDLA-Permissive-2.0). Binder: sessions a day of a public service over half a year (MIT). A test derives them again.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from random import Random

# ServeGen m-small: requests of each hour of the day, the mean hour being 1.
HOURS = (
    0.82, 0.67, 0.70, 0.64, 0.63, 0.68, 0.68, 0.83, 0.96, 1.12, 1.14, 1.12,
    1.10, 1.09, 1.08, 1.03, 1.04, 1.11, 1.07, 1.24, 1.47, 1.39, 1.29, 1.07,
)  # fmt: skip
# ServeGen deepseek-r1, one day: people who think at night.
NIGHT_OWL_HOURS = (
    1.21, 1.39, 2.03, 1.79, 1.06, 0.91, 0.75, 0.58, 0.60, 0.66, 0.81, 0.83,
    0.45, 0.54, 0.68, 0.70, 0.88, 0.55, 0.75, 0.59, 1.24, 1.62, 2.19, 1.18,
)  # fmt: skip
# Binder: sessions from Monday to Sunday, the mean weekday being 1. ServeGen's days have no date.
WEEKDAYS = (1.15, 1.22, 1.20, 1.24, 1.01, 0.59, 0.60)
# ServeGen m-large: the least and the most of its ten days, the mean day being 1.
DAY_LEAST, DAY_MOST = 0.82, 1.31
# ServeGen m-large: the busiest of 150 clients sends 13.6 %, which is 150^-0.4: the r busiest of n send (r / n)^0.4.
BUSIEST_OF_150, RANK_EXPONENT = 0.136, 0.4
# ServeGen m-small: the busiest client's share of all requests.
HEAVY_SHARE = 0.306
# Exgentic: calls that failed.
AGENT_ERROR_SHARE = 0.059

# Made up: one job at night, and an office that is closed at the week-end.
BATCH_HOURS = tuple(8.0 if 1 <= hour < 4 else 0.0 for hour in range(24))
OFFICE_HOURS = tuple(2.4 if 8 <= hour < 18 else 0.0 for hour in range(24))
OFFICE_WEEK = (1.3, 1.3, 1.3, 1.3, 1.2, 0.3, 0.3)
EVERY_DAY = (1.0,) * 7


@dataclass(frozen=True)
class Spread:
    """A quantity by its median and 95th percentile: log-normal between and beyond, never above `most`."""

    p50: int
    p95: int
    most: int

    @cached_property
    def sigma(self) -> float:
        return math.log(self.p95 / self.p50) / 1.645  # the 95th percentile of the normal distribution

    def draw(self, rng: Random) -> int:
        return max(1, min(self.most, round(self.p50 * math.exp(self.sigma * rng.gauss(0, 1)))))


# Tokens of a request, in and out.
CHAT = Spread(1015, 4085, 14_050), Spread(115, 448, 1_000)  # Azure, conversation
SNIPPET = Spread(1463, 7154, 7_500), Spread(13, 88, 400)  # Azure, code
SUMMARY = Spread(705, 1412, 5_000), Spread(57, 150, 500)  # ServeGen m-large, of its clients' quarters of a day
REPORT = Spread(2749, 10747, 30_000), Spread(372, 1124, 4_000)  # ServeGen m-large, its client 2
LABEL = Spread(255, 576, 2_000), Spread(26, 62, 200)  # ServeGen m-small
REASONING = Spread(341, 868, 4_000), Spread(586, 1442, 8_000)  # ServeGen deepseek-r1
CODE = Spread(223_349, 751_565, 900_000), Spread(226, 1967, 16_000)  # Claude Code
AGENT = Spread(28_376, 57_016, 67_657), Spread(100, 776, 3_725)  # Exgentic
AGENT_CALL_MS = Spread(9_240, 43_246, 295_000)  # Exgentic
