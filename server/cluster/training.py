"""Training runs on the nodes of a Ray cluster, started and followed like programs of this machine."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError, RuntimeEnvSetupError

from server.cluster.node_training import NodeTraining
from server.cluster.parcels import (
    Order,
    Parcel,
    Place,
    digits_key,
    pack,
    pack_digits,
    read_if_there,
    unpack,
    write_checkpoint,
    write_piece,
)
from server.cluster.places import count_places
from server.protocol import CHECKPOINT, TrainingSpec
from server.training import Child

log = logging.getLogger(__name__)

# How often a run that waits for its place says so.
WAITING_S = 1.0
# From the request to end until the node's actor is killed. The node gives its program one second.
STOP_S = 1.3
# Until what is killed has been noticed as gone.
GONE_S = 5.0

# begin, pull, stop and end_early at the same time.
NODE_THREADS = 4


class RayLaunch:
    """Starts runs in the cluster that this process is a part of; `ray.init` was called. See `Launch`.

    May be used from any thread. The runs end with this process.
    """

    def __init__(self, cpus: float, gpus: float = 0.0) -> None:
        """`cpus` and `gpus` are what Ray sets aside for each run, and the cores that it uses."""
        if cpus <= 0 and gpus <= 0:
            raise ValueError(f"expected CPUs or GPUs for a run, got {cpus:g} and {gpus:g}")
        self._needs = {name: need for name, need in (("CPU", cpus), ("GPU", gpus)) if need > 0}
        self._cores = math.ceil(cpus)
        # Spread: what serves on a node has it to itself as far as possible.
        self._actor = ray.remote(NodeTraining).options(
            num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD", max_concurrency=NODE_THREADS
        )
        self._lock = threading.Lock()
        self._digits: tuple[str, Any] | None = None
        self._placed: Counter[str] = Counter()
        self._was_possible = True

    def __call__(self, spec: TrainingSpec, log_file: Path, scratch: Path) -> Child:
        """Start one attempt at a run. `scratch` is not used: the node has one of its own."""
        return RayChild(
            replace(spec, cores=self._cores), log_file, self._order, self._actor.remote, self._note
        )

    def at_once(self) -> int:
        """How many runs the cluster holds at this moment; 0 when none of its nodes is large enough."""
        with self._lock:
            placed = dict(self._placed)
        places = count_places(self._needs, placed)
        if not places and self._was_possible:
            log.warning("no node is large enough for a training", extra={"needs": self._needs})
        self._was_possible = places > 0
        return places

    def _note(self, node_id: str, change: int) -> None:
        with self._lock:
            self._placed[node_id] += change

    def _order(self, spec: TrainingSpec) -> Order:
        """What the node is told and given. Raises OSError, DatasetUnavailable, RayError."""
        key = digits_key(spec.datasets)
        with self._lock:
            # Once for all runs. The last ones go when their runs have ended.
            if self._digits is None or self._digits[0] != key:
                self._digits = key, ray.put(pack_digits(spec.datasets))
            digits = self._digits[1]
        return Order(
            spec=spec,
            digits_key=key,
            digits=[digits],
            base=None if spec.base is None else pack(spec.base),
            samples=read_if_there(spec.samples),
            checkpoint=None if spec.checkpoints is None else read_if_there(spec.checkpoints / CHECKPOINT),
        )


class RayChild:
    """A training program on a node. See `Child`: `events` on one thread, `end_early` and `stop` on any."""

    def __init__(
        self,
        spec: TrainingSpec,
        log_file: Path,
        order: Callable[[TrainingSpec], Order],
        start: Callable[[], Any],
        note: Callable[[str, int], None],
    ) -> None:
        """`order` and `start` give what the node is told, and the actor there; `note(node_id, ±1)` is told
        where it is.
        """
        self._spec = spec
        self._log_file = log_file
        self._order = order
        self._start = start
        self._note = note
        self._lock = threading.Lock()
        self._actor: Any = None
        self._found: Place | None = None
        self._is_early = False
        self._is_stopped = False
        self._is_gone = threading.Event()
        self._ending = ""
        self._was_cut_off = False
        self._was_lost = False

    @property
    def place(self) -> Mapping[str, str | int]:
        """That it is in the cluster; where, is logged when it is known."""
        return {"launch": "ray"}

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event of the program. What the node sends is written before the event that tells of it."""
        try:
            yield from self._follow()
        except RayError as error:
            self._ending = self._sentence(error)
            # Also when `stop` has killed what did not answer: the program alone, if it hangs, is ended there.
            self._was_cut_off = self._was_lost = _is_lost(error)
        finally:
            self._end()

    def end_early(self) -> None:
        """Ask the program to finish with its best epoch so far. Returns at once."""
        with self._lock:
            self._is_early = True
            actor = self._actor
        if actor is not None:
            actor.end_early.remote()

    def stop(self) -> None:
        """End the program at once: ask the node, and kill what does not answer."""
        with self._lock:
            self._is_stopped = True
            actor, is_placed = self._actor, self._found is not None
        if actor is None:
            return
        if is_placed:
            actor.stop.remote()
            if self._is_gone.wait(STOP_S):
                return
        ray.kill(actor)
        self._is_gone.wait(GONE_S)

    def wait(self) -> str:
        """How the program ended, once `events` has ended; empty: well."""
        self._is_gone.wait()
        return self._ending

    @property
    def was_cut_off(self) -> bool:
        """Whether it was ended from outside: by a signal on the node, or with its actor or its node."""
        return self._was_cut_off

    @property
    def was_lost(self) -> bool:
        """Whether its actor or its node is gone, or did not answer `stop`."""
        return self._was_lost

    def _follow(self) -> Iterator[dict[str, Any]]:
        order = self._order(self._spec)
        with self._lock:
            if self._is_stopped:
                return
            self._actor = actor = self._start()
            begun = actor.begin.remote(order)
            if self._is_early:
                actor.end_early.remote()
        while not ray.wait([begun], timeout=WAITING_S)[0]:
            yield {"event": "waiting"}
        place: Place = ray.get(begun)
        with self._lock:
            self._found = place
        self._note(place.node_id, 1)
        log.info(
            "training placed",
            extra={"training_id": self._spec.training_id, "node": place.name, "node_id": place.node_id},
        )
        # Each attempt has a log of its own, as on one machine.
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("wb") as log_file:
            is_last = False
            while not is_last:
                parcel: Parcel = ray.get(actor.pull.remote())
                log_file.write(parcel.log)
                log_file.flush()
                self._write(parcel)
                is_last = parcel.is_last
                if is_last:
                    self._ending, self._was_cut_off = parcel.ending, parcel.was_cut_off
                if parcel.event is not None:
                    yield parcel.event

    def _write(self, parcel: Parcel) -> None:
        """Put the files of a parcel where they are on one machine. Raises OSError."""
        if self._spec.tensorboard is not None:
            for piece in parcel.tensorboard:
                write_piece(self._spec.tensorboard, piece)
        if self._spec.checkpoints is not None and parcel.checkpoint is not None:
            write_checkpoint(self._spec.checkpoints, parcel.checkpoint)
        unpack(parcel.version, self._spec.staging)

    def _end(self) -> None:
        """Let the node go."""
        with self._lock:
            actor, place = self._actor, self._found
        if actor is not None:
            ray.kill(actor)
        if place is not None:
            self._note(place.node_id, -1)
        self._is_gone.set()

    def _sentence(self, error: RayError) -> str:
        node = "a node that had yet to begin" if self._found is None else f"the node {self._found.name}"
        log.warning(
            "training lost its node",
            extra={"training_id": self._spec.training_id, "node": node, "reason": str(error)},
        )
        if isinstance(error, OutOfMemoryError):
            return f"{node} ran out of memory; start again with a smaller batch size"
        if _is_lost(error):
            return f"{node} was lost, or what trains there was ended from outside; start again"
        first_line = next(iter(str(error).strip().splitlines()), "no message")
        return f"Ray could not carry out the training on {node} ({type(error).__name__}: {first_line})"


def _is_lost(error: RayError) -> bool:
    """Whether the error is the cluster's, so that another node may do what this one did not."""
    if isinstance(error, RayActorError) and error.actor_init_failed:
        return False
    return not isinstance(error, RayTaskError | RuntimeEnvSetupError)
