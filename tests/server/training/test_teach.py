"""Runs that take a version further with people's own samples."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import keras
import numpy as np
import psutil
import pytest

from server.datasets import Data, DataPreparation, Dataset, Digits, Partition
from server.errors import (
    BaseVersionGone,
    InvalidArgument,
    InvalidOption,
    ModelNotFound,
    NoSamples,
    NothingDeployed,
    TrainedOnDataset,
)
from server.inference import Engine
from server.models import ModelVersion
from server.protocol import Phase, read_samples
from server.recipes import Activation, Architecture
from server.samples import NewSample, Samples, SampleSource
from server.samples.fingerprints import forms
from server.training import TrainingState

# A hand that slants so far to the left that a network which has learnt MNIST misreads much of it.
SLANT = -0.8
TAUGHT = 36
OPTIONS = {"epochs": 2, "learning_rate": 0.002}


def slanted(data: Data, start: int, count: int) -> Digits:
    """So many slanted training digits, the same for the same arguments."""
    digits = data.partition(Partition.BUILTIN_TRAIN)[start : start + count]
    matrix = np.array([[1, -SLANT, SLANT * 13.5], [0, 1, 0]], np.float32)
    return Digits(np.array([cv2.warpAffine(one, matrix, (28, 28)) for one in digits.images]), digits.labels)


def sample(image: np.ndarray, label: int) -> NewSample:
    return NewSample(
        label=int(label),
        drawing=b"a file",
        pixels=image,
        fingerprints=forms(image),
        predicted_digit=0,
        confidence=0.5,
        model_version=1,
        source=SampleSource.DRAWN,
    )


class Class:
    """A lab with people's samples in it, and a version to go on from."""

    def __init__(self, lab: Any, watched: Any) -> None:
        self.lab = lab
        self.samples = Samples(lab.database, lab.store, lab.data, lab.folder / "samples")
        lab.samples = self.samples.training_set
        folder = watched.lab.store.folder(watched.ended.model_version)
        staging = lab.store.staging("base")
        shutil.copytree(folder, staging, dirs_exist_ok=True)
        self.base: ModelVersion = lab.store.commit(staging)
        lab.deployed = self.base.version
        lab.restart()

    def add(self, digits: Digits) -> None:
        for image, label in zip(digits.images, digits.labels, strict=True):
            self.samples.add(sample(image, label))

    def accuracy(self, version: int, digits: Digits) -> float:
        """Of the artifact."""
        answers = Engine(self.lab.store.artifact_path(version)).probabilities(digits.images)
        return float((answers.argmax(axis=1) == digits.labels).mean())

    def close(self) -> None:
        self.samples.close()
        self.lab.close()


@pytest.fixture(scope="module")
def new_class(
    tmp_path_factory: pytest.TempPathFactory,
    preparation: DataPreparation,
    new_lab: Callable[..., Any],
    watched: Any,
) -> Iterator[Callable[[], Class]]:
    """`new_class()` opens a data directory of its own with a version to go on from; they end together."""
    made: list[Class] = []

    def make() -> Class:
        made.append(Class(new_lab(tmp_path_factory.mktemp("class"), preparation), watched))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def taught(new_class: Callable[[], Class]) -> Any:
    """A class, its run of `teach` with 36 samples, of which none is the test digit that was added too."""
    ours = new_class()
    data = ours.lab.data.data()
    ours.add(slanted(data, 0, TAUGHT))
    ours.add(data.dataset(Dataset.BUILTIN_TEST)[:1])
    run = ours.lab.trainings.start("teach", OPTIONS, deploy_when_done=True)
    ours.lab.wait_for_phase(run.training_id, Phase.TRAINING)
    learnt = read_samples(ours.lab.folder / "checkpoints" / run.training_id / "samples.npz")
    return ours, ours.lab.wait_for_end(run.training_id), learnt


@pytest.fixture
def empty(new_class: Callable[[], Class]) -> Class:
    return new_class()


