"""How well one person teaches a version: single writers correct it, and what they write next measures it.

Through a live server, as everybody does it: a `cnn` learns MNIST alone, so that nobody's hand is known to it.
Every digit of all 30 people is drawn anywhere on the canvas, of any size and with any pen. Of the ten whose
digits it reads worst, the first 30 in writing order are added as samples with what they are, and `teach` goes
on from the `cnn` with one person's samples at a time. The rest of that person's digits, some 220, tell what
has become of the mistakes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from digits.v1 import model_pb2, prediction_pb2, sample_pb2, training_pb2
from live import Server
from reader import Image, Reader, png

from server import strokes
from server.datasets.pen_strokes import PenDigit

RUN_TIMEOUT_S = 900.0
TIMEOUT_S = 60.0


class Amounts(NamedTuple):
    """How much is taught and measured."""

    writers: int = 10
    corrected: int = 30
    """Digits of each writer that are trained on."""
    timed_samples: int = 500
    timed_runs: int = 3
    base_epochs: int = 3


QUICK = Amounts(writers=1, timed_samples=120, timed_runs=1, base_epochs=1)


@dataclass(frozen=True)
class Lesson:
    """What one writer's samples did. `was_wrong`, `is_wrong`: (N,) bool, of the digits not trained on."""

    writer: int
    was_wrong: npt.NDArray[np.bool_]
    is_wrong: npt.NDArray[np.bool_]
    mnist_drop: float
    """Of the accuracy on MNIST's test set."""


@dataclass(frozen=True)
class Teaching:
    """What was measured, of the worst-read writer first."""

    lessons: tuple[Lesson, ...]
    seconds: tuple[float, ...]
    """From the call to the end of each whole run with many samples."""

    @property
    def was_wrong(self) -> npt.NDArray[np.bool_]:
        """Of all writers' digits that were not trained on, which were read wrongly before."""
        return np.concatenate([lesson.was_wrong for lesson in self.lessons])

    @property
    def is_wrong(self) -> npt.NDArray[np.bool_]:
        """And which are afterwards."""
        return np.concatenate([lesson.is_wrong for lesson in self.lessons])


def measure(server: Server, pen: Sequence[PenDigit], seed: int, amounts: Amounts) -> Teaching:
    """Teach from a new `cnn`. `pen`: all digits of all writers, each writer's in writing order."""
    base = _train(server, "cnn", epochs=amounts.base_epochs).model_version
    server.model.DeployModel(model_pb2.DeployModelRequest(model_version=base), timeout=TIMEOUT_S)
    reader = Reader(server.channel)
    generator = np.random.default_rng(seed)
    drawings = [strokes.draw_anywhere(digit, generator) for digit in pen]
    labels = np.array([digit.label for digit in pen], np.uint8)
    writers = np.array([digit.writer for digit in pen])
    is_wrong = reader.read(drawings).digits != labels
    worst = sorted(set(writers.tolist()), key=lambda writer: -float(is_wrong[writers == writer].mean()))

    def lesson(writer: int) -> Lesson:
        places = np.flatnonzero(writers == writer)
        first, rest = places[: amounts.corrected], places[amounts.corrected :]
        added = _add(server, [drawings[place] for place in first], labels[first])
        taught = _train(server, "teach", base).model_version
        _delete(server, added)
        digits = reader.read([drawings[place] for place in rest], model_version=taught).digits
        drop = _accuracy(server, base) - _accuracy(server, taught)
        told = f"{is_wrong[rest].sum()} wrong before, {(digits != labels[rest]).sum()} after"
        print(f"… writer {writer}: {told}, MNIST {-100 * drop:+.2f} points", flush=True)
        return Lesson(writer, is_wrong[rest], digits != labels[rest], drop)

    lessons = tuple(lesson(writer) for writer in worst[: amounts.writers])
    # Everybody's digits by turns: more than one person has written for a page that many use.
    chosen = generator.permutation(len(pen))[: amounts.timed_samples]
    _add(server, [drawings[place] for place in chosen], labels[chosen])
    seconds = []
    for _ in range(amounts.timed_runs):
        started = time.perf_counter()
        _train(server, "teach", base)
        seconds.append(time.perf_counter() - started)
        print(f"… {amounts.timed_samples} samples: {seconds[-1]:.1f} s", flush=True)
    return Teaching(lessons, tuple(seconds))


def _train(
    server: Server, recipe: str, base_version: int = 0, epochs: int | None = None
) -> training_pb2.Training:
    """A whole run. Raises SystemExit when it fails."""
    request = training_pb2.StartTrainingRequest(
        recipe=recipe, base_version=base_version, options=training_pb2.TrainingOptions(epochs=epochs)
    )
    training = server.training.StartTraining(request, timeout=TIMEOUT_S).training
    watching = training_pb2.WatchTrainingRequest(training_id=training.training_id)
    for reply in server.training.WatchTraining(watching, timeout=RUN_TIMEOUT_S):
        training = reply.training
    if training.state != training_pb2.TRAINING_STATE_SUCCEEDED:
        raise SystemExit(f"{recipe} failed: {training.failure_reason}")
    return training


def _add(server: Server, drawings: Sequence[Image], labels: npt.NDArray[np.uint8]) -> list[str]:
    """Correct drawings, one call each, as a person does; returns the samples' ids."""
    added = []
    for drawing, label in zip(drawings, labels, strict=True):
        request = sample_pb2.AddSampleRequest(
            image=prediction_pb2.Image(encoded=png(drawing)), label=int(label)
        )
        added.append(server.sample.AddSample(request, timeout=TIMEOUT_S).sample.sample_id)
    return added


def _delete(server: Server, sample_ids: Sequence[str]) -> None:
    for sample_id in sample_ids:
        server.sample.DeleteSample(sample_pb2.DeleteSampleRequest(sample_id=sample_id), timeout=TIMEOUT_S)


def _accuracy(server: Server, version: int) -> float:
    """On MNIST's test set, of the artifact."""
    request = model_pb2.GetModelRequest(model_version=version)
    return float(server.model.GetModel(request, timeout=TIMEOUT_S).model.evaluation.accuracy)
