"""A training program that trains nothing: it tells at once what a training tells, and leaves a small version.

For tests of what becomes of runs, where hundreds of them have to end one way or the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from server.protocol import EpochMetrics, Phase, Progress, TrainingSpec
from server.recipes import TrainingOptions


class Script:
    """What trainings with given options come to, and when they may go on. It is a `Launch`."""

    def __init__(self, write_version: Callable[[TrainingSpec], None]) -> None:
        """`write_version(spec)` makes the spec's staging folder a whole version."""
        self.write_version = write_version
        # By learning rate: the accuracy after the last epoch. Nine tenths of it after the first.
        self.accuracy: Callable[[TrainingOptions], float] = lambda options: options.learning_rate
        self.fails: Callable[[TrainingOptions], bool] = lambda options: False
        self.last_epoch = threading.Event()
        """Cleared: trainings wait before their last epoch."""
        self.last_epoch.set()
        self.allowed: Callable[[TrainingOptions, int], bool] = lambda options, epoch: True
        """Whether a training may go on with an epoch."""
        # What a checkpoint holds: the epochs that each training has finished.
        self.finished: dict[str, list[EpochMetrics]] = {}
        self.started: list[TrainingOptions] = []
        self.training = 0
        self.most_at_once = 0
        self.changed = threading.Condition()

    def __call__(self, spec: TrainingSpec, log_file: Path, scratch: Path) -> ScriptedChild:
        return ScriptedChild(self, spec)

    def count(self, difference: int) -> None:
        """Note that a training begins, or ends."""
        with self.changed:
            self.training += difference
            self.most_at_once = max(self.most_at_once, self.training)
            self.changed.notify_all()


class ScriptedChild:
    """One training by the script; see `server.training.Child`."""

    def __init__(self, script: Script, spec: TrainingSpec) -> None:
        self._script = script
        self._spec = spec
        self._stopped = threading.Event()
        script.started.append(spec.options)
        script.count(+1)

    @property
    def place(self) -> Mapping[str, str | int]:
        """Nowhere."""
        return {}

    def events(self) -> Iterator[dict[str, Any]]:
        """What the script has for these options."""
        options = self._spec.options
        total = options.epochs
        finished = self._script.finished.setdefault(self._spec.training_id, [])
        yield {"event": "history", "history": [metrics.to_json() for metrics in finished]}
        for epoch in range(len(finished) + 1, total + 1):
            progress = Progress(phase=Phase.TRAINING, epoch=epoch, epochs=total, elapsed_s=float(epoch))
            yield {"event": "progress", **progress.to_json()}
            while not self._may_go_on(epoch):
                if self._stopped.wait(0.01):
                    return
            accuracy = self._script.accuracy(options) * (1.0 if epoch == total else 0.9)
            metrics = EpochMetrics(
                epoch=epoch,
                loss=1.0,
                accuracy=accuracy,
                validation_loss=1.0,
                validation_accuracy=accuracy,
                duration_s=1.0,
            )
            finished.append(metrics)
            yield {"event": "epoch", **metrics.to_json()}
        if self._script.fails(options):
            yield {"event": "failed", "reason": "the script says so"}
            return
        self._script.write_version(self._spec)
        yield {"event": "done"}

    def _may_go_on(self, epoch: int) -> bool:
        options = self._spec.options
        is_last = epoch == options.epochs
        return self._script.allowed(options, epoch) and (not is_last or self._script.last_epoch.is_set())

    def end_early(self) -> None:
        """It is as short as it can be."""

    def stop(self) -> None:
        """End it at once."""
        self._stopped.set()

    def wait(self) -> str:
        """Its end."""
        self._script.count(-1)
        return ""

    @property
    def was_cut_off(self) -> bool:
        """Nobody cuts it off."""
        return False

    @property
    def was_lost(self) -> bool:
        """It is nowhere, and cannot be lost there."""
        return False