def test_most_of_what_was_misread_in_a_hand_is_right_afterwards_in_digits_it_has_not_seen(
    taught: Any,
) -> None:
    ours, run, _ = taught
    assert run.state is TrainingState.SUCCEEDED, run.failure_reason
    unseen = slanted(ours.lab.data.data(), TAUGHT, 200)
    before, after = (ours.accuracy(version, unseen) for version in (ours.base.version, run.model_version))
    assert (1 - after) < 0.8 * (1 - before)


def test_and_it_forgets_next_to_nothing(taught: Any) -> None:
    ours, run, _ = taught
    after = ours.lab.store.get(run.model_version)
    assert after.test_dataset is Dataset.BUILTIN_TEST
    assert after.metrics.accuracy > ours.base.metrics.accuracy - 0.03


def test_it_keeps_the_network_of_its_base_and_says_what_it_was_made_from(taught: Any) -> None:
    ours, run, _ = taught
    version = ours.lab.store.get(run.model_version)
    assert (run.base_version, run.samples, run.options.epochs) == (ours.base.version, TAUGHT, 2)
    assert (version.recipe, version.base_version, version.samples) == ("teach", ours.base.version, TAUGHT)
    assert version.train_partitions == ours.base.train_partitions
    assert version.train_images == ours.base.train_images
    assert version.validation_partitions == (Partition.BUILTIN_VALIDATION,)
    assert version.parameters == ours.base.parameters
    assert version.description == f"Teach: version {ours.base.version} trained on with 36 samples, 2 epochs"
    validation = ours.lab.data.data().partition(Partition.BUILTIN_VALIDATION)
    assert version.validation_accuracy == ours.accuracy(version.version, validation)
    assert version.temperature != 1.0
    assert ours.lab.versions == [(version.version, True)]
    network = keras.saving.load_model(ours.lab.store.folder(version.version) / "model.keras")
    assert all(layer.trainable for layer in network.layers)


def test_it_is_never_trained_on_a_test_digit(taught: Any) -> None:
    ours, _, (_, images, _) = taught
    tests = {image.tobytes() for image in ours.lab.data.data().dataset(Dataset.BUILTIN_TEST).images}
    assert len(images) == TAUGHT
    assert not tests.intersection(image.tobytes() for image in images)


def test_every_sample_has_an_answer_of_a_network_that_had_not_seen_it(taught: Any) -> None:
    ours, run, (ids, _, labels) = taught
    answers = ours.lab.store.sample_answers(run.model_version)
    assert answers.sample_ids == ids
    assert np.allclose(answers.probabilities.sum(axis=1), 1.0, atol=1e-5)
    right = float((answers.probabilities.argmax(axis=1) == labels).mean())
    # Better than who has learnt none of them, and no better than is honest.
    base = ours.accuracy(ours.base.version, slanted(ours.lab.data.data(), 0, TAUGHT))
    assert base < right
    readings = ours.samples.read_honestly(run.model_version, ours.samples.measurable())
    assert readings.is_cross_validated.all()
    assert np.array_equal(readings.predicted, answers.probabilities.argmax(axis=1))


def test_nothing_of_its_samples_is_left_beside_the_version(taught: Any) -> None:
    ours, run, _ = taught
    assert not (ours.lab.folder / "checkpoints" / run.training_id).exists()


def test_a_run_that_was_killed_goes_on_with_the_same_samples_to_the_same_result(
    taught: Any, new_class: Callable[[], Class], child: Callable[[], psutil.Process]
) -> None:
    ours, run, (ids, _, _) = taught
    again = new_class()
    data = again.lab.data.data()
    # The very same samples, for the same ids.
    again.lab.samples = ours.samples.training_set
    again.lab.restart()
    started = again.lab.trainings.start("teach", OPTIONS)
    again.lab.wait_for_epoch(started.training_id, 1)
    child().send_signal(signal.SIGKILL)
    # What changes meanwhile is for the next run.
    again.lab.samples = again.samples.training_set
    again.add(slanted(data, TAUGHT, 1))
    ended = again.lab.wait_for_end(started.training_id)
    assert (ended.state, ended.resumes) == (TrainingState.SUCCEEDED, 1), ended.failure_reason
    assert ended.samples == TAUGHT
    mine, theirs = again.lab.store, ours.lab.store
    answers = [mine.sample_answers(ended.model_version), theirs.sample_answers(run.model_version)]
    assert answers[0].sample_ids == ids
    assert np.array_equal(answers[0].probabilities, answers[1].probabilities)
    folders = [mine.folder(ended.model_version), theirs.folder(run.model_version)]
    networks = [keras.saving.load_model(folder / "model.keras").get_weights() for folder in folders]
    assert all(np.array_equal(*pair) for pair in zip(*networks, strict=True))


