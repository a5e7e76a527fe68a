"""Asynchronous successive halving: which trials are worth their next epochs.

L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (ASHA), in the form that
stops trials instead of pausing them.
"""

from __future__ import annotations

# A rung has this many times the epochs of the one before it, and one in so many goes on from it.
FACTOR = 3
# Epochs at the first rung.
FIRST_RUNG = 1


class Halving:
    """Compares trials after as many epochs each, at rungs: after 1, 3, 9, 27 … epochs, not after the last.

    The rule: a trial that comes to a rung goes on when it is among the best n // FACTOR of the n that have
    come there so far, itself included. Those that come before there are FACTOR of them go on in any case:
    there is too little to compare them with. Equal accuracies share the better place. What was decided stays:
    nobody waits for others, and who went on is not called back when better ones come later.
    """

    def __init__(self, epochs: int) -> None:
        """`epochs`: of a trial that is never ended."""
        self._rungs: dict[int, dict[int, float]] = {}
        rung = FIRST_RUNG
        while rung < epochs:
            self._rungs[rung] = {}
            rung *= FACTOR

    def is_behind(self, trial: int, epoch: int, accuracy: float) -> bool:
        """Note how a trial stands after an epoch (from 1), and tell whether it has fallen behind there.

        To note the same again changes nothing.
        """
        reached = self._rungs.get(epoch)
        if reached is None:
            return False
        reached[trial] = accuracy
        if len(reached) < FACTOR:
            return False
        ahead = sum(other > accuracy for other in reached.values())
        return ahead >= len(reached) // FACTOR
