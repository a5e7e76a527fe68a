"""The model server as the pages see it: typed calls in, records out, and one small tree of errors.

Nothing of gRPC or protobuf leaves this package. Every call has a deadline, so that a page
never hangs; a lost connection is taken up again by itself, within a second of the server's return.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import grpc
from digits.v1 import (
    dataset_pb2,
    evaluation_pb2,
    evaluation_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from frontend import records
from frontend.choices import Dataset, Interpolation, MisclassifiedOrder, Preprocessing
from frontend.client import messages
from frontend.errors import ClientError, Refused, ServerFault, ServerUnavailable

Response = TypeVar("Response")

READ_DEADLINE_S = 2.0
PREDICT_DEADLINE_S = 5.0
# Loads a model and tries it; starting and cancelling a run may wait for a child process.
CHANGE_DEADLINE_S = 10.0

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Notices a machine that vanished without a word while a call waits for it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    # Two tests in one process may talk to two servers at one address, one after the other.
    ("grpc.use_local_subchannel_pool", 1),
)


class Client:
    """All methods of `digits.v1` at one address. Safe to share between threads; holds one channel.

    Every method raises ServerUnavailable, Refused or ServerFault.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._prediction = prediction_pb2_grpc.PredictionServiceStub(self._channel)
        self._training = training_pb2_grpc.TrainingServiceStub(self._channel)
        self._evaluation = evaluation_pb2_grpc.EvaluationServiceStub(self._channel)
        self._model = model_pb2_grpc.ModelServiceStub(self._channel)

    def close(self) -> None:
        """End the connection. The client cannot be used afterwards."""
        self._channel.close()

    # Predictions

    def predict(
        self,
        image: bytes,
        *,
        preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
        interpolation: Interpolation = Interpolation.UNSPECIFIED,
        model_version: int = 0,
    ) -> records.Answer:
        """Read the digit in an encoded image (PNG, JPEG, WebP or BMP). Version 0 is the deployed one."""
        return self._predict(prediction_pb2.Image(encoded=image), preprocessing, interpolation, model_version)

    def predict_pixels(
        self,
        pixels: records.Pixels,
        *,
        preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
        interpolation: Interpolation = Interpolation.UNSPECIFIED,
        model_version: int = 0,
    ) -> records.Answer:
        """Read the digit in a (28, 28) uint8 image, 0 = background; as it is, unless told otherwise."""
        return self._predict(
            prediction_pb2.Image(pixels=pixels.tobytes()), preprocessing, interpolation, model_version
        )

    def predict_batch(
        self,
        images: Sequence[bytes],
        *,
        preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
        interpolation: Interpolation = Interpolation.UNSPECIFIED,
        model_version: int = 0,
    ) -> records.BatchAnswer:
        """Read one digit from each of up to 1,024 encoded images."""
        request = prediction_pb2.BatchPredictRequest(
            images=[prediction_pb2.Image(encoded=image) for image in images],
            preprocessing=prediction_pb2.Preprocessing.ValueType(preprocessing),
            interpolation=prediction_pb2.Interpolation.ValueType(interpolation),
            model_version=model_version,
        )
        response = self._call(self._prediction.BatchPredict, request, PREDICT_DEADLINE_S)
        return records.BatchAnswer(
            tuple(messages.prediction(prediction) for prediction in response.predictions),
            response.model_version,
            messages.timings(response.timings),
        )

    def read_number(self, image: bytes, *, model_version: int = 0) -> records.NumberAnswer:
        """Read every digit in an encoded image (PNG, JPEG, WebP or BMP). Version 0 is the deployed one."""
        request = prediction_pb2.ReadNumberRequest(encoded=image, model_version=model_version)
        response = self._call(self._prediction.ReadNumber, request, PREDICT_DEADLINE_S)
        return records.NumberAnswer(
            response.text,
            tuple(messages.number_digit(digit) for digit in response.digits),
            response.model_version,
            messages.timings(response.timings),
        )

    def _predict(
        self,
        image: prediction_pb2.Image,
        preprocessing: Preprocessing,
        interpolation: Interpolation,
        model_version: int,
    ) -> records.Answer:
        request = prediction_pb2.PredictRequest(
            image=image,
            preprocessing=prediction_pb2.Preprocessing.ValueType(preprocessing),
            interpolation=prediction_pb2.Interpolation.ValueType(interpolation),
            model_version=model_version,
        )
        response = self._call(self._prediction.Predict, request, PREDICT_DEADLINE_S)
        return records.Answer(
            messages.prediction(response.prediction),
            response.model_version,
            messages.timings(response.timings),
        )

    # Training

    def list_recipes(self) -> records.Recipes:
        """The recipes, their defaults, the ranges of their options, and the data a run would use."""
        response = self._call(self._training.ListRecipes, training_pb2.ListRecipesRequest(), READ_DEADLINE_S)
        return records.Recipes(
            recipes=tuple(messages.recipe(recipe) for recipe in response.recipes),
            option_ranges={
                bounds.option: records.OptionRange(bounds.option, bounds.min, bounds.max)
                for bounds in response.option_ranges
            },
            data_source=messages.data_source(response.data_source)
            if response.HasField("data_source")
            else None,
            data_progress=response.data_progress,
        )

    def start_training(
        self,
        recipe: str,
        options: records.TrainingOptions | None = None,
        *,
        deploy_when_done: bool = False,
        request_id: str = "",
    ) -> records.Training:
        """Start a run, or put it in the queue. The same request_id gives the same run again."""
        request = training_pb2.StartTrainingRequest(
            recipe=recipe,
            options=messages.to_training_options(options or records.TrainingOptions()),
            deploy_when_done=deploy_when_done,
            request_id=request_id,
        )
        response = self._call(self._training.StartTraining, request, CHANGE_DEADLINE_S)
        return messages.training(response.training)

    def get_training(self, training_id: str) -> records.Training:
        """One run as it stands now."""
        request = training_pb2.GetTrainingRequest(training_id=training_id)
        return messages.training(self._call(self._training.GetTraining, request, READ_DEADLINE_S).training)

    def list_trainings(self, page_size: int = 20, page_token: str = "") -> records.Trainings:
        """The runs, newest first."""
        request = training_pb2.ListTrainingsRequest(page_size=page_size, page_token=page_token)
        response = self._call(self._training.ListTrainings, request, READ_DEADLINE_S)
        return records.Trainings(
            tuple(messages.training(run) for run in response.trainings),
            response.next_page_token,
            response.total_size,
        )

    def watch_training(self, training_id: str, timeout_s: float) -> Iterator[records.Training]:
        """Follow a run at every change until it ends; raises ServerUnavailable after `timeout_s`."""
        request = training_pb2.WatchTrainingRequest(training_id=training_id)
        try:
            for response in self._training.WatchTraining(request, timeout=timeout_s):
                yield messages.training(response.training)
        except grpc.RpcError as error:
            raise self._error(error) from None

    def cancel_training(self, training_id: str) -> records.Training:
        """Cancel a run that waits or trains."""
        request = training_pb2.CancelTrainingRequest(training_id=training_id)
        response = self._call(self._training.CancelTraining, request, CHANGE_DEADLINE_S)
        return messages.training(response.training)

    def stop_training(self, training_id: str) -> records.Training:
        """End a run that trains, and keep its best epoch as a version."""
        request = training_pb2.StopTrainingRequest(training_id=training_id)
        response = self._call(self._training.StopTraining, request, CHANGE_DEADLINE_S)
        return messages.training(response.training)

    # Evaluation

    def list_datasets(self, timeout_s: float = READ_DEADLINE_S) -> records.Datasets:
        """The data sets, and which of them are on the server's machine."""
        response = self._call(self._evaluation.ListDatasets, evaluation_pb2.ListDatasetsRequest(), timeout_s)
        return records.Datasets(
            datasets=tuple(messages.dataset_info(info) for info in response.datasets),
            data_source=messages.data_source(response.data_source)
            if response.HasField("data_source")
            else None,
            data_progress=response.data_progress,
        )

    def evaluate(self, dataset: Dataset, model_version: int = 0) -> records.Evaluation:
        """Start measuring a version on a data set; get_evaluation tells when it is done."""
        request = evaluation_pb2.EvaluateRequest(
            model_version=model_version, dataset=dataset_pb2.Dataset.ValueType(dataset)
        )
        response = self._call(self._evaluation.Evaluate, request, READ_DEADLINE_S)
        return messages.evaluation(response.evaluation)

    def get_evaluation(
        self, evaluation_id: str = "", *, model_version: int = 0, dataset: Dataset = Dataset.UNSPECIFIED
    ) -> records.Evaluation:
        """One evaluation by its id, or the newest successful one of a version on a data set."""
        request = evaluation_pb2.GetEvaluationRequest(
            evaluation_id=evaluation_id,
            model_version=model_version,
            dataset=dataset_pb2.Dataset.ValueType(dataset),
        )
        response = self._call(self._evaluation.GetEvaluation, request, READ_DEADLINE_S)
        return messages.evaluation(response.evaluation)

    def list_test_digits(
        self,
        dataset: Dataset,
        *,
        label: int | None = None,
        seed: int = 0,
        page_size: int = 100,
        page_token: str = "",
    ) -> records.TestDigits:
        """The digits of a data set. Seed 0: in their own order; otherwise shuffled by it."""
        request = evaluation_pb2.ListTestDigitsRequest(
            dataset=dataset_pb2.Dataset.ValueType(dataset),
            label=label,
            seed=seed,
            page_size=page_size,
            page_token=page_token,
        )
        response = self._call(self._evaluation.ListTestDigits, request, READ_DEADLINE_S)
        return records.TestDigits(
            tuple(messages.test_digit(digit) for digit in response.digits),
            response.next_page_token,
            response.total_size,
        )

    def list_misclassified(
        self,
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
    ) -> records.MisclassifiedDigits:
        """The digits that a version misreads, the most confident first unless told otherwise."""
        request = evaluation_pb2.ListMisclassifiedRequest(
            model_version=model_version,
            dataset=dataset_pb2.Dataset.ValueType(dataset),
            true_digit=true_digit,
            predicted_digit=predicted_digit,
            min_confidence=min_confidence,
            max_confidence=max_confidence,
            order=evaluation_pb2.MisclassifiedOrder.ValueType(order),
            seed=seed,
            page_size=page_size,
            page_token=page_token,
        )
        response = self._call(self._evaluation.ListMisclassified, request, READ_DEADLINE_S)
        return records.MisclassifiedDigits(
            tuple(messages.misclassified_digit(digit) for digit in response.digits),
            response.next_page_token,
            response.total_size,
            response.evaluation_id,
        )

    # Models

    def list_models(self, page_size: int = 20, page_token: str = "") -> records.Models:
        """The versions, newest first."""
        request = model_pb2.ListModelsRequest(page_size=page_size, page_token=page_token)
        response = self._call(self._model.ListModels, request, READ_DEADLINE_S)
        return records.Models(
            tuple(messages.model(model) for model in response.models),
            response.next_page_token,
            response.total_size,
        )

    def get_model(self, model_version: int = 0) -> records.Model:
        """One version; 0 is the deployed one."""
        request = model_pb2.GetModelRequest(model_version=model_version)
        return messages.model(self._call(self._model.GetModel, request, READ_DEADLINE_S).model)

    def deploy_model(self, model_version: int) -> records.Model:
        """Make a version the one that answers."""
        request = model_pb2.DeployModelRequest(model_version=model_version)
        return messages.model(self._call(self._model.DeployModel, request, CHANGE_DEADLINE_S).model)

    def _call(self, method: Callable[..., Response], request: Message, timeout_s: float) -> Response:
        """Call, and when the server is overloaded, come back when it says, as long as the deadline allows."""
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            try:
                return method(request, timeout=left_s)
            except grpc.RpcError as error:
                failure = self._error(error)
            wait_s = None
            if isinstance(failure, Refused) and failure.reason == "OVERLOADED":
                wait_s = failure.retry_after_s
            if wait_s is None or wait_s >= deadline - time.monotonic():
                raise failure
            time.sleep(wait_s)

    def _error(self, error: grpc.RpcError) -> ClientError:
        """A failed call as the error that a page understands, from its status and its google.rpc details."""
        field, reason, retry_after_s = "", "", None
        message = error.details() or ""
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # The error of a call is the call.
        for detail in status.details if status else ():
            info, bad, retry = (
                error_details_pb2.ErrorInfo(),
                error_details_pb2.BadRequest(),
                error_details_pb2.RetryInfo(),
            )
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(bad) and bad.field_violations:
                field, message = bad.field_violations[0].field, bad.field_violations[0].description
            elif detail.Unpack(retry):
                retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
        code = error.code()
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return ServerUnavailable(self.address, is_slow=True)
        if code == grpc.StatusCode.UNAVAILABLE and reason in ("", "SHUTTING_DOWN"):
            return ServerUnavailable(self.address)
        if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED):
            return ServerFault(f"The server failed ({code.name.lower()}); its log tells more.")
        return Refused(message, field=field, reason=reason, retry_after_s=retry_after_s)
