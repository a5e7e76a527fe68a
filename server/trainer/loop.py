"""The training loop: digits in, a better network out; many steps to a call into TensorFlow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from server.datasets import Digits
from server.failures import TrainingDiverged
from server.protocol import EpochMetrics
from server.recipes import Optimizer, Schedule, TrainingOptions
from server.trainer.feed import epochs
from server.trainer.reporter import Reporter

# A call into TensorFlow trains on about so many images: enough that the call's own cost does not show, few
# enough to report in between.
IMAGES_PER_CALL = 1024
VALIDATION_BATCH = 500
# To read an image costs about a third of learning from it, which goes through the network forward and back.
VALIDATION_COST = 0.3
WARM_UP_SHARE = 0.05

# (images (N, 28, 28) uint8, labels (N,) uint8) -> sum of the losses, number of images read correctly
Pass = Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]


def fit(
    model: keras.Model,
    train: Digits,
    validation: Digits | None,
    options: TrainingOptions,
    schedule: Schedule,
    reporter: Reporter,
) -> EpochMetrics:
    """Train `model` in place and return the epoch whose weights it ends with.

    That is the best one on the validation digits; without any it is the last one: nothing is chosen.
    Raises TrainingDiverged when the loss is no number any more.
    """
    loop = _Loop(model, train, validation, options, schedule, reporter)
    kept: EpochMetrics | None = None
    kept_weights: list[np.ndarray] = []
    for number, digits in enumerate(epochs(train, options), start=1):
        started = time.monotonic()
        loss, accuracy = loop.learn(digits, number)
        validation_loss, validation_accuracy = loop.validate()
        metrics = EpochMetrics(
            epoch=number,
            loss=loss,
            accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            duration_s=time.monotonic() - started,
        )
        if not math.isfinite(validation_loss or 0.0):
            raise TrainingDiverged(number, options.learning_rate)
        reporter.finished(metrics)
        if kept is None or _is_better(metrics, kept):
            kept, kept_weights = metrics, model.get_weights()
    assert kept is not None  # There is at least one epoch: the options' range says so.
    model.set_weights(kept_weights)
    return kept


class _Loop:
    """One training: the compiled passes, and how far it is."""

    def __init__(
        self,
        model: keras.Model,
        train: Digits,
        validation: Digits | None,
        options: TrainingOptions,
        schedule: Schedule,
        reporter: Reporter,
    ) -> None:
        self._options = options
        self._reporter = reporter
        self._validation = validation
        self._batches = math.ceil(len(train) / options.batch_size)
        # In images learnt from; what validation costs is counted in the same coin, so that the time left is
        # right.
        self._epoch_work = len(train) + VALIDATION_COST * (0 if validation is None else len(validation))
        optimizer = _optimizer(options, schedule, steps=self._batches * options.epochs)
        self._training_pass = _compile_training(model, optimizer, options.batch_size)
        self._reading_pass = _compile_reading(model)

    def learn(self, digits: Digits, epoch: int) -> tuple[float, float]:
        """Train on one epoch's digits; returns their mean loss and accuracy while the weights changed."""
        batch_size = self._options.batch_size
        call_size = max(1, IMAGES_PER_CALL // batch_size) * batch_size
        loss = right = 0.0
        for start in range(0, len(digits), call_size):
            chunk = digits[start : start + call_size]
            chunk_loss, chunk_right = self._training_pass(chunk.images, chunk.labels)
            loss, right = loss + float(chunk_loss), right + float(chunk_right)
            if not math.isfinite(loss):
                raise TrainingDiverged(epoch, self._options.learning_rate)
            seen = start + len(chunk)
            self._reporter.trained(
                epoch=epoch,
                batch=math.ceil(seen / batch_size),
                batches=self._batches,
                loss=loss / seen,
                accuracy=right / seen,
                images=len(chunk),
                share=((epoch - 1) + seen / self._epoch_work) / self._options.epochs,
            )
        return loss / len(digits), right / len(digits)

    def validate(self) -> tuple[float | None, float | None]:
        """The loss and accuracy on the validation digits; None where there are none."""
        if self._validation is None:
            return None, None
        loss, right = self._reading_pass(self._validation.images, self._validation.labels)
        count = len(self._validation)
        return float(loss) / count, float(right) / count


def _is_better(metrics: EpochMetrics, kept: EpochMetrics) -> bool:
    if metrics.validation_accuracy is None or kept.validation_accuracy is None:
        return True
    # A few hundred digits tie often: the surer network wins then.
    return (metrics.validation_accuracy, -(metrics.validation_loss or 0.0)) > (
        kept.validation_accuracy,
        -(kept.validation_loss or 0.0),
    )


def _optimizer(options: TrainingOptions, schedule: Schedule, steps: int) -> keras.optimizers.Optimizer:
    kinds = {
        Optimizer.ADAM: keras.optimizers.Adam,
        Optimizer.SGD: keras.optimizers.SGD,
        Optimizer.ADAGRAD: keras.optimizers.Adagrad,
    }
    return kinds[options.optimizer](_learning_rate(options.learning_rate, schedule, steps))


def _learning_rate(
    highest: float, schedule: Schedule, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if schedule is Schedule.CONSTANT:
        return highest
    # Loshchilov & Hutter 2017, with the warm-up of Goyal et al. 2017.
    warm_up = max(1, round(WARM_UP_SHARE * steps))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warm_up),
        warmup_target=highest,
        warmup_steps=warm_up,
    )


def _compile_training(model: keras.Model, optimizer: keras.optimizers.Optimizer, batch_size: int) -> Pass:
    """A pass that takes a step after each `batch_size` images."""
    optimizer.build(model.trainable_variables)

    def learn(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss_sum, right = tf.constant(0.0), tf.constant(0.0)
        for start in tf.range(0, tf.shape(images)[0], batch_size):
            batch, truth = images[start : start + batch_size], labels[start : start + batch_size]
            with tf.GradientTape() as tape:
                losses, hits = _read(model, batch, truth, training=True)
                loss = tf.reduce_mean(losses)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
            loss_sum, right = loss_sum + tf.reduce_sum(losses), right + hits
        return loss_sum, right

    return _compiled(learn)


def _compile_reading(model: keras.Model) -> Pass:
    """A pass that changes nothing."""

    def read(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss_sum, right = tf.constant(0.0), tf.constant(0.0)
        for start in tf.range(0, tf.shape(images)[0], VALIDATION_BATCH):
            batch, truth = images[start : start + VALIDATION_BATCH], labels[start : start + VALIDATION_BATCH]
            losses, hits = _read(model, batch, truth, training=False)
            loss_sum, right = loss_sum + tf.reduce_sum(losses), right + hits
        return loss_sum, right

    return _compiled(read)


def _read(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor, training: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss of each image, (n,) float32, and how many were read correctly."""
    pixels = tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0  # (n, 28, 28, 1)
    truth = tf.cast(labels, tf.int32)
    probabilities = model(pixels, training=training)  # (n, 10)
    losses = keras.losses.sparse_categorical_crossentropy(truth, probabilities)
    read = tf.argmax(probabilities, axis=1, output_type=tf.int32)
    return losses, tf.reduce_sum(tf.cast(read == truth, tf.float32))


def _compiled(run: Pass) -> Pass:
    # One graph for every number of images: the last call of an epoch is a shorter one.
    shapes = [tf.TensorSpec((None, 28, 28), tf.uint8), tf.TensorSpec((None,), tf.uint8)]
    compiled: Pass = tf.function(run, input_signature=shapes)
    return compiled
