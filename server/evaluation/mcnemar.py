"""Whether two readers of the same digits differ by more than chance."""

from __future__ import annotations

import math


def exact_p_value(fixed: int, broken: int) -> float:
    """McNemar's exact two-sided p-value, in [0, 1], from the digits that only one of two readers gets right.

    Were the two equally good, each of these digits would fall to either of them like a coin (McNemar 1947).
    The p-value is how often `fixed + broken` coins fall at least as unevenly; 1 without any. It is exact for
    any counts, where the chi-square approximation is poor below about 25 (Fagerland, Lydersen, Laake 2013).
    """
    coins = fixed + broken
    # In logarithms: from 1,075 coins on 2 ** -coins is 0.
    logs = [_log_choose(coins, heads) - coins * math.log(2) for heads in range(min(fixed, broken) + 1)]
    # When they are even, the middle belongs to both tails.
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
