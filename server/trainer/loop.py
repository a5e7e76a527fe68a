"""The training loop: digits in, a better network out; many steps to a call into TensorFlow."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable

import keras
import numpy as np

from server.datasets import Digits
from server.failures import TrainingDiverged
from server.protocol import EpochMetrics
from server.recipes import Schedule, TrainingOptions
from server.trainer.checkpoint import Checkpoint, Checkpoints
from server.trainer.feed import NOTHING, Extras, epochs, pictures
from server.trainer.non_digits import NO_DIGIT
from server.trainer.pace import Pace
from server.trainer.passes import READ_AT_ONCE, compile_learning, compile_reading, make_optimizer
from server.trainer.reporter import Reporter

# A call into TensorFlow trains on about so many images: enough that the call's own cost does not show, few
# enough to report in between.
IMAGES_PER_CALL = 1024

# (metrics of the epoch, probabilities (N, 10) float32 of the validation digits or None)
OnEpoch = Callable[[EpochMetrics, np.ndarray | None], None]


def fit(
    model: keras.Model,
    train: Digits,
    validation: Digits | None,
    options: TrainingOptions,
    schedule: Schedule,
    reporter: Reporter,
    *,
    extras: Extras = NOTHING,
    checkpoints: Checkpoints | None = None,
    stop: threading.Event | None = None,
    on_epoch: OnEpoch | None = None,
    is_chosen: bool = True,
) -> EpochMetrics:
    """Train `model` in place, on `train` and the extras; return the epoch whose weights it
    ends with.

    That is the best one on the validation digits; without any, or unless one `is_chosen`, it is the last one.
    With `checkpoints` a training that was cut off goes on after its last finished epoch, and ends with the
    same weights as if it had not been. Once `stop` is set it ends early: it drops an epoch it is in the
    middle of, unless that is the first. Raises TrainingDiverged when the loss is no number any more, OSError
    when a checkpoint cannot be written.
    """
    images = pictures(len(train), extras)
    loop = _Loop(model, images, validation, options, schedule, reporter, stop or threading.Event())
    known = checkpoints.restore(model, loop.optimizer) if checkpoints is not None else None
    history: tuple[EpochMetrics, ...] = ()
    best, best_weights = 0, model.get_weights()
    if known is not None:
        history, best, best_weights = known.history, known.best, list(known.best_weights)
    reporter.begins_after(history)
    first, started = len(history) + 1, time.monotonic()
    with contextlib.closing(epochs(train, options, first, extras)) as feed:
        for digits in feed if not loop.is_stopped(first) else ():
            number = len(history) + 1
            if number == first:
                started = (
                    time.monotonic()
                )  # Later epochs are made while the network learns; this one was not.
            learnt = loop.learn(digits, number)
            if learnt is None:
                break
            validation_loss, validation_accuracy, probabilities = loop.validate()
            metrics = EpochMetrics(
                epoch=number,
                loss=learnt[0],
                accuracy=learnt[1],
                validation_loss=validation_loss,
                validation_accuracy=validation_accuracy,
                duration_s=time.monotonic() - started,
            )
            if not math.isfinite(validation_loss or 0.0):
                raise TrainingDiverged(number, options.learning_rate)
            history = (*history, metrics)
            if not (best and is_chosen) or _is_better(metrics, history[best - 1]):
                best, best_weights = number, model.get_weights()
            # Before it is told: what has been told of a run is never lost.
            if checkpoints is not None:
                checkpoints.save(model, loop.optimizer, Checkpoint(history, best, best_weights))
            if on_epoch is not None:
                on_epoch(metrics, probabilities)
            loop.pace.other(time.monotonic() - started - loop.learning_s)
            started = time.monotonic()
            reporter.finished(metrics, loop.pace.remaining_s(number + 1, 0))
            if loop.is_stopped(number + 1):
                break
    model.set_weights(best_weights)
    return history[best - 1]


class _Loop:
    """One training: the compiled passes, and how far it is."""

    def __init__(
        self,
        model: keras.Model,
        images: int,
        validation: Digits | None,
        options: TrainingOptions,
        schedule: Schedule,
        reporter: Reporter,
        stop: threading.Event,
    ) -> None:
        """`images` are learnt from in each epoch."""
        self._model = model
        self._options = options
        self._reporter = reporter
        self._validation = validation
        self._stop = stop
        self._batches = math.ceil(images / options.batch_size)
        self.pace = Pace(images, len(validation or ()), options.epochs)
        self._has_compiled = False
        self.learning_s = 0.0
        self.optimizer = make_optimizer(options, schedule, steps=self._batches * options.epochs)
        self._learning_pass = compile_learning(model, self.optimizer, options)
        self._reading_pass = None if validation is None else compile_reading(model)

    def is_stopped(self, epoch: int) -> bool:
        """Whether to end before or in `epoch`. The first one is always finished: a run that was asked to
        keep its best epoch has one.
        """
        return epoch > 1 and self._stop.is_set()

    def learn(self, digits: Digits, epoch: int) -> tuple[float, float] | None:
        """Train on one epoch's digits; returns their mean loss and accuracy while the weights changed.

        None when it was stopped in the middle.
        """
        batch_size = self._options.batch_size
        call_size = max(1, IMAGES_PER_CALL // batch_size) * batch_size
        loss = right = read = self.learning_s = 0.0
        for start in range(0, len(digits), call_size):
            if self.is_stopped(epoch):
                return None
            chunk = digits[start : start + call_size]
            began = time.monotonic()
            chunk_loss, chunk_right = self._learning_pass(chunk.images, chunk.labels)
            loss, right = loss + float(chunk_loss), right + float(chunk_right)
            self._note_time(len(chunk), call_size, time.monotonic() - began)
            if not math.isfinite(loss):
                raise TrainingDiverged(epoch, self._options.learning_rate)
            seen = start + len(chunk)
            # What is no digit cannot be read right.
            read += np.count_nonzero(chunk.labels != NO_DIGIT)
            self._reporter.trained(
                epoch=epoch,
                batch=math.ceil(seen / batch_size),
                batches=self._batches,
                loss=loss / seen,
                accuracy=right / max(read, 1),
                images=len(chunk),
                remaining_s=self.pace.remaining_s(epoch, seen),
            )
        return loss / len(digits), right / max(read, 1)

    def _note_time(self, images: int, call_size: int, seconds: float) -> None:
        self.learning_s += seconds
        # The first call compiles, and the first shorter one, for another number of images, does so again.
        if images == call_size and self._has_compiled:
            self.pace.learnt(images, seconds)
        self._has_compiled = True

    def validate(self) -> tuple[float | None, float | None, np.ndarray | None]:
        """Loss, accuracy and probabilities (N, 10) on the validation digits; None where there are none."""
        if self._validation is None or self._reading_pass is None:
            return None, None, None
        loss, answers = 0.0, []
        for start in range(0, len(self._validation), READ_AT_ONCE):
            chunk = self._validation[start : start + READ_AT_ONCE]
            chunk_loss, probabilities = self._reading_pass(chunk.images, chunk.labels)
            loss += float(chunk_loss)
            answers.append(np.asarray(probabilities))
        together = np.concatenate(answers)
        accuracy = float((together.argmax(axis=1) == self._validation.labels).mean())
        return loss / len(self._validation), accuracy, together


def _is_better(metrics: EpochMetrics, kept: EpochMetrics) -> bool:
    if metrics.validation_accuracy is None or kept.validation_accuracy is None:
        return True
    # A few hundred digits tie often: the surer network wins then.
    return (metrics.validation_accuracy, -(metrics.validation_loss or 0.0)) > (
        kept.validation_accuracy,
        -(kept.validation_loss or 0.0),
    )
