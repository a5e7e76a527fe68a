"""EvaluationService: measures versions, and shows data sets, mistakes, differences and doubtful labels."""

from __future__ import annotations

import asyncio

from digits.v1 import dataset_pb2, evaluation_pb2_grpc
from digits.v1 import evaluation_pb2 as pb

from server.application import Application
from server.datasets import Dataset
from server.errors import DataPreparing, DatasetUnavailable, InvalidArgument
from server.rpc.convert import comparison as comparison_convert
from server.rpc.convert import evaluation as convert
from server.rpc.convert.common import (
    DATASETS,
    chosen_version,
    data_source,
    optional_digit,
    required_dataset,
)
from server.rpc.interceptors import Context
from server.rpc.paging import read_page


class EvaluationServicer(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Measures versions."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._evaluations = application.evaluations
        self._review = application.review

    async def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: Context
    ) -> pb.ListDatasetsResponse:
        """Show which labelled digits there are."""
        page = read_page(request, default=100, maximum=100)
        try:
            data = self._application.data.data()
            source, available = data.source, data.available()
        except (DataPreparing, DatasetUnavailable):
            source, available = None, {}
        datasets = [
            dataset_pb2.DatasetInfo(
                dataset=number,  # type: ignore[arg-type]
                images=available.get(dataset, 0),
                is_available=dataset in available,
            )
            for dataset, number in DATASETS.items()
        ]
        return pb.ListDatasetsResponse(
            datasets=datasets[page.offset : page.offset + page.limit],
            data_source=data_source(source),
            data_progress=self._application.data.progress() if source is None else "",
            next_page_token=page.next_token(len(datasets)),
        )

    async def Evaluate(self, request: pb.EvaluateRequest, context: Context) -> pb.EvaluateResponse:
        """Start measuring a version."""
        dataset = required_dataset(request.dataset)
        version = self._application.version(chosen_version(request.model_version))
        evaluation = await asyncio.to_thread(self._evaluations.start, version.version, dataset)
        return pb.EvaluateResponse(evaluation=convert.evaluation(evaluation))

    async def GetEvaluation(
        self, request: pb.GetEvaluationRequest, context: Context
    ) -> pb.GetEvaluationResponse:
        """Show an evaluation."""
        if request.evaluation_id:
            evaluation = await asyncio.to_thread(self._evaluations.get, request.evaluation_id)
        else:
            version, dataset = self._measured(request)
            evaluation = await asyncio.to_thread(self._evaluations.latest, version, dataset)
        return pb.GetEvaluationResponse(evaluation=convert.evaluation(evaluation))

    async def ListTestDigits(
        self, request: pb.ListTestDigitsRequest, context: Context
    ) -> pb.ListTestDigitsResponse:
        """Show digits of a data set."""
        page = read_page(request, default=100, maximum=1000)
        dataset = required_dataset(request.dataset)
        label = optional_digit(request, "label")
        digits, total = await asyncio.to_thread(
            self._evaluations.test_digits, dataset, label, page.offset, page.limit, request.seed
        )
        return pb.ListTestDigitsResponse(
            digits=[convert.test_digit(digit) for digit in digits],
            next_page_token=page.next_token(total),
            total_size=total,
        )

    async def ListMisclassified(
        self, request: pb.ListMisclassifiedRequest, context: Context
    ) -> pb.ListMisclassifiedResponse:
        """Show what a version gets wrong."""
        page = read_page(request, default=100, maximum=1000)
        chosen = convert.misclassified_filter(request)
        version, dataset = self._measured(request)
        evaluation = await asyncio.to_thread(self._evaluations.latest, version, dataset)
        digits, total = await asyncio.to_thread(
            self._evaluations.misclassified, evaluation.evaluation_id, chosen, page.offset, page.limit
        )
        return pb.ListMisclassifiedResponse(
            digits=[convert.misclassified_digit(digit) for digit in digits],
            next_page_token=page.next_token(total),
            total_size=total,
            evaluation_id=evaluation.evaluation_id,
        )

    async def CompareModels(
        self, request: pb.CompareModelsRequest, context: Context
    ) -> pb.CompareModelsResponse:
        """Show what two versions read differently."""
        page = read_page(request, default=100, maximum=1000)
        chosen = comparison_convert.comparison_filter(request)
        base_version = chosen_version(request.base_version, "base_version")
        candidate_version = comparison_convert.candidate_version(request.candidate_version)
        asked_for = convert.dataset(request.dataset)
        base = self._application.version(base_version)
        candidate = self._application.version(candidate_version)
        dataset = asked_for or candidate.test_dataset
        comparison = await asyncio.to_thread(
            self._review.compare, base.version, candidate.version, dataset, chosen, page.offset, page.limit
        )
        token = page.next_token(comparison.total)
        return comparison_convert.comparison(comparison, base.version, dataset, token)

    async def ListLikelyLabelErrors(
        self, request: pb.ListLikelyLabelErrorsRequest, context: Context
    ) -> pb.ListLikelyLabelErrorsResponse:
        """Show which labels a version doubts."""
        page = read_page(request, default=100, maximum=1000)
        version, dataset = self._measured(request)
        digits, total, evaluation = await asyncio.to_thread(
            self._review.likely_label_errors, version, dataset, page.offset, page.limit
        )
        return pb.ListLikelyLabelErrorsResponse(
            digits=[convert.likely_label_error(digit) for digit in digits],
            next_page_token=page.next_token(total),
            total_size=total,
            evaluation=convert.evaluation(evaluation),
        )

    async def MarkMislabelled(
        self, request: pb.MarkMislabelledRequest, context: Context
    ) -> pb.MarkMislabelledResponse:
        """Note what a person says of a label."""
        dataset = required_dataset(request.dataset)
        correct_label = optional_digit(request, "correct_label")
        if correct_label is not None and not request.is_mislabelled:
            raise InvalidArgument(
                "correct_label", f"expected none where a mark is taken back, got {correct_label}"
            )
        mislabelled = await asyncio.to_thread(
            self._review.mark_mislabelled, dataset, request.index, request.is_mislabelled, correct_label
        )
        return pb.MarkMislabelledResponse(mislabelled=mislabelled)

    def _measured(
        self,
        request: pb.GetEvaluationRequest | pb.ListMisclassifiedRequest | pb.ListLikelyLabelErrorsRequest,
    ) -> tuple[int, Dataset]:
        """The version and the data set that a request is about; by default what the version was tested on."""
        version = self._application.version(chosen_version(request.model_version))
        return version.version, convert.dataset(request.dataset) or version.test_dataset
