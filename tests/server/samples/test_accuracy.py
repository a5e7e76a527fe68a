"""What versions read in samples: each is asked about what it has not learnt by heart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest

from server.errors import ModelCorrupt, ModelNotFound, ShuttingDown
from server.inference import Engine
from server.models import ModelStore, ModelVersion
from server.models.sample_answers import SampleAnswers, write_sample_answers
from server.samples import Samples, SampleSet
from server.samples.accuracy import HonestReader, measure_honestly
from server.samples.sample import drawing_of, fingerprint, new_id

Save = Callable[..., ModelVersion]
COUNT = 40


@pytest.fixture
def drawings(learnable: Any) -> SampleSet:
    """Forty samples."""
    images = learnable.images[:COUNT]
    ids = tuple(new_id(fingerprint(image)) for image in images)
    return SampleSet(ids, images, learnable.labels[:COUNT])


@pytest.fixture
def teach(store: ModelStore, complete: Any, regression: Any) -> Callable[[SampleAnswers, int], int]:
    """`teach(answers, samples)` puts a version into the store that was trained on samples."""

    def commit(answers: SampleAnswers, samples: int) -> int:
        staging = store.staging("taught")
        if answers.sample_ids:
            write_sample_answers(staging, answers)
        complete(staging, regression, training_id="taught", samples=samples)
        return store.commit(staging).version

    return commit


def certain(digits: list[int]) -> np.ndarray:
    return np.eye(10, dtype=np.float32)[digits]


def test_a_version_that_was_trained_on_none_of_them_is_asked_itself(
    store: ModelStore, save: Save, regression: Any, drawings: SampleSet
) -> None:
    version = save(store, regression).version
    readings = HonestReader(store).read_honestly(version, drawings)
    expected = Engine(store.artifact_path(version)).probabilities(drawings.pixels).argmax(axis=1)
    np.testing.assert_array_equal(readings.predicted, expected)
    assert readings.is_measured.all()
    assert not readings.is_cross_validated.any()
    measured = measure_honestly(version, drawings, readings)
    assert (measured.images, measured.left_out, measured.cross_validated) == (COUNT, 0, 0)
    assert measured.correct == int((expected == drawings.labels).sum())
    assert measured.interval[0] < measured.accuracy <= measured.interval[1]


def test_what_it_was_trained_on_counts_as_its_cross_validation_has_read_it(
    store: ModelStore, teach: Any, drawings: SampleSet
) -> None:
    # Whatever the version itself would say, the cross-validation has read nothing but noughts.
    version = teach(SampleAnswers(drawings.ids[:10], certain([0] * 10)), 10)
    readings = HonestReader(store).read_honestly(version, drawings)
    assert readings.predicted[:10].tolist() == [0] * 10
    assert readings.is_cross_validated.tolist() == [True] * 10 + [False] * (COUNT - 10)
    assert readings.is_measured.all()


def test_a_drawing_that_was_deleted_and_drawn_again_is_still_known_by_heart(
    store: ModelStore, teach: Any, drawings: SampleSet
) -> None:
    earlier = tuple(drawing_of(one) + "00000000" for one in drawings.ids)
    version = teach(SampleAnswers(earlier, certain([0] * COUNT)), COUNT)
    readings = HonestReader(store).read_honestly(version, drawings)
    assert readings.is_cross_validated.all()
    assert not readings.predicted.any()


def test_what_has_no_honest_answer_is_left_out(store: ModelStore, teach: Any, drawings: SampleSet) -> None:
    probabilities = certain([0] * 10)
    probabilities[3:] = np.nan
    version = teach(SampleAnswers(drawings.ids[:10], probabilities), 10)
    readings = HonestReader(store).read_honestly(version, drawings)
    measured = measure_honestly(version, drawings, readings)
    assert (measured.images, measured.left_out, measured.cross_validated) == (COUNT - 7, 7, 3)


def test_a_version_whose_answers_are_lost_is_measured_on_nothing(
    store: ModelStore, teach: Any, drawings: SampleSet
) -> None:
    version = teach(SampleAnswers((), np.empty((0, 10), np.float32)), 10)
    measured = measure_honestly(version, drawings, HonestReader(store).read_honestly(version, drawings))
    assert (measured.images, measured.left_out, measured.accuracy) == (0, COUNT, 0.0)
    assert measured.interval == (0.0, 1.0)


def test_a_version_whose_answers_are_damaged_is_refused(
    store: ModelStore, teach: Any, drawings: SampleSet
) -> None:
    version = teach(SampleAnswers(drawings.ids[:10], certain([0] * 10)), 10)
    path = store.folder(version) / "samples.npz"
    for damaged in (b"", path.read_bytes()[:-40], None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(ModelCorrupt):
            HonestReader(store).read_honestly(version, drawings)


def test_only_what_is_new_is_read_again(
    store: ModelStore, save: Save, regression: Any, drawings: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = save(store, regression).version
    read: list[int] = []
    original = Engine.probabilities

    def counted(engine: Engine, images: np.ndarray) -> np.ndarray:
        read.append(len(images))
        return original(engine, images)

    reader = HonestReader(store)
    first = SampleSet(drawings.ids[:30], drawings.pixels[:30], drawings.labels[:30])
    before = reader.read_honestly(version, first)
    monkeypatch.setattr(Engine, "probabilities", counted)
    again = reader.read_honestly(version, first)
    np.testing.assert_array_equal(again.predicted, before.predicted)
    assert read == []
    reader.read_honestly(version, drawings)
    assert read[-1] == 10


def test_reading_ends_when_nobody_wants_it_any_more(
    store: ModelStore, save: Save, regression: Any, drawings: SampleSet
) -> None:
    version = save(store, regression).version
    with pytest.raises((CancelledError, ShuttingDown)):
        HonestReader(store).read_honestly(version, drawings, lambda: False)


def test_without_samples_nothing_is_known(
    store: ModelStore, save: Save, regression: Any, samples: Samples
) -> None:
    version = save(store, regression).version
    (measured,) = samples.accuracies([version])
    assert (measured.images, measured.correct, measured.accuracy) == (0, 0, 0.0)


def test_an_unknown_version_is_not_found(samples: Samples) -> None:
    with pytest.raises(ModelNotFound):
        samples.accuracies([99])
