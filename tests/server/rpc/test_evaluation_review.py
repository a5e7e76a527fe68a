"""Comparing versions, doubting labels and marking them, over a live channel."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from digits.v1 import dataset_pb2
from digits.v1 import evaluation_pb2 as pb

from server.models import ModelStore

TEST = dataset_pb2.DATASET_BUILTIN_TEST
DIGITS = dataset_pb2.DATASET_BUILTIN_DIGITS
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def service(launch_server: Any, stubs_of: Any, complete: Callable[..., Path], regression: Any) -> Any:
    """A server with a second, much simpler version, both measured on the built-in test digits."""
    server = launch_server(DIGITS_MNIST="")
    store = ModelStore(server.data / "models")
    store.commit(complete(store.staging("second"), regression))
    evaluation = stubs_of(server).evaluation
    for version in (1, 2):
        _measure(evaluation, version)
    return evaluation


def _measure(service: Any, version: int) -> None:
    deadline = time.monotonic() + 60
    while not service.ListDatasets(pb.ListDatasetsRequest(), timeout=TIMEOUT_S).HasField("data_source"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    request = pb.EvaluateRequest(model_version=version, dataset=TEST)
    state = service.Evaluate(request, timeout=TIMEOUT_S).evaluation
    while state.state == pb.EVALUATION_STATE_RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        again = pb.GetEvaluationRequest(evaluation_id=state.evaluation_id)
        state = service.GetEvaluation(again, timeout=TIMEOUT_S).evaluation
    assert state.state == pb.EVALUATION_STATE_SUCCEEDED, state.failure_reason


def _evaluation(service: Any, version: int) -> pb.Evaluation:
    request = pb.GetEvaluationRequest(model_version=version, dataset=TEST)
    return service.GetEvaluation(request, timeout=TIMEOUT_S).evaluation


def _compared(service: Any, **choices: Any) -> pb.CompareModelsResponse:
    request = pb.CompareModelsRequest(
        **{"base_version": 2, "candidate_version": 1, "dataset": TEST, **choices}
    )
    return service.CompareModels(request, timeout=TIMEOUT_S)


def _misread(service: Any, version: int) -> set[int]:
    request = pb.ListMisclassifiedRequest(model_version=version, dataset=TEST, page_size=1000)
    return {digit.index for digit in service.ListMisclassified(request, timeout=TIMEOUT_S).digits}


def _doubted(service: Any, **choices: Any) -> pb.ListLikelyLabelErrorsResponse:
    request = pb.ListLikelyLabelErrorsRequest(**{"model_version": 2, "dataset": TEST, **choices})
    return service.ListLikelyLabelErrors(request, timeout=TIMEOUT_S)


def _mark(service: Any, index: int, is_mislabelled: bool = True, **choices: Any) -> int:
    request = pb.MarkMislabelledRequest(dataset=TEST, index=index, is_mislabelled=is_mislabelled, **choices)
    return service.MarkMislabelled(request, timeout=TIMEOUT_S).mislabelled


def test_a_comparison_counts_what_the_two_lists_of_mistakes_differ_in(service: Any) -> None:
    base, candidate = _misread(service, 2), _misread(service, 1)
    reply = _compared(service, page_size=1000)
    assert (reply.fixed, reply.broken) == (len(base - candidate), len(candidate - base))
    assert (reply.both_wrong, reply.both_right) == (len(base & candidate), 1000 - len(base | candidate))
    assert (reply.images, reply.base_version, reply.dataset) == (1000, 2, TEST)
    assert [digit.index for digit in reply.digits] == sorted(base | candidate)
    # A network of five convolutions against a single layer, on a thousand digits.
    assert reply.fixed > 10 * max(1, reply.broken)
    assert reply.p_value < 1e-6


def test_the_other_way_round_what_was_fixed_is_broken(service: Any) -> None:
    one, other = _compared(service), _compared(service, base_version=1, candidate_version=2)
    assert (one.fixed, one.broken) == (other.broken, other.fixed)
    assert one.p_value == other.p_value
    assert list(one.confusion_difference) == [-difference for difference in other.confusion_difference]


def test_the_confusion_difference_is_the_difference_of_the_two_matrices(service: Any) -> None:
    base, candidate = (np.array(_evaluation(service, version).confusion_matrix) for version in (2, 1))
    assert list(_compared(service).confusion_difference) == (candidate - base).tolist()


def test_without_a_base_it_is_the_deployed_version_and_without_a_data_set_the_candidates_own(
    service: Any,
) -> None:
    request = pb.CompareModelsRequest(candidate_version=2)
    reply = service.CompareModels(request, timeout=TIMEOUT_S)
    assert (reply.base_version, reply.dataset) == (1, TEST)


@pytest.mark.parametrize(
    "outcome",
    [pb.COMPARISON_OUTCOME_FIXED, pb.COMPARISON_OUTCOME_BROKEN, pb.COMPARISON_OUTCOME_BOTH_WRONG],
)
def test_a_filter_shows_one_outcome_and_every_digit_bears_it_out(service: Any, outcome: Any) -> None:
    reply = _compared(service, outcome=outcome, page_size=1000)
    assert reply.total_size == len(reply.digits)
    for digit in reply.digits:
        is_right = [one.predicted_digit == digit.true_digit for one in (digit.base, digit.candidate)]
        assert (digit.outcome, len(digit.pixels)) == (outcome, 784)
        assert is_right == [outcome == pb.COMPARISON_OUTCOME_BROKEN, outcome == pb.COMPARISON_OUTCOME_FIXED]
        for one in (digit.base, digit.candidate):
            assert one.predicted_digit == int(np.argmax(one.probabilities))
            assert one.confidence == max(one.probabilities)


def test_a_true_digit_narrows_the_tiles_and_not_the_counts(service: Any) -> None:
    whole, eights = _compared(service), _compared(service, true_digit=8)
    assert {digit.true_digit for digit in eights.digits} == {8}
    assert 0 < eights.total_size < whole.total_size
    assert (eights.fixed, eights.p_value) == (whole.fixed, whole.p_value)


def test_pages_hold_all_digits_of_a_comparison_in_order(service: Any) -> None:
    whole = [digit.index for digit in _compared(service, page_size=1000).digits]
    assert _all_pages(lambda **page: _compared(service, **page), page_size=50) == whole


def _all_pages(call: Callable[..., Any], page_size: int) -> list[int]:
    indices, token = [], ""
    while True:
        reply = call(page_size=page_size, page_token=token)
        indices += [digit.index for digit in reply.digits]
        token = reply.next_page_token
        if not token:
            return indices


BAD_COMPARISONS = {
    "no candidate": ({"candidate_version": 0}, "candidate_version"),
    "a base below zero": ({"base_version": -1}, "base_version"),
    "an unknown outcome": ({"outcome": 9}, "outcome"),
    "a digit above 9": ({"true_digit": 10}, "true_digit"),
    "an unknown data set": ({"dataset": 50}, "dataset"),
    "a page that is too large": ({"page_size": 1001}, "page_size"),
    "a page token that was made up": ({"page_token": "abc"}, "page_token"),
}


@pytest.mark.parametrize(("choices", "field"), BAD_COMPARISONS.values(), ids=BAD_COMPARISONS.keys())
def test_a_bad_comparison_is_refused_by_name(
    service: Any, refused: Any, choices: dict[str, Any], field: str
) -> None:
    request = pb.CompareModelsRequest(**{"base_version": 2, "candidate_version": 1, **choices})
    refusal = refused(service.CompareModels, request)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [field]


def test_a_version_that_was_not_measured_there_is_not_found_and_the_way_out_is_told(
    service: Any, refused: Any
) -> None:
    request = pb.CompareModelsRequest(base_version=2, candidate_version=1, dataset=DIGITS)
    refusal = refused(service.CompareModels, request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "EVALUATION_NOT_FOUND")
    assert refusal.message == "version 2 was not measured on builtin_digits yet; Evaluate does it"
    unknown = refused(service.CompareModels, pb.CompareModelsRequest(candidate_version=99, dataset=TEST))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


def test_mistakes_by_margin_begin_where_the_true_digit_was_furthest_off(service: Any) -> None:
    request = pb.ListMisclassifiedRequest(
        model_version=2, dataset=TEST, order=pb.MISCLASSIFIED_ORDER_MARGIN, page_size=1000
    )
    digits = service.ListMisclassified(request, timeout=TIMEOUT_S).digits
    margins = [digit.margin for digit in digits]
    assert margins == sorted(margins, reverse=True)
    for digit in digits:
        expected = digit.confidence - digit.probabilities[digit.true_digit]
        assert digit.margin == pytest.approx(expected, abs=1e-6)


def test_doubted_labels_come_surest_first_with_their_evaluation(service: Any) -> None:
    reply = _doubted(service, page_size=1000)
    scores = [digit.score for digit in reply.digits]
    assert scores == sorted(scores, reverse=True)
    assert {digit.index for digit in reply.digits} >= _misread(service, 2)
    assert reply.total_size == len(reply.digits)
    assert reply.evaluation == _evaluation(service, 2)
    for digit in reply.digits:
        assert digit.label != digit.suggested_label
        assert (len(digit.pixels), len(digit.probabilities)) == (784, 10)
        assert not digit.is_marked_mislabelled
        assert not digit.HasField("correct_label")


def test_pages_hold_all_doubted_labels_in_order(service: Any) -> None:
    whole = [digit.index for digit in _doubted(service, page_size=1000).digits]
    assert _all_pages(lambda **page: _doubted(service, **page), page_size=50) == whole


def test_a_mark_is_seen_wherever_the_digit_is_until_it_is_taken_back(service: Any) -> None:
    before = _evaluation(service, 2)
    first = _doubted(service, page_size=1).digits[0]
    assert _mark(service, first.index, correct_label=first.suggested_label) == 1

    marked = _doubted(service, page_size=1).digits[0]
    assert (marked.index, marked.is_marked_mislabelled) == (first.index, True)
    assert marked.correct_label == first.suggested_label
    mistakes = service.ListMisclassified(
        pb.ListMisclassifiedRequest(model_version=2, dataset=TEST, page_size=1000), timeout=TIMEOUT_S
    )
    assert [digit.index for digit in mistakes.digits if digit.is_marked_mislabelled] == [first.index]
    compared = _compared(service, page_size=1000).digits
    assert [digit.index for digit in compared if digit.is_marked_mislabelled] == [first.index]
    with_mark = _evaluation(service, 2)
    assert (with_mark.mislabelled, with_mark.accuracy) == (1, before.accuracy)
    rightly = before.images - before.misclassified
    assert with_mark.accuracy_without_mislabelled == pytest.approx(rightly / 999)
    assert with_mark.accuracy_without_mislabelled_low < rightly / 999
    assert with_mark.accuracy_without_mislabelled_high > rightly / 999

    assert _mark(service, first.index, is_mislabelled=False) == 0
    assert _evaluation(service, 2) == before
    assert not before.HasField("accuracy_without_mislabelled")


BAD_MARKS = {
    "no data set": ({"dataset": 0}, "dataset"),
    "a place below zero": ({"index": -1}, "index"),
    "a place after the last": ({"index": 1000}, "index"),
    "no digit": ({"correct_label": 10}, "correct_label"),
    "a correction where a mark is taken back": (
        {"is_mislabelled": False, "correct_label": 3},
        "correct_label",
    ),
}


@pytest.mark.parametrize(("choices", "field"), BAD_MARKS.values(), ids=BAD_MARKS.keys())
def test_a_bad_mark_is_refused_by_name(
    service: Any, refused: Any, choices: dict[str, Any], field: str
) -> None:
    request = pb.MarkMislabelledRequest(**{"dataset": TEST, "index": 3, "is_mislabelled": True, **choices})
    refusal = refused(service.MarkMislabelled, request)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [field]


def test_a_mark_that_says_what_the_label_says_is_refused(service: Any, refused: Any) -> None:
    label = _doubted(service, page_size=1).digits[0]
    request = pb.MarkMislabelledRequest(
        dataset=TEST, index=label.index, is_mislabelled=True, correct_label=label.label
    )
    assert refused(service.MarkMislabelled, request).fields == ["correct_label"]


def test_digits_that_are_not_on_this_machine_cannot_be_marked(service: Any, refused: Any) -> None:
    request = pb.MarkMislabelledRequest(
        dataset=dataset_pb2.DATASET_MNIST_TEST, index=9729, is_mislabelled=True
    )
    refusal = refused(service.MarkMislabelled, request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DATASET_UNAVAILABLE")
