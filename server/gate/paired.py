"""How much two versions differ on the same images, and how sure that is."""

from __future__ import annotations

import math

from server.metrics import Z_95

# Of a stretch no longer than 2, to find an end of the interval: as near as floats allow.
HALVINGS = 50


def paired_interval(better: int, worse: int, images: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two accuracies on the very same `images` ≥ 1.

    `better`: how many the first version reads correctly and the second does not; `worse`: the reverse. The
    difference itself is `(better - worse) / images`.

    Tango's score interval (Tango, "Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design", Statistics in Medicine 17, 1998, p. 891-908): every difference that the
    score test does not reject. It is honest where two good versions differ in a handful of images, also in
    none, and it leaves out 0 exactly when McNemar's test finds the two different at 5 %.
    """
    if not 0 <= better + worse <= images or min(better, worse) < 0 or not images:
        raise ValueError(f"expected better + worse of at most images ≥ 1, got {better} + {worse} of {images}")
    estimate = (better - worse) / images

    def end(limit: float) -> float:
        """Where the test begins to reject, between the estimate, which it never does, and `limit`."""
        kept, rejected = estimate, limit
        for _ in range(HALVINGS):
            middle = (kept + rejected) / 2
            gap = better - worse - images * middle
            if gap * gap <= Z_95 * Z_95 * _variance(better, worse, images, middle):
                kept = middle
            else:
                rejected = middle
        return kept

    return end(-1.0), end(1.0)


def _variance(better: int, worse: int, images: int, difference: float) -> float:
    """The variance of `better - worse`, were the true difference `difference`: Tango's equation 25 gives the
    probability of "worse" that is most likely then.
    """
    a = 2 * images
    b = -better - worse + (a - better + worse) * difference
    c = -worse * difference * (1 - difference)
    probability = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    return max(0.0, images * (2 * probability + difference * (1 - difference)))
