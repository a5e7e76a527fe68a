"""TensorBoard's logs of a run: curves, pictures, and the options with what came of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from server.datasets import Digits
from server.metrics import Metrics
from server.protocol import EpochMetrics, Phase, Progress
from server.recipes import RANGES, RECIPES, Activation, Architecture, Augmentation, Optimizer, TrainingOptions
from server.trainer.pictures import draw_confusion_matrix, draw_misclassified

log = logging.getLogger(__name__)

# How long a point may wait in memory. The child ends without a goodbye when its server does.
FLUSH_MS = 1000
FINAL_METRICS = ("final/validation_accuracy", "final/test_accuracy", "final/test_loss")


class Summaries:
    """The logs of one run, in a folder of its own. Steps are batches from the start of the run.

    Logs never cost a run: a fault in writing them is told once in the run's own log, and ends the logs. May
    be used from any thread.
    """

    def __init__(
        self,
        folder: Path | None,
        recipe: str,
        options: TrainingOptions,
        batches: int,
        learning_rate: Callable[[int], float],
    ) -> None:
        """`batches` is how many an epoch has; `learning_rate(step)` tells that of a step.

        Without a folder nothing is written.
        """
        self._is_on = folder is not None
        self._batches = batches
        self._last_step = 0
        self._learning_rate = learning_rate
        if folder is None:
            return
        with self._quietly():
            self._writer = tf.summary.create_file_writer(str(folder), flush_millis=FLUSH_MS)
            # Here, so that a TensorBoard that is broken or missing costs its logs and nothing else.
            from tensorboard.plugins.hparams import api

            with self._writer.as_default(step=0):
                choices = {"recipe": recipe, **options.to_json()}
                # The view has a column for each option that is announced here, and no others.
                announced = [api.HParam(name, _domain(api, name, value)) for name, value in choices.items()]
                api.hparams_config(announced, [api.Metric(name) for name in FINAL_METRICS])
                api.hparams(choices)

    def progress(self, progress: Progress) -> None:
        """A point of each curve."""
        if not self._is_on or progress.phase is not Phase.TRAINING or not progress.images_per_s:
            return
        step = (progress.epoch - 1) * self._batches + progress.batch
        self._scalars(
            step,
            {
                "training/loss": progress.loss,
                "training/accuracy": progress.accuracy,
                "training/learning_rate": self._learning_rate(step),
                "training/images_per_s": progress.images_per_s,
            },
        )

    def epoch(
        self, metrics: EpochMetrics, validation: Digits | None, probabilities: np.ndarray | None
    ) -> None:
        """What an epoch reached, and what it reads wrong: `probabilities` (N, 10) on `validation`."""
        self._last_step = step = metrics.epoch * self._batches
        self._scalars(step, {"epoch/loss": metrics.loss, "epoch/accuracy": metrics.accuracy})
        if metrics.validation_loss is None or metrics.validation_accuracy is None:
            return
        self._scalars(
            step,
            {
                "epoch/validation_loss": metrics.validation_loss,
                "epoch/validation_accuracy": metrics.validation_accuracy,
            },
        )
        if validation is not None and probabilities is not None:
            self._mistakes("validation", step, validation, probabilities)

    def result(
        self,
        metrics: Metrics,
        test: Digits,
        probabilities: np.ndarray,
        validation_accuracy: float | None,
    ) -> None:
        """What the artifact reaches on the test digits; reported, nothing is chosen by it."""
        step = self._last_step
        values = {"final/test_accuracy": metrics.accuracy, "final/test_loss": metrics.loss}
        if validation_accuracy is not None:
            values["final/validation_accuracy"] = validation_accuracy
        self._scalars(step, values)
        self._mistakes("test", step, test, probabilities)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._is_on:
            with self._quietly():
                self._writer.close()

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        if not self._is_on:
            return
        with self._quietly(), self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def _mistakes(self, prefix: str, step: int, digits: Digits, probabilities: np.ndarray) -> None:
        if not self._is_on:
            return
        with self._quietly(), self._writer.as_default(step=step):
            matrix = draw_confusion_matrix(digits.labels, probabilities.argmax(axis=1))
            tf.summary.image(f"{prefix}/confusion_matrix", matrix[None])
            tf.summary.image(f"{prefix}/misclassified", draw_misclassified(digits, probabilities)[None])

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._is_on = False
            log.exception("no more logs for TensorBoard")


def _domain(api: Any, option: str, value: str | int | float) -> Any:
    """What an option may be, as TensorBoard's filters want it."""
    kinds = {"architecture": Architecture, "activation": Activation, "optimizer": Optimizer}
    if option == "recipe":
        return api.Discrete(list(RECIPES))
    if option in RANGES:
        low, high = RANGES[option].min, RANGES[option].max
        is_whole = isinstance(value, int)
        return api.IntInterval(int(low), int(high)) if is_whole else api.RealInterval(float(low), float(high))
    return api.Discrete([str(member) for member in kinds.get(option, Augmentation)])
