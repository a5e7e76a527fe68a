"""The model server for programs: typed calls in, records out, and one small tree of errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import grpc
from google.protobuf.message import Message

from digits.client.attempts import Attempts, Caller
from digits.client.call import Deadlines, Duplex, Followed, Gathered, Unary, Upload
from digits.client.calls import evaluation, model, prediction, sample, sweep, training
from digits.client.channel import channel_options, wire
from digits.client.methods import like
from digits.client.tls import Tls

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


def answer(
    call: Callable[P, Unary[R] | Gathered[R] | Upload[R]],
) -> Callable[Concatenate[Client, P], R]:
    """The method that makes this call and returns its answer."""

    @like(call)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._answer(call(*args, **kwargs))

    return method


def follow(call: Callable[P, Followed[R]]) -> Callable[Concatenate[Client, P], Iterator[R]]:
    """The method that makes this call and gives its answers as they come."""

    @like(call, returns="Iterator[{}]")
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        return self._follow(call(*args, **kwargs))

    return method


def exchange(
    call: Callable[P, Duplex[S, R]],
) -> Callable[Concatenate[Client, Iterable[S], P], Iterator[R]]:
    """The method that sends what it is given and gives the answers as they come."""

    @like(call, returns="Iterator[{}]", stream="Iterable[bytes]")
    def method(self: Client, images: Iterable[S], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        return self._exchange(call(*args, **kwargs), images)

    return method


class Client(Caller):
    """All methods of `digits.v1` at one address. Safe to share between threads; holds one channel.

    Every method raises ServerUnavailable, Refused or ServerFault, and takes `timeout_s`, the seconds it may
    take in all; `deadlines` has the defaults. A call that is safe to repeat is sent again up to `retries`
    times while no server answers, and any call when an overloaded server says when to come back. `token` goes
    along with every call; without `tls` nothing is encrypted, which is for the loopback and networks of one's
    own.

        with Client("127.0.0.1:50051") as client:
            print(client.predict(Path("seven.png").read_bytes()).prediction.digit)
    """

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        tls: Tls | None = None,
        deadlines: Deadlines | None = None,
        retries: int = 3,
    ) -> None:
        super().__init__(address, token, deadlines, retries)
        options = channel_options(tls)
        self._channel = (
            grpc.insecure_channel(address, options)
            if tls is None
            else grpc.secure_channel(address, tls.credentials(), options)
        )

    def close(self) -> None:
        """End the connection. The client cannot be used afterwards."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Predictions

    predict = answer(prediction.predict)
    predict_pixels = answer(prediction.predict_pixels)
    predict_batch = answer(prediction.predict_batch)
    stream_predict = exchange(prediction.stream_predict)
    read_number = answer(prediction.read_number)
    explain_prediction = answer(prediction.explain_prediction)
    explain_pixels = answer(prediction.explain_pixels)

    # Training

    list_recipes = answer(training.list_recipes)
    start_training = answer(training.start_training)
    get_training = answer(training.get_training)
    list_trainings = answer(training.list_trainings)
    watch_training = follow(training.watch_training)
    stop_training = answer(training.stop_training)
    cancel_training = answer(training.cancel_training)

    # Sweeps

    start_sweep = answer(sweep.start_sweep)
    get_sweep = answer(sweep.get_sweep)
    list_sweeps = answer(sweep.list_sweeps)
    stop_sweep = answer(sweep.stop_sweep)

    # Evaluation

    list_datasets = answer(evaluation.list_datasets)
    evaluate = answer(evaluation.evaluate)
    get_evaluation = answer(evaluation.get_evaluation)
    list_test_digits = answer(evaluation.list_test_digits)
    list_misclassified = answer(evaluation.list_misclassified)
    compare_models = answer(evaluation.compare_models)
    list_likely_label_errors = answer(evaluation.list_likely_label_errors)
    mark_mislabelled = answer(evaluation.mark_mislabelled)

    # Models

    list_models = answer(model.list_models)
    get_model = answer(model.get_model)
    deploy_model = answer(model.deploy_model)
    list_deployments = answer(model.list_deployments)
    delete_model = answer(model.delete_model)
    export_model = answer(model.export_model)

    # Samples

    add_sample = answer(sample.add_sample)
    add_sample_pixels = answer(sample.add_sample_pixels)
    list_samples = answer(sample.list_samples)
    update_sample = answer(sample.update_sample)
    delete_sample = answer(sample.delete_sample)
    import_samples = answer(sample.import_samples)
    export_samples = follow(sample.export_samples)
    evaluate_samples = answer(sample.evaluate_samples)

    def _answer(self, call: Unary[R] | Gathered[R] | Upload[R]) -> R:
        attempts = self._begin(call.terms)
        while True:
            try:
                return self._send(call, attempts)
            except grpc.RpcError as error:
                pause_s = attempts.pause_s(error)
            time.sleep(pause_s)

    def _send(self, call: Unary[R] | Gathered[R] | Upload[R], attempts: Attempts) -> R:
        timeout_s, along = attempts.left_s(), attempts.metadata
        if isinstance(call, Unary):
            unary = self._channel.unary_unary(*wire(call.rpc))
            return call.convert(unary(call.request, timeout=timeout_s, metadata=along))
        if isinstance(call, Gathered):
            stream = self._channel.unary_stream(*wire(call.rpc))
            return call.convert(list(stream(call.request, timeout=timeout_s, metadata=along)))
        upload = self._channel.stream_unary(*wire(call.rpc))
        return call.convert(upload(call.requests(), timeout=timeout_s, metadata=along))

    def _follow(self, call: Followed[R]) -> Iterator[R]:
        attempts = self._begin(call.terms)
        stream = self._channel.unary_stream(*wire(call.rpc))
        while True:
            has_begun = False
            responses = stream(call.request, timeout=attempts.left_s(), metadata=attempts.metadata)
            try:
                for response in responses:
                    has_begun = True
                    attempts.begin_anew()
                    yield call.convert(response)
                return
            except grpc.RpcError as error:
                # What was given cannot be taken back: only states may follow each other after a break.
                pause_s = attempts.pause_s(error, may_repeat=call.is_state or not has_begun)
            finally:
                responses.cancel()
            time.sleep(pause_s)

    def _exchange(self, call: Duplex[S, R], items: Iterable[S]) -> Iterator[R]:
        attempts = self._begin(call.terms)
        broken: list[BaseException] = []

        def requests() -> Iterator[Message]:
            try:
                for item in items:
                    yield call.request(item)
            except Exception as error:  # In a thread of gRPC's, which would swallow it.
                broken.append(error)
                raise

        stream = self._channel.stream_stream(*wire(call.rpc))
        responses = stream(requests(), timeout=attempts.left_s(), metadata=attempts.metadata)
        try:
            for response in responses:
                yield call.convert(response)
        except grpc.RpcError as error:
            if broken:
                raise broken[0] from None
            attempts.pause_s(error, may_repeat=False)
        finally:
            responses.cancel()
