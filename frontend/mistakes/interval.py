"""How sure a share is that was counted."""

from __future__ import annotations

import math

Z = 1.959964
"""Of the normal distribution, 95 % lie within so many standard deviations."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share, as Wilson (1927) gives it; that of the server's accuracies too.

    `trials` must be 1 or more.
    """
    share = successes / trials
    middle = share + Z**2 / (2 * trials)
    spread = Z * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    below = 1 + Z**2 / trials
    return max(0.0, (middle - spread) / below), min(1.0, (middle + spread) / below)
