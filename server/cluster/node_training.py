"""What trains on a node: a Ray actor with the very program that trains on one machine."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from server.cluster.node_folders import digits_folder, node_root, run_folder
from server.cluster.parcels import (
    Growing,
    Order,
    Parcel,
    Place,
    pack,
    read_if_there,
    unpack,
    write_checkpoint,
)
from server.failures import explain
from server.protocol import CHECKPOINT, TrainingSpec
from server.training import TrainingChild

log = logging.getLogger(__name__)

# So many parcels wait for the owner; then the program waits too, once its pipe is full.
PARCELS = 8


class NodeTraining:
    """One attempt at a run. Ray calls its methods on several threads; `begin` comes first.

    The actor lives as long as its owner: when that dies, by whatever, Ray ends the actor, and the program
    ends with the pipe that the actor held.
    """

    def __init__(self) -> None:
        self._parcels: queue.Queue[Parcel] = queue.Queue(PARCELS)
        self._lock = threading.Lock()
        self._child: TrainingChild | None = None
        self._is_early = False
        self._is_stopped = False

    def begin(self, order: Order) -> Place:
        """Carry out the order, from now on; returns at once."""
        threading.Thread(target=self._carry_out, args=(order,), name="training", daemon=True).start()
        return Place(ray.get_runtime_context().get_node_id(), socket.gethostname())

    def pull(self) -> Parcel:
        """The next parcel, as soon as there is one."""
        return self._parcels.get()

    def end_early(self) -> None:
        """Ask the program to finish with its best epoch so far."""
        with self._lock:
            self._is_early = True
            if self._child is not None:
                self._child.end_early()

    def stop(self) -> None:
        """End the program at once. The last parcel follows when it is gone."""
        with self._lock:
            self._is_stopped = True
            child = self._child
        if child is not None:
            child.stop()

    def _carry_out(self, order: Order) -> None:
        last = Parcel(is_last=True)
        try:
            with run_folder(node_root()) as folder:
                last = self._train(order, folder)
        except RayError as error:
            # The digits could not be fetched: their owner, or the node they lay on, is lost.
            last = Parcel(is_last=True, ending=f"{type(error).__name__} on its node", was_cut_off=True)
        except Exception as error:
            log.exception("training failed", extra={"training_id": order.spec.training_id})
            last = Parcel(is_last=True, event={"event": "failed", "reason": explain(error)})
        self._parcels.put(last)

    def _train(self, order: Order, folder: Path) -> Parcel:
        """Run the program and put what comes of it among the parcels; returns the last one."""
        spec = _lay_out(order, folder)
        log_file, scratch = folder / "training.log", folder / "tmp"
        with self._lock:
            if self._is_stopped:
                return Parcel(is_last=True, ending="was stopped before it began")
            child = self._child = TrainingChild(spec, log_file, scratch)
            if self._is_early:
                child.end_early()
        outputs = _Outputs(spec, log_file)
        is_done = False
        try:
            for event in child.events():
                # Told only with the version itself.
                if event["event"] == "done":
                    is_done = True
                else:
                    self._parcels.put(outputs.parcel(event))
        except BaseException:
            # Nobody would hear of the program any more.
            child.stop()
            child.wait()
            raise
        ending = child.wait()
        made = pack(spec.staging) if is_done and not ending else {}
        return replace(
            outputs.parcel({"event": "done"} if is_done else None),
            version=made,
            is_last=True,
            ending=ending,
            was_cut_off=child.was_cut_off,
        )


class _Outputs:
    """What the program writes beside its events."""

    def __init__(self, spec: TrainingSpec, log_file: Path) -> None:
        assert spec.checkpoints is not None
        assert spec.tensorboard is not None
        self._checkpoint = spec.checkpoints / CHECKPOINT
        self._sent = _state(self._checkpoint)
        self._tensorboard = Growing(spec.tensorboard)
        self._log_file = log_file
        self._logged = 0

    def parcel(self, event: dict[str, Any] | None) -> Parcel:
        """What has been written since the last parcel, with the event after it. Raises OSError."""
        checkpoint = None
        # It is saved before its epoch is told, and whole whenever it is read.
        if event is None or event["event"] == "epoch":
            state = _state(self._checkpoint)
            if state != self._sent:
                checkpoint, self._sent = read_if_there(self._checkpoint), state
        return Parcel(
            log=self._new_lines(),
            tensorboard=tuple(self._tensorboard.pieces()),
            checkpoint=checkpoint,
            event=event,
        )

    def _new_lines(self) -> bytes:
        with self._log_file.open("rb") as file:
            file.seek(self._logged)
            lines = file.read()
        self._logged += len(lines)
        return lines


def _lay_out(order: Order, folder: Path) -> TrainingSpec:
    """Put the order's files into the folder; returns the spec with the folders of this node."""

    def fetch() -> Mapping[str, bytes]:
        files: Mapping[str, bytes] = ray.get(order.digits[0])
        return files

    datasets = digits_folder(node_root(), order.digits_key, fetch)
    spec = replace(
        order.spec,
        datasets=datasets,
        staging=folder / "staging",
        checkpoints=folder / "checkpoints",
        tensorboard=folder / "tensorboard",
    )
    spec.staging.mkdir()
    if order.base is not None:
        unpack(order.base, folder / "base")
        spec = replace(spec, base=folder / "base")
    if order.samples is not None:
        unpack({"samples.npz": order.samples}, folder)
        spec = replace(spec, samples=folder / "samples.npz")
    if order.checkpoint is not None:
        write_checkpoint(folder / "checkpoints", order.checkpoint)
    return spec


def _state(path: Path) -> tuple[int, int] | None:
    """What tells that a file was replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
