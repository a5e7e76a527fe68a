"""`python -m server.trainer.scanner --out server/numbers/scanner.onnx`: train the scanner of lines.

Numbers are put together of the training digits of MNIST (DIGITS_MNIST) and of the pen strokes of the training
writers (DIGITS_PEN_STROKES), two of three of the former, and their lines found as in any picture. About
twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from server.config import InvalidSetting
from server.errors import DigitsError
from server.numbers.ctc import BLANK
from server.numbers.lines import find_lines
from server.numbers.pieces import find_pieces
from server.numbers.scanner import SIDE, STRIDE, Scanner, strip
from server.numbers.search import line_ink
from server.numbers.written import Writer, write_number
from server.trainer.judge import number_writers

NUMBERS = 50_000
EPOCHS = 7
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
WARM_UP_STEPS = 200
CLIP = 5.0
DROPOUT = 0.2
SEED = 1
# Longer lines would fill up whole batches with nothing.
MAX_WIDTH = 400
# Up and down, in rows: the middle of a line is never found to the pixel.
SHIFT = 2
TOLERANCE = 1e-3

Strip = NDArray[np.uint8]


class Lines(NamedTuple):
    """N lines to learn from."""

    strips: Sequence[Strip]
    """(32, W) uint8 each."""
    texts: Sequence[str]


def main(arguments: list[str] | None = None) -> int:
    """Train and write the network. Exit code 0, or 2 with a line on standard error for what is missing."""
    parser = argparse.ArgumentParser(prog="python -m server.trainer.scanner", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--numbers", type=int, default=NUMBERS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args(arguments)
    try:
        mnist, pen = number_writers()
    except (InvalidSetting, DigitsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    keras.utils.set_random_seed(chosen.seed)
    generator = np.random.default_rng(chosen.seed)
    lines = collect((mnist, mnist, pen), chosen.numbers, generator)
    network = train(lines, chosen.epochs, generator)
    export(network, chosen.out, lines.strips[0])
    return 0


def collect(writers: Sequence[Writer], numbers: int, generator: np.random.Generator) -> Lines:
    """The lines of so many numbers, as the search finds them."""
    strips: list[Strip] = []
    texts: list[str] = []
    while len(strips) < numbers:
        number = write_number(writers[len(strips) % len(writers)], generator)
        pieces = find_pieces(number.ink)
        found = find_lines(pieces)
        if not found:  # A stroke so flat that it reads as a dash.
            continue
        line = line_ink(number.ink, pieces, max(found, key=len))
        seen = strip(line.ink, line.height, line.middle)
        if seen.shape[1] <= MAX_WIDTH:
            strips.append(seen)
            texts.append(number.text)
    return Lines(strips, texts)


def build() -> keras.Model:
    """Convolutions down to 4 rows, then along the line: (N, 32, W, 1) -> (N, W / 2, 11) logits."""
    line = keras.Input((SIDE, None, 1), name="line")
    maps = line
    for channels, size, strides in ((16, 5, (2, STRIDE)), (32, 3, (2, 1)), (48, 3, (2, 1))):
        maps = layers.Conv2D(channels, size, strides=strides, padding="same", use_bias=False)(maps)
        maps = layers.BatchNormalization(momentum=0.95)(maps)
        maps = layers.Activation("relu")(maps)
    columns = layers.Reshape((-1, SIDE // 8 * 48))(layers.Permute((2, 1, 3))(maps))
    for dilation in (1, 2, 1):
        columns = layers.Conv1D(128, 5, padding="same", dilation_rate=dilation, use_bias=False)(columns)
        columns = layers.BatchNormalization(momentum=0.95)(columns)
        columns = layers.Activation("relu")(columns)
    answers = layers.Dense(BLANK + 1)(layers.Dropout(DROPOUT)(columns))
    return keras.Model(line, answers, name="scanner")


def train(lines: Lines, epochs: int, generator: np.random.Generator) -> keras.Model:
    """A network that has learnt to read the lines."""
    network = build()
    steps = epochs * (len(lines.strips) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, warmup_target=LEARNING_RATE, warmup_steps=min(WARM_UP_STEPS, steps)
    )
    optimizer = keras.optimizers.Adam(schedule)
    whole = tf.TensorSpec((None,), tf.int32)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec((None, SIDE, None, 1)),
            tf.TensorSpec((None, None), tf.int32),
            whole,
            whole,
        ]
    )
    def step(pixels: tf.Tensor, digits: tf.Tensor, lengths: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = network(pixels, training=True)
            losses = tf.nn.ctc_loss(
                digits, logits, lengths, columns, logits_time_major=False, blank_index=BLANK
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, network.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, CLIP)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    for epoch in range(epochs):
        losses = [float(step(*batch)) for batch in _batches(lines, generator)]
        sys.stdout.write(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.4f} nats a line\n")
        sys.stdout.flush()
    return network


def _batches(lines: Lines, generator: np.random.Generator) -> Iterator[tuple[NDArray[Any], ...]]:
    """One epoch in batches of lines that are about equally long."""
    widths = np.array([seen.shape[1] for seen in lines.strips])
    order = np.argsort(widths + generator.integers(0, 12, len(widths)), kind="stable")
    starts = generator.permutation(len(order) // BATCH_SIZE) * BATCH_SIZE
    for start in starts.tolist():
        chosen = order[start : start + BATCH_SIZE].tolist()
        pixels = np.zeros((len(chosen), SIDE, int(widths[chosen].max()), 1), np.float32)
        digits = np.zeros((len(chosen), max(len(lines.texts[index]) for index in chosen)), np.int32)
        for row, index in enumerate(chosen):
            shift = int(generator.integers(-SHIFT, SHIFT, endpoint=True))
            pixels[row, :, : widths[index], 0] = np.roll(lines.strips[index], shift, axis=0)
            digits[row, : len(lines.texts[index])] = [int(digit) for digit in lines.texts[index]]
        lengths = np.array([len(lines.texts[index]) for index in chosen], np.int32)
        yield pixels / np.float32(255), digits, lengths, (widths[chosen] // STRIDE).astype(np.int32)


def export(network: keras.Model, out: Path, seen: Strip) -> None:
    """Write the network for the server, and see that it answers the same. Raises RuntimeError otherwise."""
    pixels = seen[None, :, :, None].astype(np.float32) / np.float32(255)
    expected = tf.nn.log_softmax(network(pixels, training=False)[0]).numpy()
    network.export(str(out), format="onnx", verbose=False)
    difference = float(np.abs(Scanner(out).scan(seen) - expected).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"expected answers within {TOLERANCE:g} of the network's, they differ by {difference:.3g}"
        )


if __name__ == "__main__":
    sys.exit(main())
