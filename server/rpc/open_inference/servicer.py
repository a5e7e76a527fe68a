"""GRPCInferenceService: from the protocol's requests to the predictor and back."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import AsyncIterator
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np
from digits.oip import open_inference_pb2 as pb
from digits.oip import open_inference_pb2_grpc

from server.application import Application
from server.errors import (
    BlankImage,
    DigitsError,
    InvalidArgument,
    InvalidImage,
    ModelNotReady,
    NothingDeployed,
    Overloaded,
    ReadOnly,
    Unsupported,
)
from server.prediction import Answer
from server.replica import Replica
from server.rpc import status
from server.rpc.direct import Asked
from server.rpc.interceptors import Context
from server.rpc.open_inference import model
from server.rpc.open_inference.outputs import read_outputs, write_response
from server.rpc.open_inference.statistics import Statistics
from server.rpc.open_inference.tensors import read_input
from server.streams import in_order

log = logging.getLogger(__name__)

EXTENSIONS = ("classification", "model_configuration", "model_repository", "parameters", "statistics")
TIMEOUT = "timeout"
# Requests of one stream that are worked on together.
STREAM_WINDOW = 128
DEPLOY_CAUSE = "asked for by RepositoryModelLoad"
UNDEPLOY_CAUSE = "asked for by RepositoryModelUnload"


def _refusing(method: str) -> Any:
    """A method that is not served. That of the generated base class would look like a bug."""

    async def refuse(servicer: OpenInferenceServicer, request: Any, context: Context) -> Any:
        raise Unsupported(f"{method}: shared memory, traces and log settings are not supported")

    return refuse


class OpenInferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves the model `digits`. `draining` is set when the server goes down."""

    def __init__(self, application: Application | Replica, draining: asyncio.Event) -> None:
        self._application = application
        self._draining = draining
        self._statistics = Statistics()

    # The server

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:
        """Say that the server runs."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:
        """Say whether predictions are answered."""
        return pb.ServerReadyResponse(ready=self._is_ready)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        """Say what the server is."""
        return pb.ServerMetadataResponse(
            name="digit-lab", version=installed_version("digit-lab"), extensions=EXTENSIONS
        )

    # The model

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        """Say whether a version can answer."""
        try:
            self._version(request.name, request.version)
        except DigitsError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._is_ready)

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Show inputs and outputs."""
        version = self._version(request.name, request.version)
        return model.metadata(await self._versions() if version is None else (version,))

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:
        """Show the configuration."""
        self._version(request.name, request.version)
        return pb.ModelConfigResponse(config=model.configuration())

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        """Show what was inferred."""
        version = self._version(request.name or model.NAME, request.version)
        shown = await self._versions() if version is None else (version,)
        return pb.ModelStatisticsResponse(model_stats=[self._statistics.message(each) for each in shown])

    # Inference

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        """Read digits."""
        remaining_s: float | None = context.time_remaining()
        return await self._infer(request, math.inf if remaining_s is None else remaining_s)

    def ask_infer(self, request: Any) -> Asked | None:
        """What a request of ModelInfer asks of the engine, if it holds model inputs; None otherwise."""
        came = time.perf_counter_ns()
        if not isinstance(request, pb.ModelInferRequest) or TIMEOUT in request.parameters:
            return None
        if request.model_version and request.model_version != str(self._application.deployed):
            return None
        try:
            model.check_name(request.model_name)
            images, outputs = read_input(request), read_outputs(request.outputs)
        except DigitsError:
            return None  # `ModelInfer` tells it.
        if isinstance(images, list):
            return None
        read = time.perf_counter_ns()
        rows = len(images)

        def respond(answer: Answer) -> bytes:
            inferred = time.perf_counter_ns()
            number, (probabilities, _, engine_ms) = answer.model_version, answer.result
            response = write_response(outputs, number, request.id, probabilities)
            engine_ns = int(engine_ms * 1e6)
            times = (came, read, inferred, time.perf_counter_ns())
            self._statistics.answered(number, rows, inferred - read - engine_ns, engine_ns, times)
            return response

        return Asked(images, None, respond)

    async def ModelStreamInfer(
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Read digits, in order."""
        async for response in in_order(request_iterator, self._answer, STREAM_WINDOW, self._draining):
            yield response

    async def _answer(self, request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
        """The answer to one request of a stream: what is wrong with it ends nothing."""
        try:
            return pb.ModelStreamInferResponse(infer_response=await self._infer_patiently(request))
        except DigitsError as error:
            message = status.to_message(error)
        except Exception as error:
            log.error("bug", exc_info=error, extra={"method": "ModelStreamInfer"})
            message = status.INTERNAL_MESSAGE
        # Clients match answers to requests by their id.
        failed = pb.ModelInferResponse(
            model_name=request.model_name, model_version=request.model_version, id=request.id
        )
        return pb.ModelStreamInferResponse(error_message=message, infer_response=failed)

    async def _infer_patiently(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        """Infer, and when too many wait, wait as well: a stream holds its sender back."""
        while True:
            try:
                return await self._infer(request, math.inf)
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_s)

    async def _infer(self, request: pb.ModelInferRequest, remaining_s: float) -> pb.ModelInferResponse:
        came = time.perf_counter_ns()
        version = self._version(request.model_name, request.model_version)
        try:
            images = read_input(request)
            outputs = read_outputs(request.outputs)
            if request.parameters:
                remaining_s = min(remaining_s, _timeout_s(request))
            expires = time.monotonic() + remaining_s
            read = time.perf_counter_ns()
            predictor = self._application.predictor
            if isinstance(images, list):
                try:
                    batch = await predictor.predict_batch(images, version=version, expires=expires)
                except (InvalidImage, BlankImage) as error:
                    field = error.field.replace("images[", "inputs[0].contents.bytes_contents[")
                    raise type(error)(field.removesuffix(".encoded"), error.description) from error
                answered, timings = batch.model_version, batch.timings
                probabilities = np.stack([one.probabilities for one in batch.predictions])
                queue_ms, engine_ms = timings.queue_ms, timings.engine_ms
            else:
                await predictor.load(version)
                answer = await predictor.ask(images, version, expires)
                answered, probabilities = answer.model_version, answer.result.probabilities
                queue_ms, engine_ms = answer.result.queue_ms, answer.result.engine_ms
        except NothingDeployed:
            raise ModelNotReady from None
        except DigitsError:
            asked = version or self._application.deployed
            if asked is not None:
                self._statistics.failed(asked, time.perf_counter_ns() - came)
            raise
        inferred = time.perf_counter_ns()
        written = write_response(outputs, answered, request.id, probabilities)
        times = (came, read, inferred, time.perf_counter_ns())
        self._statistics.answered(
            answered, len(probabilities), int(queue_ms * 1e6), int(engine_ms * 1e6), times
        )
        return pb.ModelInferResponse.FromString(written)

    # The repository

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """Show every version."""
        is_loaded = self._application.deployed is not None
        if request.ready and not is_loaded:
            return pb.RepositoryIndexResponse()
        index = pb.RepositoryIndexResponse.ModelIndex
        return pb.RepositoryIndexResponse(
            models=[
                index(
                    name=model.NAME,
                    version=str(version),
                    state="READY" if is_loaded else "UNAVAILABLE",
                    reason="" if is_loaded else "unloaded",
                )
                for version in await self._versions()
            ]
        )

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """Deploy a version."""
        model.check_name(request.model_name)
        application = self._owner("RepositoryModelLoad")
        version = _configured_version(request)
        if version is None:
            await asyncio.to_thread(application.redeploy, DEPLOY_CAUSE)
        else:
            await asyncio.to_thread(application.deploy, version, DEPLOY_CAUSE)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Deploy nothing."""
        model.check_name(request.model_name)
        await asyncio.to_thread(self._owner("RepositoryModelUnload").undeploy, UNDEPLOY_CAUSE)
        return pb.RepositoryModelUnloadResponse()

    # What is not here

    SystemSharedMemoryStatus = _refusing("SystemSharedMemoryStatus")
    SystemSharedMemoryRegister = _refusing("SystemSharedMemoryRegister")
    SystemSharedMemoryUnregister = _refusing("SystemSharedMemoryUnregister")
    CudaSharedMemoryStatus = _refusing("CudaSharedMemoryStatus")
    CudaSharedMemoryRegister = _refusing("CudaSharedMemoryRegister")
    CudaSharedMemoryUnregister = _refusing("CudaSharedMemoryUnregister")
    TraceSetting = _refusing("TraceSetting")
    LogSettings = _refusing("LogSettings")

    @property
    def _is_ready(self) -> bool:
        return self._application.deployed is not None and not self._draining.is_set()

    def _version(self, name: str, version: str) -> int | None:
        return model.version_number(name, version, self._application)

    async def _versions(self) -> tuple[int, ...]:
        return await asyncio.to_thread(model.versions, self._application)

    def _owner(self, method: str) -> Application:
        if not isinstance(self._application, Application):
            raise ReadOnly(method)
        return self._application


def _timeout_s(request: pb.ModelInferRequest) -> float:
    """How long the request says it is waited for. Raises InvalidArgument."""
    if TIMEOUT not in request.parameters:
        return math.inf
    parameter = request.parameters[TIMEOUT]
    value = getattr(parameter, parameter.WhichOneof("parameter_choice") or "int64_param")
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidArgument("parameters.timeout", f"expected microseconds, 0 or more, got {value!r}")
    # As Triton has it: 0 is no limit.
    return value / 1e6 if value else math.inf


def _configured_version(request: pb.RepositoryModelLoadRequest) -> int | None:
    """The version that the parameter `config` names, None when it names none. Raises InvalidArgument."""
    unknown = sorted(set(request.parameters) - {"config"})
    if unknown:
        raise InvalidArgument(f"parameters.{unknown[0]}", "expected no parameter but config")
    if "config" not in request.parameters:
        return None
    field = "parameters.config"
    try:
        policy = json.loads(request.parameters["config"].string_param).get("version_policy", {})
        chosen = policy.get("specific", {}).get("versions", [])
        versions = [int(version) for version in chosen]
    # JSON knows Infinity, and brackets within brackets that Python does not follow to their end.
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InvalidArgument(field, "expected a configuration as a JSON object") from None
    if len(versions) > 1:
        raise InvalidArgument(field, f"expected one version in version_policy, got {len(versions)}")
    return versions[0] if versions else None
