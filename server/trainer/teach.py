"""Taking a trained version further with people's own samples: what it begins from, and an honest look at it.

The version's network is trained on with small steps, on the samples and on a replay of the digits that it
knows. Its batch normalisation keeps what it has measured on many more pictures than there are here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from server.augmentation import augment
from server.calibration import CLASSES
from server.datasets import Digits
from server.models import KERAS_MODEL, ModelVersion
from server.models.version import read_version, verify_file
from server.protocol import TrainingSpec, read_samples
from server.recipes import Augmentation, Schedule, TrainingOptions
from server.trainer.calibrate import read_network
from server.trainer.feed import Extras, make_epoch, pictures
from server.trainer.passes import compile_learning, make_optimizer

# Samples are cross-validated while there are fewer; from here on one in five is kept aside and measures.
CROSS_VALIDATED_BELOW = 100
# Each costs as much as the training itself.
FOLDS = 4
# So many pictures of training digits are read by the base version, and the hardest are kept.
TRIED = 12_000
HARD = 1_000
# Of the way from the base version's weights to those that it was trained to: see docs/teach.md.
KEPT_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a run begins from, and what it learns."""

    base: ModelVersion
    folder: Path
    """Of the base version."""
    sample_ids: tuple[str, ...]
    samples: Digits

    @classmethod
    def read(cls, spec: TrainingSpec) -> Lesson | None:
        """The lesson that the serving process has left; None for a run that begins anew.

        Raises ModelCorrupt when the base version's network is damaged, OSError, ValueError or KeyError
        without samples.
        """
        if spec.base is None or spec.base_version is None or spec.samples is None:
            return None
        base = read_version(spec.base, spec.base_version)
        verify_file(spec.base, base, KERAS_MODEL)
        sample_ids, images, labels = read_samples(spec.samples)
        return cls(base, spec.base, sample_ids, Digits(images, labels))

    @property
    def sha256(self) -> str:
        """Of everything that there is to learn, and of what it begins from."""
        content = hashlib.sha256(self.base.files[KERAS_MODEL].sha256.encode())
        content.update("\n".join(self.sample_ids).encode())
        content.update(self.samples.images.tobytes() + self.samples.labels.tobytes())
        return content.hexdigest()

    def network(self) -> keras.Model:
        """The base version's network, as it was saved."""
        model: keras.Model = keras.saving.load_model(self.folder / KERAS_MODEL, compile=False, safe_mode=True)
        return model

    @property
    def augmentation(self) -> Augmentation:
        """What was done to the digits that the base version has learnt."""
        return Augmentation(str(self.base.options.get("augmentation", Augmentation.STANDARD)))

    @property
    def folds(self) -> int:
        """How many parts the samples are cross-validated in; 0 where there are enough to keep some aside."""
        return FOLDS if len(self.samples) < CROSS_VALIDATED_BELOW else 0


def least_sure(model: keras.Model, digits: Digits, options: TrainingOptions) -> Digits:
    """The pictures of digits, varied as the options say, that a network is least sure of: (N, 28, 28) uint8.

    It is there that learning something else breaks something first. They follow from the seed.
    """
    generator = np.random.default_rng([options.seed, 0])
    shown = digits[np.sort(np.resize(generator.permutation(len(digits)), TRIED))]
    if options.augmentation is not Augmentation.NONE:
        shown = augment(shown, generator)
    sure = read_network(model, shown.images)[np.arange(len(shown)), shown.labels]
    return shown[np.argsort(sure, kind="stable")[:HARD]]


def part_of_the_way(begin: Sequence[np.ndarray], end: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Weights between those that a training began and ended with: it keeps most of what it has learnt, and
    forgets next to nothing (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
    """
    return [old + np.float32(KEPT_SHARE) * (new - old) for old, new in zip(begin, end, strict=True)]


@contextmanager
def steady_normalisation(model: keras.Model) -> Iterator[None]:
    """Batch normalisation neither learns nor measures meanwhile."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in layers:
            layer.trainable = True


def cross_validate(
    model: keras.Model,
    begin: list[np.ndarray],
    digits: Digits,
    options: TrainingOptions,
    schedule: Schedule,
    extras: Extras,
    folds: int,
    epochs: int,
) -> npt.NDArray[np.float32]:
    """An answer to each of the extras' N samples by a network that has not learnt it: (N, 10) float32.

    Each of the `folds` is answered by the network that begins with the weights `begin` and learns all the
    others in the same way, for so many `epochs`; without folds there are no answers, NaN. The weights of
    `model` are in the end what they were. Raises what TensorFlow does.
    """
    assert extras.samples is not None
    samples = extras.samples
    answers = np.full((len(samples), CLASSES), np.nan, np.float32)
    fold_of = fold_numbers(samples, folds, options.seed)
    if not folds:
        return answers
    learnt = model.get_weights()
    with steady_normalisation(model):
        steps = -(-pictures(len(digits), extras) // options.batch_size) * options.epochs
        optimizer = make_optimizer(options, schedule, steps)
        learn = compile_learning(model, optimizer, options)
        fresh = [np.asarray(variable) for variable in optimizer.variables]
        for fold in range(folds):
            is_left_out = fold_of == fold
            if not is_left_out.any():
                continue
            model.set_weights(begin)
            for variable, value in zip(optimizer.variables, fresh, strict=True):
                variable.assign(value)
            others = replace(extras, samples=samples[~is_left_out])
            # A single drawing leaves no others: it is read as the base version reads it.
            for number in range(1, epochs + 1) if not is_left_out.all() else ():
                made = make_epoch(digits, options, number, others)
                learn(made.images, made.labels)
            model.set_weights(part_of_the_way(begin, model.get_weights()))
            answers[is_left_out] = read_network(model, samples.images[is_left_out])
    model.set_weights(learnt)
    return answers


def fold_numbers(samples: Digits, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """Which fold each of N samples belongs to: (N,) int64.

    Every digit is spread over the folds, and equal drawings are in the same one: who has learnt one of them
    has seen them all.
    """
    drawings, first, which = np.unique(
        samples.images.reshape(len(samples), -1), axis=0, return_index=True, return_inverse=True
    )
    chance = np.random.default_rng(seed).permutation(len(drawings))
    in_order = np.lexsort((chance, samples.labels[first]))
    folds_of_drawings = np.empty(len(drawings), np.int64)
    folds_of_drawings[in_order] = np.arange(len(drawings)) % max(folds, 1)
    return folds_of_drawings[which.reshape(-1)]
