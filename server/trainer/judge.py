"""`python -m server.trainer.judge --out server/numbers/judge.onnx`: train the judge of numbers' stretches.

Numbers are put together of the training digits of MNIST (DIGITS_MNIST) and of the pen strokes of the training
writers (DIGITS_PEN_STROKES), half each, and searched as any picture is. About fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers

from server.config import InvalidSetting, read_config
from server.datasets import Data
from server.datasets.pen_strokes import WriterGroup, of_group, read_pen_strokes
from server.datasets.prepare import prepare
from server.errors import DigitsError
from server.numbers.examples import Examples, examples
from server.numbers.hands import Writer, mnist_writer, pen_writer
from server.numbers.judge import CLASSES, NEITHER, Judge
from server.numbers.windows import SIDE
from server.numbers.written import write_number

NUMBERS = 12_000
EPOCHS = 8
BATCH_SIZE = 256
LEARNING_RATE = 2e-3
SEED = 1
# Stretches that are neither are far more than the others: this share is enough, each counting for the more.
NEITHER_SHARE = 0.08
DROPOUT = 0.25
TOLERANCE = 1e-4


def main(arguments: list[str] | None = None) -> int:
    """Train and write the network. Exit code 0, or 2 with a line on standard error for what is missing."""
    parser = argparse.ArgumentParser(prog="python -m server.trainer.judge", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--numbers", type=int, default=NUMBERS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args(arguments)
    try:
        writers = number_writers()
    except (InvalidSetting, DigitsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    keras.utils.set_random_seed(chosen.seed)
    seen = collect(writers, chosen.numbers, np.random.default_rng(chosen.seed))
    model = train(seen, chosen.epochs)
    export(model, chosen.out, seen.windows[:100])
    return 0


def collect(writers: tuple[Writer, ...], numbers: int, generator: np.random.Generator) -> Examples:
    """The stretches of so many numbers, those that are neither thinned out."""
    parts = []
    for index in range(numbers):
        part = examples(write_number(writers[index % len(writers)], generator))
        is_kept = (part.labels != NEITHER) | (generator.random(len(part.labels)) < NEITHER_SHARE)
        parts.append(Examples(part.windows[is_kept], part.labels[is_kept]))
    return Examples(
        np.concatenate([part.windows for part in parts]), np.concatenate([part.labels for part in parts])
    )


def train(seen: Examples, epochs: int) -> keras.Model:
    """A network that has learnt what the stretches are."""
    model = build()
    steps = len(seen.labels) // BATCH_SIZE
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5, steps * epochs, warmup_target=LEARNING_RATE, warmup_steps=min(300, steps)
    )
    model.compile(
        keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"]
    )
    model.fit(_batches(seen), steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=2)
    return model


def build() -> keras.Model:
    """Three strided convolutions, 0.9 million multiplications a stretch: (N, 32, 32, 2) -> (N, 12)."""
    window = keras.Input((SIDE, SIDE, 2), name="window")
    maps = window
    for channels, size in ((16, 5), (32, 3), (64, 3)):
        maps = layers.Conv2D(channels, size, strides=2, padding="same", use_bias=False)(maps)
        maps = layers.BatchNormalization(momentum=0.9)(maps)
        maps = layers.Activation("relu")(maps)
    hidden = layers.Dense(96, activation="relu")(layers.Flatten()(maps))
    answers = layers.Dense(CLASSES, activation="softmax")(layers.Dropout(DROPOUT)(hidden))
    return keras.Model(window, answers, name="judge")


def _batches(seen: Examples) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Batches for ever, in a new order in each epoch, as float32: all at once would not fit in memory."""
    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(len(seen.labels))
        for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            labels = seen.labels[chosen]
            weights = np.where(labels == NEITHER, 1 / NEITHER_SHARE, 1.0).astype(np.float32)
            yield seen.windows[chosen].astype(np.float32) / np.float32(255), labels, weights


def export(model: keras.Model, out: Path, windows: np.ndarray) -> None:
    """Write the network for the server, and see that it answers the same. Raises RuntimeError otherwise."""
    expected = model(windows.astype(np.float32) / np.float32(255), training=False).numpy()
    model.export(str(out), format="onnx", verbose=False)
    difference = float(np.abs(Judge(out).probabilities(windows) - expected).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"expected answers within {TOLERANCE:g} of the network's, they differ by {difference:.3g}"
        )


def number_writers() -> tuple[Writer, Writer]:
    """Who writes with MNIST's training digits, and the pen's writers. Raises InvalidSetting, DigitsError."""
    mnist = read_config(os.environ).mnist
    strokes = os.environ.get("DIGITS_PEN_STROKES", "")
    if mnist is None or not strokes:
        raise InvalidSetting("DIGITS_MNIST and DIGITS_PEN_STROKES: expected the paths of both, got nothing")
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), mnist, "", lambda step, message: None)
        digits = Data.open(Path(folder)).split(use_all=False).train
        # A copy: the folder does not stay.
        digits = digits[np.arange(len(digits))]
    people = of_group(read_pen_strokes(Path(strokes)), WriterGroup.TRAIN)
    return mnist_writer(digits), pen_writer(people)


if __name__ == "__main__":
    sys.exit(main())
