"""EvaluationService: data sets, measurements, and the digits that versions misread."""

from __future__ import annotations

from functools import partial

from digits.client import records
from digits.client.call import Kind, Rpc, Terms, Unary, read, unary
from digits.client.choices import ComparisonOutcome, Dataset, MisclassifiedOrder
from digits.client.messages import evaluation as messages
from digits.client.messages.comparison import comparison
from digits.client.messages.dataset import datasets
from digits.v1 import dataset_pb2
from digits.v1 import evaluation_pb2 as pb

LIST_DATASETS = Rpc("EvaluationService/ListDatasets", pb.ListDatasetsResponse)
EVALUATE = Rpc("EvaluationService/Evaluate", pb.EvaluateResponse)
GET_EVALUATION = Rpc("EvaluationService/GetEvaluation", pb.GetEvaluationResponse)
LIST_TEST_DIGITS = Rpc("EvaluationService/ListTestDigits", pb.ListTestDigitsResponse)
LIST_MISCLASSIFIED = Rpc("EvaluationService/ListMisclassified", pb.ListMisclassifiedResponse)
COMPARE_MODELS = Rpc("EvaluationService/CompareModels", pb.CompareModelsResponse)
LIST_LIKELY_LABEL_ERRORS = Rpc("EvaluationService/ListLikelyLabelErrors", pb.ListLikelyLabelErrorsResponse)
MARK_MISLABELLED = Rpc("EvaluationService/MarkMislabelled", pb.MarkMislabelledResponse)


def list_datasets(timeout_s: float | None = None) -> Unary[records.Datasets]:
    """The data sets, and which of them are on the server's machine."""
    return read(LIST_DATASETS, pb.ListDatasetsRequest(), datasets, timeout_s)


def evaluate(
    dataset: Dataset, model_version: int = 0, timeout_s: float | None = None
) -> Unary[records.Evaluation]:
    """Start measuring a version on a data set; get_evaluation tells when it is done."""
    request = pb.EvaluateRequest(model_version=model_version, dataset=_to_dataset(dataset))
    # While it is measured, a second call gives the same measurement.
    return unary(EVALUATE, request, _evaluation, Terms(Kind.CHANGE, timeout_s, is_repeatable=True))


def get_evaluation(
    evaluation_id: str = "",
    *,
    model_version: int = 0,
    dataset: Dataset = Dataset.UNSPECIFIED,
    timeout_s: float | None = None,
) -> Unary[records.Evaluation]:
    """One evaluation by its id, or the newest successful one of a version on a data set."""
    request = pb.GetEvaluationRequest(
        evaluation_id=evaluation_id, model_version=model_version, dataset=_to_dataset(dataset)
    )
    return read(GET_EVALUATION, request, _evaluation, timeout_s)


def list_test_digits(
    dataset: Dataset,
    *,
    label: int | None = None,
    seed: int = 0,
    page_size: int = 100,
    page_token: str = "",
    timeout_s: float | None = None,
) -> Unary[records.TestDigits]:
    """The digits of a data set. Seed 0: in their own order; otherwise shuffled by it."""
    request = pb.ListTestDigitsRequest(
        dataset=_to_dataset(dataset), label=label, seed=seed, page_size=page_size, page_token=page_token
    )
    return read(LIST_TEST_DIGITS, request, messages.test_digits, timeout_s)


def list_misclassified(
    *,
    model_version: int = 0,
    dataset: Dataset = Dataset.UNSPECIFIED,
    true_digit: int | None = None,
    predicted_digit: int | None = None,
    min_confidence: float | None = None,
    max_confidence: float | None = None,
    order: MisclassifiedOrder = MisclassifiedOrder.UNSPECIFIED,
    seed: int = 0,
    page_size: int = 100,
    page_token: str = "",
    timeout_s: float | None = None,
) -> Unary[records.MisclassifiedDigits]:
    """The digits that a version misreads, the most confident first unless told otherwise."""
    request = pb.ListMisclassifiedRequest(
        model_version=model_version,
        dataset=_to_dataset(dataset),
        true_digit=true_digit,
        predicted_digit=predicted_digit,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        order=pb.MisclassifiedOrder.ValueType(order),
        seed=seed,
        page_size=page_size,
        page_token=page_token,
    )
    return read(LIST_MISCLASSIFIED, request, messages.misclassified_digits, timeout_s)


def compare_models(
    candidate_version: int,
    base_version: int = 0,
    *,
    dataset: Dataset = Dataset.UNSPECIFIED,
    outcome: ComparisonOutcome = ComparisonOutcome.UNSPECIFIED,
    true_digit: int | None = None,
    page_size: int = 100,
    page_token: str = "",
    timeout_s: float | None = None,
) -> Unary[records.Comparison]:
    """What two versions read differently. Base 0 is the deployed one; both must have been measured."""
    request = pb.CompareModelsRequest(
        base_version=base_version,
        candidate_version=candidate_version,
        dataset=_to_dataset(dataset),
        outcome=pb.ComparisonOutcome.ValueType(outcome),
        true_digit=true_digit,
        page_size=page_size,
        page_token=page_token,
    )
    return read(COMPARE_MODELS, request, partial(comparison, candidate_version=candidate_version), timeout_s)


def list_likely_label_errors(
    *,
    model_version: int = 0,
    dataset: Dataset = Dataset.UNSPECIFIED,
    page_size: int = 100,
    page_token: str = "",
    timeout_s: float | None = None,
) -> Unary[records.LikelyLabelErrors]:
    """The digits whose label a version holds for wrong, the surest first."""
    request = pb.ListLikelyLabelErrorsRequest(
        model_version=model_version, dataset=_to_dataset(dataset), page_size=page_size, page_token=page_token
    )
    return read(LIST_LIKELY_LABEL_ERRORS, request, messages.likely_label_errors, timeout_s)


def mark_mislabelled(
    dataset: Dataset,
    index: int,
    is_mislabelled: bool = True,
    *,
    correct_label: int | None = None,
    timeout_s: float | None = None,
) -> Unary[int]:
    """Note that a digit's label is wrong, or take that back; returns how many are marked in the data set."""
    request = pb.MarkMislabelledRequest(
        dataset=_to_dataset(dataset), index=index, is_mislabelled=is_mislabelled, correct_label=correct_label
    )
    terms = Terms(Kind.CHANGE, timeout_s, is_repeatable=True)
    return unary(MARK_MISLABELLED, request, lambda response: int(response.mislabelled), terms)


def _to_dataset(dataset: Dataset) -> dataset_pb2.Dataset.ValueType:
    return dataset_pb2.Dataset.ValueType(dataset)


def _evaluation(response: pb.EvaluateResponse | pb.GetEvaluationResponse) -> records.Evaluation:
    return messages.evaluation(response.evaluation)
