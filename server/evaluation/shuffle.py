"""Random orders that stay the same for ever."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def shuffled(indices: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """`indices` (N,) in the random order of `seed`, any 64-bit number.

    Each index is ranked by a hash of itself and the seed (SplitMix64, Steele et al. 2014), so that the order
    depends on neither NumPy's version nor on which other indices are there: a filter only leaves some out.
    """
    steps = indices.astype(np.uint64) + np.uint64(1)
    state = np.uint64(seed % 2**64) + np.uint64(0x9E3779B97F4A7C15) * steps
    state = _mixed(_mixed(state))  # Once leaves neighbouring seeds with related orders.
    return indices[np.lexsort((indices, state))]


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
