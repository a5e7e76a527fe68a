"""The versions in memory: the deployed one, and a few others that somebody asked for by number."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple, Protocol

from server.counters import EngineCounters
from server.errors import NothingDeployed, ShuttingDown
from server.inference.batcher import BatchResult, MicroBatcher
from server.inference.engine import Engine, Images

# People compare a few versions at a time; each keeps its weights and one thread.
MAX_OTHERS = 3


class Artifacts(Protocol):
    """Where artifacts come from: `server.models.ModelStore`."""

    def artifact_path(self, version: int) -> Path:
        """A verified artifact. Raises ModelNotFound, ModelCorrupt."""

    def uncertain_below(self, version: int) -> float:
        """The confidence below which a version's reading is uncertain. Raises ModelNotFound, ModelCorrupt."""


class LoadedModel(NamedTuple):
    """A version that is ready to answer."""

    version: int
    batcher: MicroBatcher
    uncertain_below: float


class Submitted(NamedTuple):
    """A request that a version has taken: what it is judged by belongs to the version that answers it."""

    version: int
    answer: Future[BatchResult]
    uncertain_below: float


class Engines:
    """The loaded versions. May be used from any thread.

    `deploy` and `load` read files and take tens of milliseconds; `submit` never waits for either.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self.counters = EngineCounters()
        """Of all versions together."""
        self._deployed: LoadedModel | None = None
        self._others: OrderedDict[int, LoadedModel] = OrderedDict()
        self._is_closed = False
        # Held for moments only. Models are taken out under it before they are closed, so that no request
        # ever meets a closed one.
        self._lock = threading.Lock()
        # One load at a time: two would each need the memory and slow each other down.
        self._loading = threading.Lock()

    @property
    def deployed(self) -> int | None:
        """The version that answers, or None."""
        model = self._deployed
        return None if model is None else model.version

    @property
    def others(self) -> tuple[int, ...]:
        """The versions in memory that somebody asked for by number."""
        with self._lock:
            return tuple(self._others)

    @property
    def queued_rows(self) -> int:
        """Images that wait, for whichever version."""
        with self._lock:
            models = [*self._others.values(), *([self._deployed] if self._deployed else [])]
        return sum(model.batcher.queued_rows for model in models)

    def deploy(self, version: int) -> None:
        """Make `version` the one that answers: load and try it beside the old one, then switch at once.

        Requests that the old one has taken are answered by it, wholly. Returns when its memory is free.
        Raises ModelNotFound or ModelCorrupt, and the old one stays.
        """
        with self._loading:
            if self.deployed == version:
                return
            with self._lock:
                model = self._others.get(version)
            model = model or self._load(version)
            with self._lock:
                self._others.pop(version, None)
                is_late = self._is_closed
                old, self._deployed = (model, None) if is_late else (self._deployed, model)
        if old is not None:
            old.batcher.close()
        if is_late:
            raise ShuttingDown("the server is going down; nothing was deployed", retry_after_s=1.0)

    def undeploy(self) -> None:
        """Let no version answer by itself. Requests that the old one has taken are answered by it."""
        with self._loading, self._lock:
            old, self._deployed = self._deployed, None
        if old is not None:
            old.batcher.close()

    def load(self, version: int | None) -> None:
        """Have a version in memory, None for the deployed one, which always is.

        Raises NothingDeployed, ModelNotFound, ModelCorrupt.
        """
        with self._loading:
            with self._lock:
                model = self._find(version)
            if model is None and version is not None:
                model = self._load(version)
                self._keep(model)

    def evict(self, version: int) -> None:
        """Let go of a version that does not answer by itself. Requests that it has taken are answered."""
        with self._loading, self._lock:
            model = self._others.pop(version, None)
        if model is not None:
            model.batcher.close()

    def is_loaded(self, version: int | None) -> bool:
        """Whether `submit` would take a request now. Raises NothingDeployed."""
        with self._lock:
            return self._find(version) is not None

    def answer_at_once(self, images: Images, version: int | None) -> tuple[LoadedModel, BatchResult] | None:
        """The version that answers and its answer, where that takes no waiting; otherwise None: see `submit`.

        Raises NothingDeployed.
        """
        with self._lock:
            model = self._find(version)
        answer = None if model is None else model.batcher.answer_at_once(images)
        return None if model is None or answer is None else (model, answer)

    def answer_here(self, images: Images, version: int | None) -> tuple[LoadedModel, BatchResult] | None:
        """The same, computed on this thread when it has its turn; None for a version that is not loaded, or
        just going. Raises NothingDeployed.
        """
        with self._lock:
            model = self._find(version)
        answer = None if model is None else model.batcher.answer_here(images)
        return None if model is None or answer is None else (model, answer)

    def submit(self, images: Images, version: int | None, expires: float = math.inf) -> Submitted | None:
        """Ask a version, None for the deployed one, about (N, 28, 28) images, N ≥ 1.

        They are uint8, or float32 in [0, 1]. Gives the version that answers all of them and the future
        answer, or None when it has to be loaded first (see `load`). `expires`: see `MicroBatcher.submit`.
        Raises NothingDeployed, Overloaded.
        """
        with self._lock:
            model = self._find(version)
            if model is None:
                return None
            return Submitted(model.version, model.batcher.submit(images, expires), model.uncertain_below)

    def close(self) -> None:
        """Answer what is queued and end every thread. Nothing is deployed afterwards."""
        with self._lock:
            self._is_closed = True
            models = [*self._others.values(), *([self._deployed] if self._deployed else [])]
            self._others.clear()
            self._deployed = None
        for model in models:
            model.batcher.close()

    def _find(self, version: int | None) -> LoadedModel | None:
        """The loaded model, or None, never for the deployed one. The caller holds the lock."""
        if self._is_closed:
            raise ShuttingDown("the server is going down", retry_after_s=1.0)
        deployed = self._deployed
        if version is None:
            if deployed is None:
                raise NothingDeployed
            return deployed
        if deployed is not None and deployed.version == version:
            return deployed
        model = self._others.get(version)
        if model is not None:
            self._others.move_to_end(version)
        return model

    def _load(self, version: int) -> LoadedModel:
        # Before the engine: whatever is wrong, no thread is left behind.
        uncertain_below = self._artifacts.uncertain_below(version)
        batcher = MicroBatcher(Engine(self._artifacts.artifact_path(version)), counters=self.counters)
        return LoadedModel(version, batcher, uncertain_below)

    def _keep(self, model: LoadedModel) -> None:
        """Remember a model among the others, and let go of the one not asked for the longest."""
        with self._lock:
            too_many = [model]
            if not self._is_closed:
                self._others[model.version] = model
                too_many = [self._others.popitem(last=False)[1]] if len(self._others) > MAX_OTHERS else []
        for one in too_many:
            one.batcher.close()
