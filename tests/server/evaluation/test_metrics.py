"""How good a classifier is: numbers checked by hand, and against independent ways to compute them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evaluation import Metrics, measure
from server.metrics import losses, wilson_interval


def certain(*digits: int) -> np.ndarray:
    """Probabilities that are 1 for the given digits: (N, 10)."""
    return np.eye(10, dtype=np.float32)[list(digits)]


def labels(*digits: int) -> np.ndarray:
    return np.array(digits, np.uint8)


def test_a_perfect_reader_makes_no_mistake() -> None:
    metrics = measure(certain(*range(10)), labels(*range(10)))
    assert (metrics.images, metrics.misclassified, metrics.accuracy) == (10, 0, 1.0)
    assert metrics.accuracy_high == 1.0
    assert metrics.loss == pytest.approx(1e-7, rel=1e-6)
    assert all((one.precision, one.recall, one.f1, one.support) == (1, 1, 1, 1) for one in metrics.per_class)


def test_rows_of_the_confusion_matrix_are_true_digits_and_columns_predicted_ones() -> None:
    matrix = measure(certain(9, 9, 4), labels(4, 4, 4)).confusion_matrix
    assert matrix[4, 9] == 2
    assert matrix[4, 4] == 1
    assert matrix.sum() == 3


def test_precision_recall_and_f1_of_a_digit() -> None:
    # 4 is read three times, twice rightly; there are four of them.
    metrics = measure(certain(4, 4, 4, 9, 9), labels(4, 4, 1, 4, 4)).per_class[4]
    assert metrics.precision == pytest.approx(2 / 3)
    assert metrics.recall == pytest.approx(2 / 4)
    assert metrics.f1 == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert metrics.support == 4


def test_a_digit_that_is_never_read_and_never_there_has_zeros() -> None:
    metrics = measure(certain(1), labels(1)).per_class[7]
    assert (metrics.precision, metrics.recall, metrics.f1, metrics.support) == (0, 0, 0, 0)


def test_a_reader_that_is_surer_than_right_has_a_calibration_error() -> None:
    assert measure(certain(4, 4), labels(4, 4)).expected_calibration_error == 0.0
    assert measure(certain(4, 4), labels(4, 9)).expected_calibration_error == pytest.approx(0.5)


def test_the_loss_is_the_mean_cross_entropy_in_nats() -> None:
    probabilities = np.full((2, 10), 0.05, np.float32)
    probabilities[0, 3] = 0.55
    probabilities[1, 3] = 0.55
    expected = -(math.log(0.55) + math.log(0.05)) / 2
    assert measure(probabilities, labels(3, 4)).loss == pytest.approx(expected, rel=1e-6)


def test_a_certain_mistake_costs_what_it_costs_in_keras() -> None:
    # keras.backend.epsilon() is 1e-7: -ln(1e-7).
    assert losses(certain(4), labels(9))[0] == pytest.approx(16.118095, abs=1e-5)
    assert losses(certain(4), labels(4))[0] == pytest.approx(1e-7, rel=1e-6)


def test_equally_probable_digits_read_as_the_lower_one() -> None:
    matrix = measure(np.full((1, 10), 0.1, np.float32), labels(5)).confusion_matrix
    assert matrix[5, 0] == 1


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    # The proportions p with |right / of - p| = 1.959964 √(p (1 - p) / of), found by bisection.
    [
        (9800, 10000, 0.977066, 0.982565),
        (5, 10, 0.236593, 0.763407),
        (10, 10, 0.722467, 1.0),
        (0, 10, 0.0, 0.277533),
    ],
)
def test_the_interval_of_an_accuracy_is_wilsons(right: int, of: int, low: float, high: float) -> None:
    assert wilson_interval(right, of) == pytest.approx((low, high), abs=1e-6)


def test_metrics_survive_json() -> None:
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet(np.ones(10), size=200).astype(np.float32)
    metrics = measure(probabilities, generator.integers(0, 10, 200).astype(np.uint8))
    text = json.dumps(metrics.to_json())
    assert json.dumps(Metrics.from_json(json.loads(text)).to_json()) == text


@pytest.mark.parametrize(("shape", "count"), [((0, 10), 0), ((3, 10), 2), ((3, 9), 3), ((30,), 3)])
def test_answers_and_labels_that_do_not_match_are_refused(shape: tuple[int, ...], count: int) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 10\)"):
        measure(np.zeros(shape, np.float32), np.zeros(count, np.uint8))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_the_numbers_agree_with_each_other(count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(10), size=count).astype(np.float32)
    true = generator.integers(0, 10, count).astype(np.uint8)
    metrics = measure(probabilities, true)

    assert metrics.confusion_matrix.sum() == metrics.images == count
    assert metrics.misclassified == count - np.trace(metrics.confusion_matrix)
    assert metrics.accuracy == (probabilities.argmax(axis=1) == true).mean()
    assert 0 <= metrics.accuracy_low <= metrics.accuracy <= metrics.accuracy_high <= 1
    assert [one.support for one in metrics.per_class] == np.bincount(true, minlength=10).tolist()
