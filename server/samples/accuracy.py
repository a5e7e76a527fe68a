"""What versions read in samples, each measured on what it has not learnt by heart.

A version that was trained on a sample answers with what its cross-validation has read in it: a model trained
in the same way, on the others only. Any other version is asked itself. So all samples measure all versions,
however few there are, and nothing flatters a version that was trained on them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.errors import ShuttingDown
from server.inference import Engine
from server.metrics import wilson_interval
from server.models import ModelStore, ModelVersion
from server.models.sample_answers import SampleAnswers
from server.samples.sample import drawing_of
from server.samples.sets import SampleSet

# Read at a time: between two lots others get on.
CHUNK = 64
# Readings that are remembered, of all versions together: some 30 MB.
REMEMBERED = 200_000


@dataclass(frozen=True, eq=False)
class HonestReadings:
    """What one version reads in N samples."""

    is_measured: npt.NDArray[np.bool_]
    """(N,) bool: whether there is an answer that was given without having learnt the sample."""
    is_cross_validated: npt.NDArray[np.bool_]
    """(N,) bool: whether that answer is the cross-validation's."""
    predicted: npt.NDArray[np.uint8]
    """(N,) uint8, 0 to 9; 0, and without a meaning, where nothing is measured."""


@dataclass(frozen=True)
class SampleAccuracy:
    """How well a version reads the samples that it can honestly be measured on."""

    model_version: int
    images: int
    correct: int
    cross_validated: int
    """Of `images`: those that it was trained on."""
    left_out: int
    """Samples that it was trained on and has no other answer for."""

    @property
    def accuracy(self) -> float:
        """The share that is read correctly, in [0, 1]; 0 without images."""
        return self.correct / self.images if self.images else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of it; all of [0, 1] without images."""
        return wilson_interval(self.correct, self.images) if self.images else (0.0, 1.0)


def measure_honestly(version: int, samples: SampleSet, readings: HonestReadings) -> SampleAccuracy:
    """How well a version reads samples, from what it reads in them."""
    is_right = readings.is_measured & (readings.predicted == samples.labels)
    images = int(readings.is_measured.sum())
    return SampleAccuracy(
        model_version=version,
        images=images,
        correct=int(is_right.sum()),
        cross_validated=int(readings.is_cross_validated.sum()),
        left_out=len(samples) - images,
    )


class HonestReader:
    """Reads samples with any version, behind everything else. May be used from any thread."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        # By an artifact's checksum, drawing -> digit: what it reads in a drawing never changes.
        self._remembered: OrderedDict[str, dict[str, int]] = OrderedDict()
        self._is_closing = threading.Event()
        # One thread, of a lower priority: people's predictions come first.
        self._worker = ThreadPoolExecutor(1, "samples", initializer=lower_priority)

    def read_honestly(
        self, version: int, samples: SampleSet, is_wanted: Callable[[], bool] = lambda: True
    ) -> HonestReadings:
        """What a version reads in samples. `is_wanted` is asked now and then whether to go on.

        Raises ModelNotFound, ModelCorrupt, ShuttingDown.
        """
        described = self._store.get(version)
        learnt = _cross_validated(self._store.sample_answers(version))
        # One that lost its answers: nobody knows what it was trained on.
        is_unknown = described.samples > 0 and not learnt
        drawings = [drawing_of(sample_id) for sample_id in samples.ids]
        asked = [] if is_unknown else [place for place, one in enumerate(drawings) if one not in learnt]
        read = self._read(described, samples, drawings, asked, is_wanted)

        predicted = np.zeros(len(samples), np.uint8)
        is_measured = np.zeros(len(samples), np.bool_)
        predicted[asked], is_measured[asked] = read, True
        is_cross_validated = np.zeros(len(samples), np.bool_)
        for place, drawing in enumerate(drawings):
            if (digit := learnt.get(drawing)) is not None:
                predicted[place] = digit
                is_measured[place] = is_cross_validated[place] = True
        return HonestReadings(is_measured, is_cross_validated, predicted)

    def close(self) -> None:
        """End the thread; what is being read is given up."""
        self._is_closing.set()
        self._worker.shutdown(cancel_futures=True)

    def _read(
        self,
        version: ModelVersion,
        samples: SampleSet,
        drawings: Sequence[str],
        asked: Sequence[int],
        is_wanted: Callable[[], bool],
    ) -> list[int]:
        """The digits that a version reads in the samples at these places."""
        key = version.artifact.sha256
        with self._lock:
            known = dict(self._remembered.get(key, {}))
        unread = list({drawings[place]: place for place in asked if drawings[place] not in known}.values())
        if unread:
            try:
                job = self._worker.submit(self._ask, version.version, samples.pixels[unread], is_wanted)
                digits = job.result()
            except (RuntimeError, CancelledError):
                raise ShuttingDown("the server is going down; nothing was read", retry_after_s=2.0) from None
            known.update(zip((drawings[place] for place in unread), digits, strict=True))
        self._remember(key, known)
        return [known[drawings[place]] for place in asked]

    def _ask(self, version: int, images: npt.NDArray[np.uint8], is_wanted: Callable[[], bool]) -> list[int]:
        """What the artifact reads in (N, 28, 28) uint8 images, on the worker thread."""
        # An engine of its own: people's predictions do not queue behind it.
        engine = Engine(self._store.artifact_path(version))
        digits: list[int] = []
        for start in range(0, len(images), CHUNK):
            if self._is_closing.is_set() or not is_wanted():
                raise CancelledError
            answers = engine.probabilities(images[start : start + CHUNK])
            digits.extend(answers.argmax(axis=1).tolist())
        return digits

    def _remember(self, key: str, known: dict[str, int]) -> None:
        """Keep what an artifact reads, and let go of artifacts that nobody asked for lately."""
        with self._lock:
            self._remembered[key] = known
            self._remembered.move_to_end(key)
            while len(self._remembered) > 1 and sum(map(len, self._remembered.values())) > REMEMBERED:
                self._remembered.popitem(last=False)


def _cross_validated(answers: SampleAnswers) -> dict[str, int | None]:
    """By drawing: what the cross-validation has read in it, None where it has no answer to it."""
    has_answer = np.asarray(np.isfinite(answers.probabilities).all(axis=1))
    digits = np.nan_to_num(answers.probabilities).argmax(axis=1)
    return {
        drawing_of(sample_id): int(digit) if is_there else None
        for sample_id, digit, is_there in zip(answers.sample_ids, digits, has_answer, strict=True)
    }


def lower_priority() -> None:
    """Let requests go first. Only Linux has it per thread; elsewhere it would be the process's."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
