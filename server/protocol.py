"""What the serving process and the training child tell each other, as lines of JSON.

The serving process writes one line to the child's standard input, a `TrainingSpec`, and then keeps that
pipe open for as long as it lives. One more line may follow, at any time:

    {"command": "stop"}                 end early, and keep the best epoch

The child answers on its standard output with events, one a line:

    {"event": "environment", "device": ..., "libraries": {...}}     what it trains on, before the first step
    {"event": "history", "history": [...]}      `EpochMetrics` of the epochs that earlier attempts finished
    {"event": "progress", ...}          `Progress`, about every half second
    {"event": "epoch", ...}             `EpochMetrics`, once for every finished epoch
    {"event": "done"}                   the staging folder holds a whole version
    {"event": "failed", "reason": ...}  it does not; the reason is a sentence for a person
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from server.recipes import TrainingOptions

STOP = {"command": "stop"}


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
        )


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
