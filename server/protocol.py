"""What the serving process and the training child tell each other, as lines of JSON.

The serving process writes one line to the child's standard input, a `TrainingSpec`, and then keeps that
pipe open for as long as it lives. One more line may follow, at any time:

    {"command": "stop"}                 end early, and keep the best epoch

The child answers on its standard output with events, one a line, with the spec's `call_id` if it has one:

    {"event": "environment", "device": ..., "libraries": {...}}     what it trains on, before the first step
    {"event": "history", "history": [...]}      `EpochMetrics` of the epochs that earlier attempts finished
    {"event": "progress", ...}          `Progress`, about every half second
    {"event": "epoch", ...}             `EpochMetrics`, once for every finished epoch
    {"event": "done"}                   the staging folder holds a whole version
    {"event": "failed", "reason": ...}  it does not; the reason is a sentence for a person

Where another machine trains, what stands between the two says one thing of its own:

    {"event": "waiting"}                now and then, until the child has found its place
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.recipes import TrainingOptions

STOP = {"command": "stop"}
# In the folder of a run's checkpoints; see `server.trainer.checkpoint`.
CHECKPOINT = "checkpoint.npz"


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """What the child is asked to do."""

    training_id: str
    recipe: str
    options: TrainingOptions
    datasets: Path
    """The folder of the prepared digits."""
    staging: Path
    """The empty folder to make the version in."""
    checkpoints: Path | None = None
    """The folder of the run's checkpoint, to go on from and to write; None: a training in one go."""
    tensorboard: Path | None = None
    """The folder for TensorBoard's logs of the run; None: no logs."""
    stop_early: bool = False
    """Whether it was asked to stop already: end after the last finished epoch, or after the first."""
    elapsed_s: float = 0.0
    """What earlier attempts at the run took."""
    base: Path | None = None
    """The folder of the version to go on from; None: begin anew."""
    base_version: int | None = None
    """Its number."""
    samples: Path | None = None
    """The file of the samples to learn, by `write_samples`; None: none."""
    call_id: str = ""
    """The id of the call that asked for the run: the child's log lines and events carry it."""
    cores: int = 0
    """How many of the processor's cores it is to use; 0: all that serving can spare."""

    def to_json(self) -> dict[str, Any]:
        """Plain values by name; `from_json` reads them back."""
        return {
            "training_id": self.training_id,
            "recipe": self.recipe,
            "options": self.options.to_json(),
            "datasets": str(self.datasets),
            "staging": str(self.staging),
            "checkpoints": None if self.checkpoints is None else str(self.checkpoints),
            "tensorboard": None if self.tensorboard is None else str(self.tensorboard),
            "stop_early": self.stop_early,
            "elapsed_s": self.elapsed_s,
            "base": None if self.base is None else str(self.base),
            "base_version": self.base_version,
            "samples": None if self.samples is None else str(self.samples),
            "call_id": self.call_id,
            "cores": self.cores,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingSpec:
        """The spec that `to_json` gave. Raises KeyError, or InvalidOption for options that make no sense."""
        return cls(
            training_id=values["training_id"],
            recipe=values["recipe"],
            options=TrainingOptions.from_json(values["options"]),
            datasets=Path(values["datasets"]),
            staging=Path(values["staging"]),
            checkpoints=Path(values["checkpoints"]) if values["checkpoints"] else None,
            tensorboard=Path(values["tensorboard"]) if values["tensorboard"] else None,
            stop_early=values["stop_early"],
            elapsed_s=values["elapsed_s"],
            base=Path(values["base"]) if values.get("base") else None,
            base_version=values.get("base_version"),
            samples=Path(values["samples"]) if values.get("samples") else None,
            call_id=values.get("call_id", ""),
            cores=values.get("cores", 0),
        )


def write_samples(
    path: Path, ids: Sequence[str], pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]
) -> None:
    """Leave the samples of a run for its child: ids, pixels (N, 28, 28) uint8, labels (N,) uint8.

    The file is there whole or not at all. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        np.savez(file, ids=np.array(ids, dtype=np.str_), pixels=pixels, labels=labels)
    beside.replace(path)


def read_samples(
    path: Path,
) -> tuple[tuple[str, ...], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Ids, pixels and labels that `write_samples` left. Raises OSError, ValueError or KeyError without."""
    with np.load(path, allow_pickle=False) as arrays:
        ids = tuple(str(one) for one in arrays["ids"])
        return ids, np.asarray(arrays["pixels"], np.uint8), np.asarray(arrays["labels"], np.uint8)


class Phase(StrEnum):
    """What a running training is doing."""

    STARTING = "starting"
    """The program starts and reads its data."""
    TRAINING = "training"
    """The network learns."""
    EVALUATING = "evaluating"
    """The result is written, and measured as it will serve."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running training is."""

    phase: Phase
    epoch: int = 0
    """The epoch it is in, from 1; 0 before the first."""
    epochs: int
    batch: int = 0
    """Batches done in this epoch."""
    batches: int = 0
    """Batches in an epoch; 0 while that is unknown."""
    loss: float = 0.0
    """Mean training loss so far in this epoch: cross-entropy in nats."""
    accuracy: float = 0.0
    """Share of the training images read correctly so far in this epoch, in [0, 1]."""
    validation_loss: float | None = None
    """After the last finished epoch; None before it, or without validation data."""
    validation_accuracy: float | None = None
    """After the last finished epoch, in [0, 1]; None before it, or without validation data."""
    elapsed_s: float = 0.0
    """Since the run started, without the time between two attempts."""
    remaining_s: float | None = None
    """Estimated until the run is done; None while nothing is known."""
    images_per_s: float = 0.0
    """Training images a second, of late."""

    def to_json(self) -> dict[str, Any]:
        """Plain values by name; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Progress:
        """The progress that `to_json` gave. Raises KeyError, TypeError or ValueError on anything else."""
        return cls(**{**values, "phase": Phase(values["phase"])})


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """The result of one finished epoch; meanings and units as in `Progress`."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    duration_s: float

    def to_json(self) -> dict[str, Any]:
        """Plain values by name; `EpochMetrics(**values)` reads them back."""
        return asdict(self)
