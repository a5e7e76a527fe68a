"""Measuring versions, browsing data sets and looking at mistakes, over a live channel."""

from __future__ import annotations

import time
from typing import Any

import grpc
import numpy as np
import pytest
from digits.v1 import dataset_pb2, prediction_pb2
from digits.v1 import evaluation_pb2 as pb


@pytest.fixture(scope="module")
def measured(stubs: Any) -> pb.Evaluation:
    """The shipped version, measured anew on the built-in digits: it has validated on them, never trained."""
    request = pb.EvaluateRequest(model_version=1, dataset=dataset_pb2.DATASET_BUILTIN_DIGITS)
    evaluation = stubs.evaluation.Evaluate(request, timeout=60).evaluation
    deadline = time.monotonic() + 60
    while evaluation.state == pb.EVALUATION_STATE_RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        request_again = pb.GetEvaluationRequest(evaluation_id=evaluation.evaluation_id)
        evaluation = stubs.evaluation.GetEvaluation(request_again, timeout=60).evaluation
    assert evaluation.state == pb.EVALUATION_STATE_SUCCEEDED, evaluation.failure_reason
    return evaluation


def _mistakes(stubs: Any, **choices: Any) -> pb.ListMisclassifiedResponse:
    request = pb.ListMisclassifiedRequest(
        model_version=1, dataset=dataset_pb2.DATASET_BUILTIN_DIGITS, **choices
    )
    return stubs.evaluation.ListMisclassified(request, timeout=60)


def test_the_data_sets_tell_which_are_here_and_where_they_came_from(stubs: Any) -> None:
    reply = stubs.evaluation.ListDatasets(pb.ListDatasetsRequest(), timeout=60)
    sizes = {info.dataset: info.images for info in reply.datasets}
    assert sizes[dataset_pb2.DATASET_BUILTIN_DIGITS] == 5000
    assert sizes[dataset_pb2.DATASET_BUILTIN_TEST] == 1000
    has_all_of_mnist = reply.data_source.kind != dataset_pb2.DATA_SOURCE_KIND_BUILTIN
    assert sizes[dataset_pb2.DATASET_MNIST_TEST] == (10000 if has_all_of_mnist else 0)
    assert len(reply.data_source.sha256) == 64


def test_an_evaluation_has_every_number_and_they_agree(measured: pb.Evaluation) -> None:
    matrix = np.array(measured.confusion_matrix).reshape(10, 10)
    assert matrix.sum() == measured.images == 5000
    assert measured.images - np.trace(matrix) == measured.misclassified
    assert measured.accuracy == pytest.approx(np.trace(matrix) / 5000)
    assert measured.accuracy_low < measured.accuracy < measured.accuracy_high
    assert measured.accuracy > 0.99
    assert measured.HasField("expected_calibration_error")
    assert 0 < measured.expected_calibration_error < 0.02
    assert [row.support for row in measured.per_class] == [500] * 10
    seven = measured.per_class[7]
    assert seven.recall == pytest.approx(matrix[7, 7] / matrix[7].sum())
    assert seven.precision == pytest.approx(matrix[7, 7] / matrix[:, 7].sum())


def test_the_newest_evaluation_is_found_by_version_and_data_set(stubs: Any, measured: pb.Evaluation) -> None:
    request = pb.GetEvaluationRequest(model_version=1, dataset=dataset_pb2.DATASET_BUILTIN_DIGITS)
    assert stubs.evaluation.GetEvaluation(request, timeout=60).evaluation == measured


def test_without_a_data_set_it_is_the_test_set_of_the_training(stubs: Any) -> None:
    evaluation = stubs.evaluation.GetEvaluation(pb.GetEvaluationRequest(), timeout=60).evaluation
    assert evaluation.model_version == 1
    assert evaluation.dataset == dataset_pb2.DATASET_MNIST_TEST
    assert evaluation.images == 10000
    assert evaluation.accuracy >= 0.993


def test_every_mistake_is_listed_once_and_is_one(stubs: Any, measured: pb.Evaluation) -> None:
    reply = _mistakes(stubs, page_size=1000)
    assert reply.total_size == len(reply.digits) == measured.misclassified
    assert reply.evaluation_id == measured.evaluation_id
    assert len({digit.index for digit in reply.digits}) == len(reply.digits)
    for digit in reply.digits:
        assert digit.true_digit != digit.predicted_digit
        assert digit.predicted_digit == int(np.argmax(digit.probabilities))
        assert digit.confidence == max(digit.probabilities)
        assert len(digit.pixels) == 784
        expected_loss = -np.log(np.clip(digit.probabilities[digit.true_digit], 1e-7, 1))
        assert digit.loss == pytest.approx(expected_loss, abs=1e-4)


def test_a_listed_mistake_is_misread_by_predict_as_well(stubs: Any, measured: pb.Evaluation) -> None:
    for digit in _mistakes(stubs, page_size=5).digits:
        image = prediction_pb2.Image(pixels=digit.pixels)
        reply = stubs.prediction.Predict(
            prediction_pb2.PredictRequest(image=image, model_version=1), timeout=60
        )
        assert reply.prediction.digit == digit.predicted_digit
        assert reply.prediction.confidence == pytest.approx(digit.confidence, abs=1e-4)


