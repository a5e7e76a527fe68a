"""What a probability is worth: numbers that are known beforehand, found again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from server.calibration import (
    NEUTRAL_TEMPERATURE,
    NEUTRAL_UNCERTAIN_BELOW,
    TEMPERATURES,
    Calibration,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    fit_uncertain_below,
    temper,
)

Probabilities = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def logits() -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(0, 3, (20_000, 10))


@pytest.fixture(scope="module")
def labels(logits: npt.NDArray[np.float64]) -> Labels:
    """Each digit as often as its probability says: the logits are calibrated by construction."""
    chances = np.random.default_rng(2).random((len(logits), 1))
    return (softmax(logits).cumsum(axis=1) > chances).argmax(axis=1).astype(np.uint8)


@pytest.mark.parametrize("known", [0.5, 1.0, 1.7, 3.0])
def test_a_known_temperature_is_found_again(
    logits: npt.NDArray[np.float64], labels: Labels, known: float
) -> None:
    overconfident = softmax(logits * known).astype(np.float32)
    assert fit_temperature(overconfident, labels) == pytest.approx(known, rel=0.02)
    np.testing.assert_allclose(temper(overconfident, known), softmax(logits), atol=1e-5)


def test_a_temperature_changes_no_answer(logits: npt.NDArray[np.float64]) -> None:
    probabilities = softmax(logits).astype(np.float32)
    for temperature in (0.5, 2.0):
        tempered = temper(probabilities, temperature)
        np.testing.assert_array_equal(tempered.argmax(axis=1), probabilities.argmax(axis=1))
        np.testing.assert_allclose(tempered.sum(axis=1), 1.0, atol=1e-5)


def test_without_a_single_mistake_the_temperature_stays_within_its_limits() -> None:
    sure = np.full((100, 10), 0.01, np.float32)
    sure[:, 3] = 0.91
    threes = np.full(100, 3, np.uint8)
    assert fit_temperature(sure, threes) == pytest.approx(TEMPERATURES[0])
    assert fit_temperature(sure, np.zeros(100, np.uint8)) == pytest.approx(TEMPERATURES[1])


def test_probabilities_that_single_precision_rounds_to_zero_are_no_trouble() -> None:
    certain = np.eye(10, dtype=np.float32)[[1, 2, 3, 4]]
    temperature = fit_temperature(certain, np.array([1, 2, 3, 7], np.uint8))
    assert np.isfinite(temperature)
    assert np.isfinite(temper(certain, temperature)).all()


@pytest.mark.parametrize("count", [500, 5000, 7000])
def test_the_threshold_keeps_99_percent_of_unseen_digits_nearly_always(count: int) -> None:
    generator = np.random.default_rng(3)
    shares = []
    for _ in range(200):
        confidences = generator.beta(8, 0.5, (2, count))
        probabilities = np.zeros((count, 10), np.float32)
        probabilities[:, 0] = 0.1 + 0.9 * confidences[0]
        threshold = fit_uncertain_below(probabilities)
        assert (probabilities.max(axis=1) >= threshold).mean() >= 0.99
        unseen = 0.1 + 0.9 * generator.beta(8, 0.5, 20_000)
        shares.append((unseen >= threshold).mean())
    # 95 % of them, by design; fewer than 90 % of 200 are a matter of one in a thousand.
    assert np.mean(np.array(shares) >= 0.99) >= 0.9
    # And it gives nothing away: more digits flag more.
    assert np.mean(shares) < 0.9995


def test_the_threshold_is_close_to_the_hundredth_digit_when_there_are_many() -> None:
    confidences = np.linspace(0.2, 1.0, 100_000, dtype=np.float32)
    probabilities = np.zeros((100_000, 10), np.float32)
    probabilities[:, 5] = confidences
    flagged = (confidences < fit_uncertain_below(probabilities)).mean()
    assert 0.009 < flagged < 0.01


def test_too_few_digits_to_promise_anything_are_all_kept() -> None:
    probabilities = np.zeros((50, 10), np.float32)
    probabilities[:, 1] = np.linspace(0.4, 1.0, 50)
    assert fit_uncertain_below(probabilities) == pytest.approx(0.4)


def test_a_calibrated_reader_has_next_to_no_calibration_error(
    logits: npt.NDArray[np.float64], labels: Labels
) -> None:
    assert expected_calibration_error(softmax(logits).astype(np.float32), labels) < 0.01
    assert expected_calibration_error(softmax(logits * 3).astype(np.float32), labels) > 0.1


def test_the_calibration_error_of_a_case_done_by_hand() -> None:
    probabilities = np.zeros((4, 10), np.float32)
    probabilities[:, 0] = [0.95, 0.95, 0.55, 0.55]
    probabilities[:, 1] = [0.05, 0.05, 0.45, 0.45]
    # Two bins: 0.95 claimed and 0.5 right, 0.55 claimed and all right.
    expected = (2 * abs(0.95 - 0.5) + 2 * abs(0.55 - 1.0)) / 4
    truth = np.array([0, 1, 0, 0], np.uint8)
    assert expected_calibration_error(probabilities, truth) == pytest.approx(expected, abs=1e-6)


def test_certainty_belongs_to_the_last_bin() -> None:
    certain = np.eye(10, dtype=np.float32)[[1, 2]]
    assert expected_calibration_error(certain, np.array([1, 2], np.uint8)) == 0.0
    assert expected_calibration_error(certain, np.array([1, 3], np.uint8)) == pytest.approx(0.5)


def test_the_threshold_is_one_of_the_tempered_probabilities(
    logits: npt.NDArray[np.float64], labels: Labels
) -> None:
    overconfident = softmax(logits * 2).astype(np.float32)
    calibration = calibrate([(overconfident, labels)])
    assert calibration.temperature == pytest.approx(2.0, rel=0.02)
    kept = temper(overconfident, calibration.temperature).max(axis=1) >= calibration.uncertain_below
    assert 0.99 <= kept.mean() < 0.993


def test_the_threshold_keeps_99_percent_of_every_kind_of_digit(
    logits: npt.NDArray[np.float64], labels: Labels
) -> None:
    right = labels == logits.argmax(axis=1)
    easy, hard = (softmax(logits[chosen]).astype(np.float32) for chosen in (right, ~right))
    kinds = [(easy, labels[right]), (hard, labels[~right])]
    calibration = calibrate(kinds)
    assert calibration == calibrate(kinds[::-1])
    for probabilities, _ in kinds:
        confidences = temper(probabilities, calibration.temperature).max(axis=1)
        assert (confidences >= calibration.uncertain_below).mean() >= 0.99
    # One threshold for all of them together would flag the hard ones and none of the easy.
    together = np.concatenate([easy, hard])
    assert calibration.uncertain_below < fit_uncertain_below(temper(together, calibration.temperature))


def test_without_digits_to_fit_it_on_the_calibration_is_neutral() -> None:
    with pytest.raises(ValueError, match="at least one kind"):
        calibrate([])
    assert Calibration() == (NEUTRAL_TEMPERATURE, NEUTRAL_UNCERTAIN_BELOW) == (1.0, 0.5)


def test_answers_and_labels_that_do_not_belong_together_are_refused() -> None:
    probabilities = np.full((3, 10), 0.1, np.float32)
    for wrong in (np.zeros(2, np.uint8), np.zeros(0, np.uint8), np.zeros((3, 1), np.uint8)):
        for function in (fit_temperature, expected_calibration_error):
            with pytest.raises(ValueError, match=r"expected \(N, 10\) probabilities"):
                function(probabilities, wrong)
        with pytest.raises(ValueError, match=r"expected \(N, 10\) probabilities"):
            calibrate([(probabilities, np.zeros(3, np.uint8)), (probabilities, wrong)])
    for shape in ((0, 10), (3, 9), (10,)):
        with pytest.raises(ValueError, match=r"expected \(N, 10\) probabilities"):
            fit_uncertain_below(np.zeros(shape, np.float32))
