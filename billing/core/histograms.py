"""Counts in logarithmic buckets: mergeable by addition, and any percentile is right within 1 %.

The scheme is DDSketch's (Masson, Rim, Lee, VLDB 2019): bucket i holds the values above GAMMA^(i-1) and up to GAMMA^i.
The rollups fill it in SQL, `billing.rollups.tables.bucket_of`, by the same formula on the same doubles.
"""

import math
from decimal import Decimal

GAMMA = 1.01 / 0.99
ZERO_BUCKET = -32768  # the least that a SMALLINT holds: a zero has no logarithm, and sorts below every value


def find_bucket(value: int | Decimal) -> int:
    """The bucket of a value; of a negative one, as a reversal has it, the bucket of what it reverses."""
    if value == 0:
        return ZERO_BUCKET
    return math.ceil(math.log(value if value > 0 else -value) / math.log(GAMMA))


def estimate_value(bucket: int) -> Decimal:
    """The value that is at most 1 % away from everything in the bucket."""
    if bucket == ZERO_BUCKET:
        return Decimal(0)
    return Decimal(f"{2 * GAMMA**bucket / (GAMMA + 1):.6g}")