def test_the_orders_are_what_they_say(stubs: Any, measured: pb.Evaluation) -> None:
    by_default = [digit.confidence for digit in _mistakes(stubs).digits]
    assert by_default == sorted(by_default, reverse=True)
    losses = [digit.loss for digit in _mistakes(stubs, order=pb.MISCLASSIFIED_ORDER_LOSS).digits]
    assert losses == sorted(losses, reverse=True)
    indices = [digit.index for digit in _mistakes(stubs, order=pb.MISCLASSIFIED_ORDER_INDEX).digits]
    assert indices == sorted(indices)


def test_a_seed_gives_the_same_sixteen_again_and_another_seed_others(
    stubs: Any, measured: pb.Evaluation
) -> None:
    def sixteen(seed: int) -> list[int]:
        reply = _mistakes(stubs, order=pb.MISCLASSIFIED_ORDER_RANDOM, seed=seed, page_size=16)
        return [digit.index for digit in reply.digits]

    assert sixteen(1) == sixteen(1)
    assert sixteen(1) != sixteen(2)
    assert len(sixteen(1)) == min(16, measured.misclassified)


def test_filters_narrow_and_the_count_follows(stubs: Any, measured: pb.Evaluation) -> None:
    matrix = np.array(measured.confusion_matrix).reshape(10, 10)
    np.fill_diagonal(matrix, 0)
    true, predicted = np.unravel_index(matrix.argmax(), matrix.shape)
    reply = _mistakes(stubs, true_digit=int(true), predicted_digit=int(predicted))
    assert reply.total_size == matrix.max()
    assert {(digit.true_digit, digit.predicted_digit) for digit in reply.digits} == {(true, predicted)}
    unsure = _mistakes(stubs, max_confidence=0.6)
    assert all(digit.confidence <= 0.6 for digit in unsure.digits)


def test_pages_hold_all_mistakes_in_order(stubs: Any, measured: pb.Evaluation) -> None:
    whole = [digit.index for digit in _mistakes(stubs, page_size=1000).digits]
    token, paged = "", []
    while True:
        reply = _mistakes(stubs, page_size=7, page_token=token)
        paged += [digit.index for digit in reply.digits]
        token = reply.next_page_token
        if not token:
            break
    assert paged == whole


def test_no_mistakes_that_fit_is_a_normal_answer(stubs: Any, measured: pb.Evaluation) -> None:
    reply = _mistakes(stubs, true_digit=3, predicted_digit=3)
    assert (reply.total_size, list(reply.digits), reply.next_page_token) == (0, [], "")


def test_test_digits_are_filtered_and_shuffled_by_seed(stubs: Any) -> None:
    def page(**choices: Any) -> pb.ListTestDigitsResponse:
        request = pb.ListTestDigitsRequest(
            dataset=dataset_pb2.DATASET_BUILTIN_DIGITS, page_size=20, **choices
        )
        return stubs.evaluation.ListTestDigits(request, timeout=60)

    threes = page(label=3)
    assert threes.total_size == 500
    assert {digit.label for digit in threes.digits} == {3}
    assert [digit.index for digit in page().digits] == list(range(20))
    assert page(seed=5) == page(seed=5)
    assert page(seed=5) != page(seed=6)


BAD_MISTAKES = {
    "a digit above 9": ({"true_digit": 10}, "true_digit"),
    "a digit below 0": ({"predicted_digit": -1}, "predicted_digit"),
    "a confidence above 1": ({"min_confidence": 1.5}, "min_confidence"),
    "a confidence that is no number": ({"max_confidence": float("nan")}, "max_confidence"),
    "an empty range": ({"min_confidence": 0.9, "max_confidence": 0.1}, "max_confidence"),
    "an unknown order": ({"order": 77}, "order"),
    "a page that is too large": ({"page_size": 1001}, "page_size"),
    "a page token that was made up": ({"page_token": "abc"}, "page_token"),
    "an unknown data set": ({"dataset": 50}, "dataset"),
    "a version below zero": ({"model_version": -3}, "model_version"),
}


@pytest.mark.parametrize(("choices", "field"), BAD_MISTAKES.values(), ids=BAD_MISTAKES.keys())
def test_a_bad_filter_is_refused_by_name(
    stubs: Any, refused: Any, choices: dict[str, Any], field: str
) -> None:
    refusal = refused(stubs.evaluation.ListMisclassified, pb.ListMisclassifiedRequest(**choices))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [field]


def test_a_page_token_of_another_query_is_refused(stubs: Any, refused: Any, measured: pb.Evaluation) -> None:
    token = _mistakes(stubs, page_size=1).next_page_token
    request = pb.ListMisclassifiedRequest(page_token=token, true_digit=1)
    refusal = refused(stubs.evaluation.ListMisclassified, request)
    assert (refusal.reason, refusal.fields) == ("INVALID_PAGE_TOKEN", ["page_token"])


def test_measuring_needs_a_data_set_and_a_version_that_exists(stubs: Any, refused: Any) -> None:
    without = refused(stubs.evaluation.Evaluate, pb.EvaluateRequest(model_version=1))
    assert (without.code, without.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["dataset"])
    builtin = dataset_pb2.DATASET_BUILTIN_DIGITS
    unknown = refused(stubs.evaluation.Evaluate, pb.EvaluateRequest(model_version=99, dataset=builtin))
    assert unknown.code is grpc.StatusCode.NOT_FOUND


def test_an_unknown_evaluation_is_not_found(stubs: Any, refused: Any) -> None:
    refusal = refused(stubs.evaluation.GetEvaluation, pb.GetEvaluationRequest(evaluation_id="nothing"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "EVALUATION_NOT_FOUND")
