"""Counts in logarithmic buckets: mergeable by addition, and any percentile is right within 1 %.

The scheme is DDSketch's (Masson, Rim, Lee, VLDB 2019): bucket i holds the values above GAMMA^(i-1) and up to GAMMA^i.
The rollups fill it in SQL, `billing.rollups.tables.bucket_of`, by the same formula on the same doubles.
"""

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

GAMMA = 1.01 / 0.99
ZERO_BUCKET = -32768  # the least that a SMALLINT holds: a zero has no logarithm, and sorts below every value
BUCKETS_MAX = 65_536  # as many as a SMALLINT tells apart


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


def find_percentiles(
    owners: NDArray[np.int64],
    buckets: NDArray[np.int64],
    calls: NDArray[np.int64],
    *,
    count: int,
    percents: Sequence[int],
) -> list[dict[int, Decimal]]:
    """Each owner's percentiles by percent, by nearest rank, and in the end those of all calls; empty without calls.

    owners, buckets, calls: what is counted, in step; an owner is a number below `count`, and a bucket may come often.
    """
    is_used = np.zeros(BUCKETS_MAX, dtype=bool)
    is_used[buckets - ZERO_BUCKET] = True
    used = np.flatnonzero(is_used)
    columns = np.cumsum(is_used) - 1
    counted = np.zeros((count + 1, max(len(used), 1)), dtype=np.int64)
    np.add.at(counted, (owners, columns[buckets - ZERO_BUCKET]), calls)
    counted[count] = counted[:count].sum(axis=0)
    seen = counted.cumsum(axis=1)
    found: list[dict[int, Decimal]] = [{} for _ in counted]
    for percent in percents:
        firsts = np.argmax(seen * 100 >= seen[:, -1:] * percent, axis=1)
        for owner in np.flatnonzero(seen[:, -1] > 0):
            found[owner][percent] = estimate_value(int(used[firsts[owner]]) + ZERO_BUCKET)
    return found
