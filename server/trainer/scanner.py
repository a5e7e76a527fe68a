"""`python -m server.trainer.scanner --out server/numbers/scanner.onnx`: train the scanner of lines.

Numbers are put together of the training digits of MNIST (DIGITS_MNIST) and of the pen strokes of the training
writers (DIGITS_PEN_STROKES), three of four of the former, and their lines found as in any picture. Each epoch
has new ones, put together while the network learns from those before. About an hour on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from server.config import InvalidSetting
from server.errors import DigitsError
from server.numbers.ctc import BLANK
from server.numbers.hands import Writer
from server.numbers.lines import find_lines
from server.numbers.pieces import find_pieces
from server.numbers.scanner import SIDE, STRIDE, Scanner, strip
from server.numbers.search import line_ink
from server.numbers.written import write_number
from server.trainer.judge import number_writers

# In each epoch.
NUMBERS = 50_000
EPOCHS = 12
# The share of the lines in which all digits run into each other: what is hard to read, and rare otherwise.
TANGLED = 0.6
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
WARM_UP_STEPS = 200
CLIP = 5.0
# The weights that are written are a mean over so many steps, or a tenth of all.
AVERAGED = 700
DROPOUT = 0.15
SEED = 1
# Longer lines would fill up whole batches with nothing.
MAX_WIDTH = 400
# Up and down, in rows: the middle of a line is never found to the pixel.
SHIFT = 2
# Lines that are seen leaning and resized, and how much.
WARPED, LEAN, WIDER, TALLER = 0.6, 0.07, (0.92, 1.01), (0.93, 1.06)
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
    parser.add_argument("--numbers", type=int, default=NUMBERS, help="in each epoch")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args(arguments)
    try:
        mnist, pen = number_writers()
    except (InvalidSetting, DigitsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    keras.utils.set_random_seed(chosen.seed)
    lines = epochs_of((mnist, mnist, mnist, pen), chosen.numbers, chosen.epochs, chosen.seed)
    steps = chosen.epochs * (chosen.numbers // BATCH_SIZE)
    network, seen = train(lines, steps, np.random.default_rng(chosen.seed))
    export(network, chosen.out, seen)
    return 0


def epochs_of(writers: Sequence[Writer], numbers: int, epochs: int, seed: int) -> Iterator[Lines]:
    """New lines for each epoch; those of the next one are put together in a thread meanwhile."""
    generators = np.random.default_rng(seed).spawn(epochs)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(collect, writers, numbers, generators[0])
        for generator in generators[1:]:
            lines = coming.result()
            coming = pool.submit(collect, writers, numbers, generator)
            yield lines
        yield coming.result()


def collect(writers: Sequence[Writer], numbers: int, generator: np.random.Generator) -> Lines:
    """The lines of so many numbers, as the search finds them."""
    strips: list[Strip] = []
    texts: list[str] = []
    while len(strips) < numbers:
        is_tangled = bool(generator.random() < TANGLED)
        number = write_number(writers[len(strips) % len(writers)], generator, is_tangled)
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
    maps = _seen(line, layers.Conv2D(16, 5, strides=(2, STRIDE), padding="same", use_bias=False))
    for channels in (32, 48):
        maps = _seen(maps, layers.Conv2D(channels, 3, strides=(2, 1), padding="same", use_bias=False))
        maps = _refined(maps, layers.Conv2D(channels, 3, padding="same", use_bias=False))
    columns = layers.Reshape((-1, SIDE // 8 * 48))(layers.Permute((2, 1, 3))(maps))
    for dilation in (1, 2, 1):
        wide = layers.Conv1D(128, 5, padding="same", dilation_rate=dilation, use_bias=False)
        columns = _seen(columns, wide)
    answers = layers.Dense(BLANK + 1)(layers.Dropout(DROPOUT)(columns))
    return keras.Model(line, answers, name="scanner")


def _seen(maps: Any, convolution: layers.Layer) -> Any:
    maps = layers.BatchNormalization(momentum=0.95)(convolution(maps))
    return layers.Activation("relu")(maps)


def _refined(maps: Any, convolution: layers.Layer) -> Any:
    """The maps and what the convolution adds to them: nothing at first."""
    added = layers.BatchNormalization(momentum=0.95, gamma_initializer="zeros")(convolution(maps))
    return layers.Activation("relu")(layers.Add()([maps, added]))


def train(epochs: Iterable[Lines], steps: int, generator: np.random.Generator) -> tuple[keras.Model, Strip]:
    """A network that has learnt the lines of some epochs, in so many steps, and one of the lines."""
    network = build()
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, warmup_target=LEARNING_RATE, warmup_steps=min(WARM_UP_STEPS, steps)
    )
    averaged = min(AVERAGED, steps // 10 + 1)
    optimizer = keras.optimizers.Adam(schedule, use_ema=True, ema_momentum=1 - 1 / averaged)
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

    for number, lines in enumerate(epochs, start=1):
        losses = [float(step(*batch)) for batch in _batches(lines, generator)]
        sys.stdout.write(f"epoch {number}: loss {np.mean(losses):.4f} nats a line\n")
        sys.stdout.flush()
    optimizer.finalize_variable_values(network.trainable_variables)
    return network, lines.strips[0]


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
            pixels[row, :, : widths[index], 0] = _anew(lines.strips[index], generator)
            digits[row, : len(lines.texts[index])] = [int(digit) for digit in lines.texts[index]]
        lengths = np.array([len(lines.texts[index]) for index in chosen], np.int32)
        yield pixels / np.float32(255), digits, lengths, (widths[chosen] // STRIDE).astype(np.int32)


def _anew(seen: Strip, generator: np.random.Generator) -> Strip:
    """A line a little higher or lower, and mostly leaning and resized."""
    if generator.random() < WARPED:
        lean, wider, taller = generator.normal(0, LEAN), generator.uniform(*WIDER), generator.uniform(*TALLER)
        width, middle = seen.shape[1], SIDE / 2
        moved = [
            [wider, lean, (1 - wider) * width / 2 - lean * middle],
            [0, taller, (1 - taller) * middle],
        ]
        seen = np.asarray(cv2.warpAffine(seen, np.array(moved), (width, SIDE)), np.uint8)
    return np.roll(seen, int(generator.integers(-SHIFT, SHIFT, endpoint=True)), axis=0)


def export(network: keras.Model, out: Path, seen: Strip) -> None:
    """Write the network for the server, and see that it answers the same. Raises RuntimeError otherwise."""
    pixels = seen[None, :, :, None].astype(np.float32) / np.float32(255)
    expected = tf.nn.log_softmax(network(pixels, training=False)[0]).numpy()
    network.export(str(out), format="onnx", verbose=False)
    difference = float(np.abs(Scanner(out).scan(seen[None])[0] - expected).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"expected answers within {TOLERANCE:g} of the network's, they differ by {difference:.3g}"
        )


if __name__ == "__main__":
    sys.exit(main())
