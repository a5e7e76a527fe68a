"""ModelService: lists versions, deploys, deletes and exports them, and tells what was deployed when."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from digits.v1 import model_pb2 as pb
from digits.v1 import model_pb2_grpc

from server.application import Application
from server.errors import InvalidArgument, ModelNotFound, ReadOnly
from server.models import ModelVersion
from server.replica import Replica
from server.rpc.convert import model as convert
from server.rpc.convert.common import chosen_version, retry_id
from server.rpc.interceptors import Context
from server.rpc.paging import read_page

MAX_CAUSE = 200
CHUNK_BYTES = 64 * 2**10
READ_BYTES = 16 * CHUNK_BYTES


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """Knows the versions."""

    def __init__(self, application: Application | Replica) -> None:
        self._application = application

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """Show the versions, newest first."""
        page = read_page(request, default=20, maximum=100)
        versions = await asyncio.to_thread(self._application.store.list)
        newest_first = versions[::-1]
        shown = newest_first[page.offset : page.offset + page.limit]
        models = await asyncio.to_thread(self._models, shown)
        unreadable = await asyncio.to_thread(self._application.store.unreadable)
        return pb.ListModelsResponse(
            models=models,
            next_page_token=page.next_token(len(versions)),
            total_size=len(versions),
            unreadable_models=convert.unreadable(unreadable),
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """Show one version."""
        version = self._application.version(chosen_version(request.model_version))
        return pb.GetModelResponse(model=await asyncio.to_thread(self._model, version))

    async def DeployModel(self, request: pb.DeployModelRequest, context: Context) -> pb.DeployModelResponse:
        """Let a version answer from now on."""
        number, cause, request_id = _named(request), _cause(request), retry_id(request.request_id)
        await asyncio.to_thread(self._owner("DeployModel").deploy, number, cause, request_id)
        version = self._application.version(number)
        return pb.DeployModelResponse(model=await asyncio.to_thread(self._model, version))

    async def ListDeployments(
        self, request: pb.ListDeploymentsRequest, context: Context
    ) -> pb.ListDeploymentsResponse:
        """Tell what was deployed, rolled back, undeployed and deleted, newest first."""
        page = read_page(request, default=20, maximum=100)
        versions = self._owner("ListDeployments").versions
        entries, total = await asyncio.to_thread(versions.history, page.offset, page.limit)
        rollback_version = await asyncio.to_thread(versions.rollback_version)
        return pb.ListDeploymentsResponse(
            deployments=[convert.deployment(entry) for entry in entries],
            next_page_token=page.next_token(total),
            total_size=total,
            rollback_version=rollback_version or 0,
        )

    async def DeleteModel(self, request: pb.DeleteModelRequest, context: Context) -> pb.DeleteModelResponse:
        """Delete a version."""
        number, cause = _named(request), _cause(request)
        await asyncio.to_thread(self._owner("DeleteModel").delete, number, cause)
        return pb.DeleteModelResponse()

    def _models(self, versions: Sequence[ModelVersion]) -> list[pb.Model]:
        """These versions, without what was deleted a moment ago."""
        models = []
        for version in versions:
            with contextlib.suppress(ModelNotFound):
                models.append(self._model(version))
        return models

    async def ExportModel(
        self, request: pb.ExportModelRequest, context: Context
    ) -> AsyncIterator[pb.ExportModelResponse]:
        """Hand out a version as a file for other software."""
        owner = self._owner("ExportModel")
        form = convert.export_format(request)
        version = owner.version(chosen_version(request.model_version)).version
        while (export := await asyncio.to_thread(owner.exports.find, version, form)) is None:
            # Others may wait for the same conversion: that one of them leaves does not end it.
            await asyncio.shield(asyncio.wrap_future(owner.exports.convert(version)))
        try:
            opened = export.path.open("rb")
        except FileNotFoundError:
            raise ModelNotFound(version) from None  # Deleted a moment ago.
        with opened as file:
            yield pb.ExportModelResponse(header=convert.export_header(export))
            while data := await asyncio.to_thread(file.read, READ_BYTES):
                for start in range(0, len(data), CHUNK_BYTES):
                    yield pb.ExportModelResponse(chunk=data[start : start + CHUNK_BYTES])

    def _model(self, version: ModelVersion) -> pb.Model:
        return convert.model(
            version,
            self._application.evaluation(version),
            self._application.gate(version),
            self._application.store.damage(version.version),
            is_deployed=version.version == self._application.deployed,
        )

    def _owner(self, method: str) -> Application:
        """The application that owns the versions. Raises ReadOnly on a replica."""
        if isinstance(self._application, Replica):
            raise ReadOnly(method)
        return self._application


def _named(request: pb.DeployModelRequest | pb.DeleteModelRequest) -> int:
    """The version that must be named. Raises InvalidArgument."""
    if request.model_version < 1:
        raise InvalidArgument("model_version", f"expected a version from 1, got {request.model_version}")
    return request.model_version


def _cause(request: pb.DeployModelRequest | pb.DeleteModelRequest) -> str:
    """Why, in one line for the list of deployments. Raises InvalidArgument."""
    if len(request.cause) > MAX_CAUSE:
        raise InvalidArgument("cause", f"expected at most {MAX_CAUSE} characters, got {len(request.cause)}")
    return " ".join(request.cause.split()) or f"asked for by {type(request).__name__.removesuffix('Request')}"
