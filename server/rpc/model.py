"""ModelService: lists versions and deploys them."""

from __future__ import annotations

import asyncio

from digits.v1 import model_pb2 as pb
from digits.v1 import model_pb2_grpc

from server.application import Application
from server.errors import InvalidArgument
from server.models import ModelVersion
from server.replica import Replica
from server.rpc.convert import model as convert
from server.rpc.convert.common import chosen_version
from server.rpc.interceptors import Context
from server.rpc.paging import read_page


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
        models = await asyncio.to_thread(lambda: [self._model(version) for version in shown])
        return pb.ListModelsResponse(
            models=models, next_page_token=page.next_token(len(versions)), total_size=len(versions)
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """Show one version."""
        version = self._application.version(chosen_version(request.model_version))
        return pb.GetModelResponse(model=await asyncio.to_thread(self._model, version))

    async def DeployModel(self, request: pb.DeployModelRequest, context: Context) -> pb.DeployModelResponse:
        """Let a version answer from now on."""
        if request.model_version < 1:
            raise InvalidArgument("model_version", f"expected a version from 1, got {request.model_version}")
        await asyncio.to_thread(self._application.deploy, request.model_version, "asked for by DeployModel")
        version = self._application.version(request.model_version)
        return pb.DeployModelResponse(model=await asyncio.to_thread(self._model, version))

    def _model(self, version: ModelVersion) -> pb.Model:
        evaluation = self._application.evaluation(version)
        return convert.model(version, evaluation, is_deployed=version.version == self._application.deployed)
