"""What TensorFlow compiles: a pass that learns, a pass that only reads, and the size of the steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from server.recipes import Architecture, Optimizer, Schedule, TrainingOptions
from server.trainer.non_digits import NO_DIGIT

# Images of one step of a reading pass: more need memory, fewer cost time.
READ_AT_ONCE = 500
WARM_UP_SHARE = 0.05

# (images (N, 28, 28) uint8, labels (N,) uint8) -> sum of the losses, number of images read correctly
LearningPass = Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]
# (images (n, 28, 28) uint8, labels (n,) uint8) -> sum of the losses, probabilities (n, 10)
ReadingPass = Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]


def make_optimizer(options: TrainingOptions, schedule: Schedule, steps: int) -> keras.optimizers.Optimizer:
    """The chosen optimizer for a training of `steps` steps."""
    kinds = {
        Optimizer.ADAM: keras.optimizers.Adam,
        Optimizer.SGD: keras.optimizers.SGD,
        Optimizer.ADAGRAD: keras.optimizers.Adagrad,
    }
    return kinds[options.optimizer](learning_rates(options.learning_rate, schedule, steps))


def learning_rates(
    highest: float, schedule: Schedule, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate of each step: one number, or a function of the step."""
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


def compile_learning(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, options: TrainingOptions
) -> LearningPass:
    """A pass that takes a step after each `options.batch_size` images.

    Weights are float32 throughout, on a GPU too: networks this small are not bound by its arithmetic, and
    half the digits would cost accuracy (the smallest softmax values and the sums of the batch normalisation).
    """
    optimizer.build(model.trainable_variables)
    batch_size = options.batch_size

    # XLA fuses the small steps of the dense network, twice as fast on a CPU; convolutions it makes many
    # times slower there. It compiles for one number of images at a time, so that only a step is compiled.
    @tf.function(input_signature=_shapes(), jit_compile=options.architecture is Architecture.MLP)  # type: ignore[untyped-decorator, unused-ignore]
    def step(batch: tf.Tensor, truth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            losses, probabilities = _read(model, batch, truth, training=True)
            loss = tf.reduce_mean(losses)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        read = tf.argmax(probabilities, axis=1, output_type=tf.int32)
        # What is no digit has a label of its own, which is never read.
        hits = tf.cast(read == tf.cast(truth, tf.int32), tf.float32)
        return tf.reduce_sum(losses), tf.reduce_sum(hits)

    def learn(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss_sum, right = tf.constant(0.0), tf.constant(0.0)
        for start in tf.range(0, tf.shape(images)[0], batch_size):
            losses, hits = step(images[start : start + batch_size], labels[start : start + batch_size])
            loss_sum, right = loss_sum + losses, right + hits
        return loss_sum, right

    # One graph for every number of images: the last call of an epoch is a shorter one.
    compiled: LearningPass = tf.function(learn, input_signature=_shapes())
    return compiled


def compile_reading(model: keras.Model) -> ReadingPass:
    """A pass that changes nothing, over `READ_AT_ONCE` images or fewer."""

    def read(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        losses, probabilities = _read(model, images, labels, training=False)
        return tf.reduce_sum(losses), probabilities

    compiled = tf.function(read, input_signature=_shapes())
    compiled.get_concrete_function()  # Now, not at the end of the first epoch.
    reading: ReadingPass = compiled
    return reading


def _read(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor, training: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss of each image, (n,) float32, and its probabilities, (n, 10) float32.

    What is no digit, labelled NO_DIGIT, should be found equally likely to be any (Hendrycks et al. 2019).
    """
    pixels = tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0  # (n, 28, 28, 1)
    probabilities = model(pixels, training=training)  # (n, 10)
    truth = tf.cast(labels, tf.int32)
    is_digit = truth != NO_DIGIT
    targets = tf.where(is_digit[:, tf.newaxis], tf.one_hot(truth, 10), 0.1)
    # Less what no network could avoid, so that a loss of 0 is the best one for both.
    unavoidable = tf.where(is_digit, 0.0, math.log(10))
    return keras.losses.categorical_crossentropy(targets, probabilities) - unavoidable, probabilities


def _shapes() -> list[tf.TensorSpec]:
    return [tf.TensorSpec((None, 28, 28), tf.uint8), tf.TensorSpec((None,), tf.uint8)]
