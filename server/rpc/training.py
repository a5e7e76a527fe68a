"""TrainingService: starts, lists, follows, stops and cancels runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from digits.v1 import training_pb2 as pb
from digits.v1 import training_pb2_grpc

from server.datasets import DataPreparation
from server.errors import DataPreparing, DatasetUnavailable, InvalidArgument, ShuttingDown
from server.recipes import RECIPES
from server.rpc.convert import training as convert
from server.rpc.convert.common import data_source
from server.rpc.interceptors import Context
from server.rpc.paging import read_page
from server.training import Trainings

MAX_REQUEST_ID = 64


class TrainingServicer(training_pb2_grpc.TrainingServiceServicer):
    """Trains networks. `draining` is set when the server goes down: streams end then."""

    def __init__(self, trainings: Trainings, data: DataPreparation, draining: asyncio.Event) -> None:
        self._trainings = trainings
        self._data = data
        self._draining = draining

    async def ListRecipes(self, request: pb.ListRecipesRequest, context: Context) -> pb.ListRecipesResponse:
        """Show what can be trained, and on what."""
        page = read_page(request, default=100, maximum=100)
        try:
            source = self._data.data().source
        except (DataPreparing, DatasetUnavailable):
            source = None
        recipes = [convert.recipe(recipe) for recipe in RECIPES.values()]
        return pb.ListRecipesResponse(
            recipes=recipes[page.offset : page.offset + page.limit],
            option_ranges=convert.option_ranges(),
            data_source=data_source(source),
            data_progress=self._data.progress() if source is None else "",
            next_page_token=page.next_token(len(recipes)),
        )

    async def StartTraining(
        self, request: pb.StartTrainingRequest, context: Context
    ) -> pb.StartTrainingResponse:
        """Start a run, or put it in the queue."""
        if len(request.request_id) > MAX_REQUEST_ID:
            raise InvalidArgument(
                "request_id", f"expected at most {MAX_REQUEST_ID} characters, got {len(request.request_id)}"
            )
        overrides = convert.overrides(request.options)
        run = await asyncio.to_thread(
            self._trainings.start,
            request.recipe,
            overrides,
            base_version=request.base_version or None,
            deploy_when_done=request.deploy_when_done,
            request_id=request.request_id or None,
        )
        return pb.StartTrainingResponse(training=convert.training(run))

    async def GetTraining(self, request: pb.GetTrainingRequest, context: Context) -> pb.GetTrainingResponse:
        """Show one run."""
        run = await asyncio.to_thread(self._trainings.get, request.training_id)
        return pb.GetTrainingResponse(training=convert.training(run))

    async def ListTrainings(
        self, request: pb.ListTrainingsRequest, context: Context
    ) -> pb.ListTrainingsResponse:
        """Show the runs, newest first."""
        page = read_page(request, default=20, maximum=100)
        runs, total = await asyncio.to_thread(self._trainings.list, page.offset, page.limit)
        return pb.ListTrainingsResponse(
            trainings=[convert.training(run) for run in runs],
            next_page_token=page.next_token(total),
            total_size=total,
        )

    async def WatchTraining(
        self, request: pb.WatchTrainingRequest, context: Context
    ) -> AsyncIterator[pb.WatchTrainingResponse]:
        """Follow a run until it ends. A slow reader misses intermediate states, never the last."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def notice(training_id: str) -> None:
            if training_id == request.training_id:
                loop.call_soon_threadsafe(changed.set)

        unsubscribe = self._trainings.subscribe(notice)
        try:
            while True:
                changed.clear()
                run = await asyncio.to_thread(self._trainings.get, request.training_id)
                yield pb.WatchTrainingResponse(training=convert.training(run))
                if run.state.is_final:
                    return
                await self._next_change(changed)
        finally:
            unsubscribe()

    async def CancelTraining(
        self, request: pb.CancelTrainingRequest, context: Context
    ) -> pb.CancelTrainingResponse:
        """End a run that waits or trains."""
        run = await asyncio.to_thread(self._trainings.cancel, request.training_id)
        return pb.CancelTrainingResponse(training=convert.training(run))

    async def StopTraining(
        self, request: pb.StopTrainingRequest, context: Context
    ) -> pb.StopTrainingResponse:
        """End a run that trains, and keep its best epoch."""
        run = await asyncio.to_thread(self._trainings.stop, request.training_id)
        return pb.StopTrainingResponse(training=convert.training(run))

    async def _next_change(self, changed: asyncio.Event) -> None:
        """Wait for a change. Raises ShuttingDown when the server goes down meanwhile."""
        waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self._draining.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._draining.is_set() and not changed.is_set():
            raise ShuttingDown("the server is going down; watch again when it is back", retry_after_s=2.0)
