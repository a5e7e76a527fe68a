"""The training digits that a version finds most alike.

The features of all training digits are prepared once per version and source of digits, by a child program in
the background; until they are there, the answer says so.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.datasets import DataPreparation, Digits
from server.errors import DataPreparing, DatasetUnavailable, DigitsError, ModelCorrupt
from server.explanation.feature_files import NETWORK, cosine_distances, find_nearest, folder_name
from server.inference.features import FeatureEngine
from server.models import ModelStore

log = logging.getLogger(__name__)

# Versions whose cut network stays in memory: a megabyte or two each.
LOADED = 4
# The stored features are rounded: so many more are compared exactly.
SPARE = 10
# What could not be prepared is tried again when somebody asks after that long.
RETRY_AFTER_S = 60.0


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training digit."""

    index: int
    """Its place among the training digits."""
    image: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background."""
    label: int
    distance: float
    """1 less the cosine between the features of both, in [0, 2]."""


class NotReady(Exception):
    """There are no neighbours now: why, in a sentence for a person."""


class Neighbours:
    """Finds training digits, never test digits. May be used from any thread."""

    def __init__(self, root: Path, store: ModelStore, data: DataPreparation) -> None:
        """`root`: where the features are kept."""
        self._root = root
        self._store = store
        self._data = data
        self._lock = threading.Lock()
        self._networks: OrderedDict[str, FeatureEngine] = OrderedDict()
        self._preparing: set[str] = set()
        self._failures: dict[str, tuple[str, float]] = {}
        self._is_closed = False
        self._child: subprocess.Popen[bytes] | None = None
        # One at a time: each takes a core.
        self._worker = ThreadPoolExecutor(1, "features")

    def nearest(self, version: int, image: npt.NDArray[np.uint8], count: int) -> tuple[Neighbour, ...]:
        """The `count` ≥ 1 training digits most like a (28, 28) uint8 image, the nearest first.

        Raises NotReady, and has them prepared where that helps; ModelNotFound.
        """
        try:
            data = self._data.data()
        except (DataPreparing, DatasetUnavailable) as error:
            raise NotReady(error.message) from error
        name = folder_name(self._store.get(version).artifact.sha256, data.source.sha256)
        train = data.split(use_all=False).train
        try:
            network = self._network(name)
            (query,) = network.features(image[np.newaxis])
            candidates = find_nearest(self._root / name, query, 2 * count + SPARE)
        except (OSError, ValueError, ModelCorrupt) as error:
            if (self._root / name).exists():
                log.warning("features damaged", extra={"folder": name, "reason": str(error)})
            raise NotReady(self._prepare(name, version)) from error
        distances = cosine_distances(network.features(train.images[candidates]), query)
        nearest = np.argsort(distances, kind="stable")[:count]
        return tuple(
            _neighbour(train, index, distance)
            for index, distance in zip(candidates[nearest].tolist(), distances[nearest].tolist(), strict=True)
        )

    def close(self) -> None:
        """Prepare nothing more: what is not finished is given up."""
        with self._lock:
            self._is_closed = True
            if self._child is not None:
                self._child.kill()  # It leaves nothing but a folder that the next one removes.
        self._worker.shutdown(cancel_futures=True)

    def _network(self, name: str) -> FeatureEngine:
        """The cut network of a version. Raises FileNotFoundError, ModelCorrupt."""
        with self._lock:
            if name in self._networks:
                self._networks.move_to_end(name)
                return self._networks[name]
        path = self._root / name / NETWORK
        if not path.exists():
            raise FileNotFoundError(path)
        network = FeatureEngine(path)
        with self._lock:
            self._networks[name] = network
            if len(self._networks) > LOADED:
                self._networks.popitem(last=False)
        return network

    def _prepare(self, name: str, version: int) -> str:
        """Have the features prepared, unless they are already; returns what to tell."""
        with self._lock:
            self._networks.pop(name, None)
            reason, failed_at = self._failures.get(name, ("", 0.0))
            if reason and time.monotonic() - failed_at < RETRY_AFTER_S:
                return f"the training digits cannot be compared: {reason}"
            if name not in self._preparing and not self._is_closed:
                self._preparing.add(name)
                self._worker.submit(self._run, name, version)
        return (
            f"the training digits are being looked at by version {version} for the first time; "
            "ask again in a few seconds"
        )

    def _run(self, name: str, version: int) -> None:
        """Prepare, on the worker thread. However it ends, somebody may ask again."""
        started = time.perf_counter()
        try:
            reason = self._run_child(version)
        except (DigitsError, OSError) as error:
            reason = str(error)
        with self._lock:
            self._preparing.discard(name)
            self._failures.pop(name, None)
            if reason:
                self._failures[name] = reason, time.monotonic()
            is_closed = self._is_closed
        if reason and not is_closed:
            log.error("features not prepared", extra={"model_version": version, "reason": reason})
        elif not reason:
            taken_s = round(time.perf_counter() - started, 1)
            log.info("features prepared", extra={"model_version": version, "taken_s": taken_s})

    def _run_child(self, version: int) -> str:
        """Empty when it ended well, else how it ended, as a sentence. Raises DigitsError, OSError."""
        command = [sys.executable, "-m", "server.explanation.prepare", "--end-with-stdin"]
        command += ["--artifact", str(self._store.artifact_path(version))]
        command += ["--sha256", self._store.get(version).artifact.sha256]
        command += ["--datasets", str(self._data.root), "--root", str(self._root)]
        with tempfile.TemporaryFile() as errors:
            with self._lock:
                if self._is_closed:
                    return "the server is going down"
                # Its standard input stays open as long as this process lives: the child ends with it.
                self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors)
            with self._child as child:
                # Not through the context: closing its standard input first would end it.
                status = child.wait()
            errors.seek(0)
            last_lines = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        if status == 0:
            return ""
        return "".join(last_lines) or f"the preparing program ended with exit status {status}"


def _neighbour(train: Digits, index: int, distance: float) -> Neighbour:
    return Neighbour(index, np.array(train.images[index]), int(train.labels[index]), distance)
