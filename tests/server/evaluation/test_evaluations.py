"""Measuring versions: in the background, honestly, and remembered across restarts."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import update

import server
from server.database import evaluations as evaluations_table
from server.datasets import Data, Dataset, Partition
from server.errors import (
    DataPreparing,
    DatasetUnavailable,
    EvaluationNotFound,
    ModelNotFound,
    ShuttingDown,
    TrainedOnDataset,
)
from server.evaluation import Evaluation, Evaluations, EvaluationState, MisclassifiedFilter, Order
from server.evaluation.evaluations import _lower_priority
from server.inference import Engine
from server.metrics import measure
from server.models import ModelStore, ModelVersion

Save = Callable[..., ModelVersion]
PATIENCE_S = 60.0
SHIPPED = Path(server.__file__).parent / "shipped"


class WithoutTestImages:
    """Digits of a machine that lacks the data set which a version was measured on."""

    def __init__(self, data: Data) -> None:
        self.source = data.source

    def dataset(self, dataset: Dataset) -> Any:
        raise DatasetUnavailable(f"{dataset} is not on this machine")


def ended(evaluations: Evaluations, evaluation: Evaluation) -> Evaluation:
    deadline = time.monotonic() + PATIENCE_S
    while evaluation.state is EvaluationState.RUNNING:
        assert time.monotonic() < deadline, f"still running after {PATIENCE_S} s: {evaluation}"
        time.sleep(0.01)
        evaluation = evaluations.get(evaluation.evaluation_id)
    return evaluation


def test_an_evaluation_returns_at_once_and_then_succeeds_with_its_metrics(
    evaluations: Evaluations, version: ModelVersion, store: ModelStore, builtin_data: Data
) -> None:
    started = evaluations.start(1, Dataset.BUILTIN_TEST)
    assert (started.state, started.metrics, started.ended) == (EvaluationState.RUNNING, None, None)

    done = ended(evaluations, started)
    assert done.state is EvaluationState.SUCCEEDED
    assert done.ended is not None
    assert done.ended >= done.created
    test = builtin_data.dataset(Dataset.BUILTIN_TEST)
    expected = measure(Engine(store.artifact_path(1)).probabilities(test.images), test.labels)
    assert done.metrics is not None
    assert done.metrics.images == 1000
    np.testing.assert_array_equal(done.metrics.confusion_matrix, expected.confusion_matrix)
    assert done.metrics.loss == pytest.approx(expected.loss, abs=1e-6)


def test_a_version_measured_again_gets_the_numbers_of_its_training(
    evaluations: Evaluations, version: ModelVersion
) -> None:
    done = ended(evaluations, evaluations.start(1, version.test_dataset))
    assert done.metrics is not None
    assert done.metrics.accuracy == version.metrics.accuracy
    assert done.metrics.loss == pytest.approx(version.metrics.loss, abs=1e-6)


def test_the_newest_successful_evaluation_is_the_latest(
    evaluations: Evaluations, version: ModelVersion
) -> None:
    with pytest.raises(EvaluationNotFound, match="not measured on builtin_test yet"):
        evaluations.latest(1, Dataset.BUILTIN_TEST)
    evaluations.adopt(version)
    first = evaluations.latest(1, Dataset.BUILTIN_TEST)
    second = ended(evaluations, evaluations.start(1, Dataset.BUILTIN_TEST))

    assert first.evaluation_id != second.evaluation_id
    assert evaluations.latest(1, Dataset.BUILTIN_TEST).evaluation_id == second.evaluation_id
    assert evaluations.get(first.evaluation_id).state is EvaluationState.SUCCEEDED


def test_who_asks_for_what_is_under_way_joins_it(evaluations: Evaluations, version: ModelVersion) -> None:
    all_have_asked = threading.Event()
    evaluations._worker.submit(all_have_asked.wait, PATIENCE_S)  # So that none can be done before.
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(evaluations.start, 1, Dataset.BUILTIN_TEST) for _ in range(8)]
        assert len({one.result(PATIENCE_S).evaluation_id for one in asked}) == 1
    all_have_asked.set()

    done = ended(evaluations, asked[0].result())
    assert done.state is EvaluationState.SUCCEEDED
    assert evaluations.start(1, Dataset.BUILTIN_TEST).evaluation_id != done.evaluation_id


@pytest.mark.parametrize(
    ("trained_on", "dataset", "is_honest"),
    [
        ((Partition.BUILTIN_TRAIN,), Dataset.BUILTIN_TEST, True),
        ((Partition.BUILTIN_TRAIN,), Dataset.BUILTIN_DIGITS, False),
        ((Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION), Dataset.BUILTIN_TEST, True),
        # The full set without the built-in digits: they only chose the epoch.
        ((Partition.MNIST_REST,), Dataset.BUILTIN_DIGITS, True),
        ((Partition.MNIST_REST,), Dataset.BUILTIN_TEST, True),
        # The classic recipe learns all 60,000.
        (
            (Partition.MNIST_REST, Partition.BUILTIN_TRAIN, Partition.BUILTIN_TEST),
            Dataset.BUILTIN_TEST,
            False,
        ),
    ],
)
def test_a_version_is_never_measured_on_what_it_has_learnt(
    evaluations: Evaluations,
    store: ModelStore,
    save: Save,
    regression: Any,
    trained_on: tuple[Partition, ...],
    dataset: Dataset,
    is_honest: bool,
) -> None:
    save(store, regression, train_partitions=trained_on)
    if is_honest:
        assert ended(evaluations, evaluations.start(1, dataset)).state is EvaluationState.SUCCEEDED
    else:
        with pytest.raises(TrainedOnDataset, match="was trained on builtin_t"):
            evaluations.start(1, dataset)


def test_what_cannot_be_measured_is_refused_at_once(
    evaluations: Evaluations, open_evaluations: Callable[..., Evaluations], version: ModelVersion
) -> None:
    with pytest.raises(ModelNotFound):
        evaluations.start(99, Dataset.BUILTIN_TEST)
    with pytest.raises(DatasetUnavailable, match="mnist_test"):
        evaluations.start(1, Dataset.MNIST_TEST)
    with pytest.raises(DataPreparing):
        open_evaluations(data=None).start(1, Dataset.BUILTIN_TEST)
    with pytest.raises(EvaluationNotFound):
        evaluations.get("nothing")


def test_a_damaged_version_fails_its_evaluation_with_the_reason(
    evaluations: Evaluations, version: ModelVersion, store: ModelStore
) -> None:
    store.artifact_path(1).write_bytes(b"damaged")
    failed = ended(evaluations, evaluations.start(1, Dataset.BUILTIN_TEST))
    assert failed.state is EvaluationState.FAILED
    assert "version 1: model.onnx" in failed.failure_reason
    with pytest.raises(EvaluationNotFound):
        evaluations.misclassified(failed.evaluation_id, MisclassifiedFilter(), 0, 10)


def test_what_a_dead_server_left_running_has_failed_at_the_next_start(
    evaluations: Evaluations,
    open_evaluations: Callable[..., Evaluations],
    version: ModelVersion,
    database: Database,
) -> None:
    done = ended(evaluations, evaluations.start(1, Dataset.BUILTIN_TEST))
    with database.begin() as connection:  # As if the process had died in the middle.
        values = {"state": "running", "ended": None, "metrics": None, "probabilities": None}
        connection.execute(update(evaluations_table).values(values))

    restarted = open_evaluations()
    failed = restarted.get(done.evaluation_id)
    assert failed.state is EvaluationState.FAILED
    assert failed.failure_reason == "the server stopped while it ran; start it again"
    assert failed.ended is not None
    assert ended(restarted, restarted.start(1, Dataset.BUILTIN_TEST)).state is EvaluationState.SUCCEEDED


def test_closing_ends_what_runs_and_what_waits_and_takes_no_more(
    evaluations: Evaluations, store: ModelStore, save: Save, regression: Any
) -> None:
    for _ in range(3):
        save(store, regression, train_partitions=(Partition.MNIST_REST,))
    started = [evaluations.start(number, Dataset.BUILTIN_DIGITS) for number in (1, 2, 3)]
    evaluations.close()

    last = evaluations.get(started[-1].evaluation_id)
    assert last.state is EvaluationState.FAILED
    assert "the server stopped" in last.failure_reason
    assert all(evaluations.get(one.evaluation_id).state is not EvaluationState.RUNNING for one in started)
    with pytest.raises(ShuttingDown):
        evaluations.start(1, Dataset.BUILTIN_DIGITS)


def test_a_version_brings_the_evaluation_of_its_training_once(
    evaluations: Evaluations, open_evaluations: Callable[..., Evaluations], version: ModelVersion
) -> None:
    evaluations.adopt(version)
    adopted = evaluations.latest(1, version.test_dataset)
    assert adopted.metrics is not None
    assert adopted.metrics.to_json() == version.metrics.to_json()
    assert adopted.created == version.created

    evaluations.adopt(version)
    restarted = open_evaluations()
    restarted.adopt(version)
    assert restarted.latest(1, version.test_dataset).evaluation_id == adopted.evaluation_id


def test_another_model_under_the_same_number_is_not_judged_by_the_old_rows(
    evaluations: Evaluations,
    open_evaluations: Callable[..., Evaluations],
    version: ModelVersion,
    save: Save,
    beginner: Any,
    tmp_path: Path,
) -> None:
    evaluations.adopt(version)
    shutil.rmtree(tmp_path / "models")  # Somebody cleared the folder by hand and kept the database.
    store = ModelStore(tmp_path / "models")
    other = save(store, beginner)
    reopened = open_evaluations(store=store)
    reopened.adopt(other)
    metrics = reopened.latest(1, other.test_dataset).metrics

    assert other.version == 1
    assert metrics is not None
    assert metrics.accuracy == other.metrics.accuracy != version.metrics.accuracy


def test_without_the_images_the_numbers_are_shown_and_only_the_gallery_is_missing(
    open_evaluations: Callable[..., Evaluations], version: ModelVersion, builtin_data: Data
) -> None:
    evaluations = open_evaluations(data=WithoutTestImages(builtin_data))
    evaluations.adopt(version)
    adopted = evaluations.latest(1, version.test_dataset)

    assert adopted.metrics is not None
    assert adopted.metrics.misclassified == version.metrics.misclassified
    with pytest.raises(DatasetUnavailable, match="not on this machine"):
        evaluations.misclassified(adopted.evaluation_id, MisclassifiedFilter(), 0, 10)


def test_images_that_were_not_the_measured_ones_are_never_shown_as_mistakes(
    open_evaluations: Callable[..., Evaluations], version: ModelVersion, builtin_data: Data
) -> None:
    class OtherImages:
        def dataset(self, dataset: Dataset) -> Any:
            return builtin_data.partition(Partition.BUILTIN_VALIDATION)

    evaluations = open_evaluations(data=OtherImages())
    evaluations.adopt(version)
    adopted = evaluations.latest(1, version.test_dataset)
    with pytest.raises(DatasetUnavailable, match="not those that were measured"):
        evaluations.misclassified(adopted.evaluation_id, MisclassifiedFilter(), 0, 10)


def test_a_version_whose_answers_are_damaged_keeps_its_numbers(
    evaluations: Evaluations, version: ModelVersion, tmp_path: Path
) -> None:
    (tmp_path / "models" / "000001" / "probabilities.npz").write_bytes(b"damaged")
    evaluations.adopt(version)
    adopted = evaluations.latest(1, version.test_dataset)
    assert adopted.metrics is not None
    with pytest.raises(DatasetUnavailable, match="Evaluate measures version 1 again"):
        evaluations.misclassified(adopted.evaluation_id, MisclassifiedFilter(), 0, 10)


def test_the_version_that_comes_with_the_software_is_honestly_wrong_without_mnist(
    evaluations: Evaluations, store: ModelStore
) -> None:
    shipped = store.get(store.install_shipped(SHIPPED))
    evaluations.adopt(shipped)
    on_mnist = evaluations.latest(1, Dataset.MNIST_TEST)
    on_builtin = ended(evaluations, evaluations.start(1, Dataset.BUILTIN_DIGITS))

    assert on_mnist.metrics is not None
    assert (on_mnist.metrics.images, on_mnist.metrics.accuracy >= 0.993) == (10_000, True)
    with pytest.raises(DatasetUnavailable):
        evaluations.misclassified(on_mnist.evaluation_id, MisclassifiedFilter(), 0, 16)
    # It has not learnt the built-in digits: its mistakes there are real, and can be shown.
    assert on_builtin.metrics is not None
    assert on_builtin.metrics.accuracy > 0.99
    shown, _ = evaluations.misclassified(on_builtin.evaluation_id, MisclassifiedFilter(), 0, 16)
    assert shown


def test_the_gallery_shows_what_the_matrix_counts(
    evaluations: Evaluations, version: ModelVersion, builtin_data: Data
) -> None:
    evaluations.adopt(version)
    adopted = evaluations.latest(1, version.test_dataset)
    shown, total = evaluations.misclassified(
        adopted.evaluation_id, MisclassifiedFilter(order=Order.INDEX), 0, 1000
    )

    assert total == len(shown) == version.metrics.misclassified > 0
    matrix = np.zeros((10, 10), int)
    test = builtin_data.dataset(version.test_dataset)
    for one in shown:
        matrix[one.true_digit, one.predicted_digit] += 1
        np.testing.assert_array_equal(one.image, test.images[one.index])
        assert one.true_digit == test.labels[one.index]
    np.fill_diagonal(matrix, version.metrics.confusion_matrix.diagonal())
    np.testing.assert_array_equal(matrix, version.metrics.confusion_matrix)


def test_pages_of_the_gallery_follow_each_other(evaluations: Evaluations, version: ModelVersion) -> None:
    evaluations.adopt(version)
    of = evaluations.latest(1, version.test_dataset).evaluation_id
    chosen = MisclassifiedFilter(order=Order.RANDOM, seed=16)
    whole, total = evaluations.misclassified(of, chosen, 0, 1000)
    first, _ = evaluations.misclassified(of, chosen, 0, 16)
    second, _ = evaluations.misclassified(of, chosen, 16, 16)
    beyond, still = evaluations.misclassified(of, chosen, total, 16)

    assert [one.index for one in first + second] == [one.index for one in whole[:32]]
    assert (beyond, still) == ([], total)


def test_test_digits_can_be_browsed_by_label_and_in_a_random_order(
    evaluations: Evaluations, builtin_data: Data
) -> None:
    test = builtin_data.dataset(Dataset.BUILTIN_TEST)
    page, total = evaluations.test_digits(Dataset.BUILTIN_TEST, None, 10, 5, seed=0)
    assert total == 1000
    assert [one.index for one in page] == [10, 11, 12, 13, 14]
    np.testing.assert_array_equal(page[0].image, test.images[10])

    sevens, total = evaluations.test_digits(Dataset.BUILTIN_TEST, 7, 0, 1000, seed=0)
    assert total == len(sevens) == (test.labels == 7).sum()
    assert {one.label for one in sevens} == {7}

    shuffled, _ = evaluations.test_digits(Dataset.BUILTIN_TEST, 7, 0, 1000, seed=3)
    assert [one.index for one in shuffled] != [one.index for one in sevens]
    assert {one.index for one in shuffled} == {one.index for one in sevens}
    with pytest.raises(DatasetUnavailable):
        evaluations.test_digits(Dataset.MNIST_TEST, None, 0, 1, seed=0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_measuring_goes_behind_everything_else() -> None:
    niceness: list[int] = []

    def measured() -> None:
        _lower_priority()
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, 0)
    thread = threading.Thread(target=measured)
    thread.start()
    thread.join()
    assert niceness == [min(19, max(10, before))]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
