"""What versions read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digits.client.records.dataset import Pixels


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model reads in one image. `model_input` is the image that it saw.

    `is_uncertain`: better to ask than to believe; most scribbles and letters are flagged, few true digits.
    """

    digit: int
    confidence: float
    probabilities: tuple[float, ...]
    model_input: Pixels
    is_uncertain: bool = False


@dataclass(frozen=True)
class Timings:
    """How long each step took on the server, in milliseconds."""

    decode_ms: float
    preprocess_ms: float
    queue_ms: float
    engine_ms: float
    total_ms: float


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to one image."""

    prediction: Prediction
    model_version: int
    timings: Timings


@dataclass(frozen=True, eq=False)
class BatchAnswer:
    """The answers to several images, in their order."""

    predictions: tuple[Prediction, ...]
    model_version: int
    timings: Timings


@dataclass(frozen=True)
class Box:
    """A rectangle in the pixels of the image that was sent: its left and upper edge, its size."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class NumberDigit:
    """One digit of a number: what the model reads, where its ink is, and in which line, from 0 at the top."""

    prediction: Prediction
    box: Box
    line: int


@dataclass(frozen=True, eq=False)
class NumberAnswer:
    """Every digit in one image, from left to right, line by line. In `text` a line feed parts the lines."""

    text: str
    digits: tuple[NumberDigit, ...]
    model_version: int
    timings: Timings


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training digit that a version finds like the image; `distance` is in [0, 2], 0 is alike."""

    index: int
    pixels: Pixels
    label: int
    distance: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a prediction rests on.

    `occlusion` is (28, 28) float32: by how much the probability of `digit` falls, in [-1, 1], when a square
    of `patch_size` pixels around the pixel is covered. `neighbours` are the nearest first; when there are
    none, `neighbours_missing` tells why.
    """

    prediction: Prediction
    digit: int
    occlusion: npt.NDArray[np.float32]
    patch_size: int
    neighbours: tuple[Neighbour, ...]
    neighbours_missing: str
    model_version: int
    timings: Timings