def test_teaching_a_taught_version_begins_from_its_own_beginning(taught: Any) -> None:
    ours, run, _ = taught
    again = ours.lab.trainings.start("teach", OPTIONS, base_version=run.model_version)
    assert again.base_version == ours.base.version
    assert (ours.lab.trainings.get(again.training_id).options.architecture) is Architecture.CNN
    assert ours.lab.trainings.cancel(again.training_id).state is TrainingState.CANCELLED
    assert ours.lab.staged == []
    assert not (ours.lab.folder / "checkpoints" / again.training_id).exists()


def test_a_beginning_that_was_deleted_is_told(taught: Any) -> None:
    ours, run, _ = taught
    root = ours.lab.store.folder(ours.base.version)
    aside = root.with_name("aside")
    root.rename(aside)
    try:
        with pytest.raises(BaseVersionGone, match=r"was taught from version 1, .* was deleted"):
            ours.lab.trainings.start("teach", {}, base_version=run.model_version)
    finally:
        aside.rename(root)


def test_nothing_is_started_without_samples_or_without_a_base(empty: Class) -> None:
    trainings = empty.lab.trainings
    with pytest.raises(NoSamples, match="no samples to train on"):
        trainings.start("teach", {})
    with pytest.raises(ModelNotFound):
        trainings.start("teach", {}, base_version=99)
    empty.lab.deployed = None
    with pytest.raises(NothingDeployed):
        trainings.start("teach", {})
    assert trainings.list(0, 10) == ((), 0)


def test_a_base_is_for_recipes_that_use_samples_and_its_network_stays(empty: Class) -> None:
    empty.add(slanted(empty.lab.data.data(), 0, 1))
    trainings, base = empty.lab.trainings, empty.base.version
    with pytest.raises(InvalidArgument, match="cnn begins anew"):
        trainings.start("cnn", {}, base_version=base)
    with pytest.raises(InvalidOption, match=r"options\.architecture: expected cnn"):
        trainings.start("teach", {"architecture": "mlp"}, base_version=base)
    with pytest.raises(InvalidOption, match=r"options\.activation: expected relu"):
        trainings.start("teach", {"activation": Activation.SIGMOID}, base_version=base)
    assert trainings.list(0, 10) == ((), 0)


def test_samples_that_are_gone_when_the_run_begins_fail_it_in_words(empty: Class) -> None:
    empty.add(slanted(empty.lab.data.data(), 0, 1))
    waits_for = empty.lab.trainings.start("cnn", {"epochs": 200})
    run = empty.lab.trainings.start("teach", {})
    (kept,) = empty.samples.training_set().ids
    empty.samples.delete(kept)
    empty.lab.trainings.cancel(waits_for.training_id)
    ended = empty.lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert "there are no samples to train on" in ended.failure_reason


def test_what_a_base_has_learnt_neither_validates_nor_measures(builtin_data: Data) -> None:
    split = builtin_data.split_after((Partition.MNIST_REST, Partition.BUILTIN_VALIDATION))
    assert (split.validation, split.validation_partitions) == (None, ())
    assert split.train_partitions == (
        Partition.MNIST_REST,
        Partition.BUILTIN_VALIDATION,
        Partition.BUILTIN_TRAIN,
    )
    with pytest.raises(TrainedOnDataset, match="DIGITS_MNIST"):
        builtin_data.split_after((Partition.BUILTIN_TEST,))
