"""How the pages name a training run: its options, its state, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping

from digits.client.choices import (
    Activation,
    Architecture,
    Augmentation,
    Optimizer,
    TrainingPhase,
    TrainingState,
)
from digits.client.records import Training, TrainingOptions, TrainingProgress

from frontend.wording import count

ARCHITECTURES: Mapping[Architecture, str] = {Architecture.MLP: "MLP", Architecture.CNN: "CNN"}
ACTIVATIONS: Mapping[Activation, str] = {Activation.RELU: "relu", Activation.SIGMOID: "sigmoid"}
OPTIMIZERS: Mapping[Optimizer, str] = {
    Optimizer.ADAM: "Adam",
    Optimizer.SGD: "SGD",
    Optimizer.ADAGRAD: "AdaGrad",
}
AUGMENTATIONS: Mapping[Augmentation, str] = {Augmentation.NONE: "none", Augmentation.STANDARD: "standard"}
STATES: Mapping[TrainingState, str] = {
    TrainingState.UNSPECIFIED: "unknown",
    TrainingState.QUEUED: "waiting",
    TrainingState.RUNNING: "training",
    TrainingState.SUCCEEDED: "done",
    TrainingState.FAILED: "failed",
    TrainingState.CANCELLED: "cancelled",
}


def options_line(options: TrainingOptions) -> str:
    """All choices of a run in one line: "MLP · relu · Adam 0.001 · 10 epochs · batch 32 · seed 1"."""
    epochs, rate = options.epochs or 0, options.learning_rate or 0.0
    parts = [
        ARCHITECTURES.get(options.architecture, ""),
        ACTIVATIONS.get(options.activation, ""),
        f"{OPTIMIZERS.get(options.optimizer, '')} {rate:g}".strip(),
        f"{epochs:,} epoch{'' if epochs == 1 else 's'}",
        f"batch {options.batch_size or 0:,}",
        "augmented" if options.augmentation is Augmentation.STANDARD else "",
        f"seed {options.seed or 0}",
    ]
    return " · ".join(part for part in parts if part)


def state(run: Training) -> str:
    """Where a run stands: "training", "waiting, 2nd in line"."""
    if run.state is TrainingState.QUEUED and run.queue_position:
        return f"{STATES[run.state]}, {ordinal(run.queue_position)} in line"
    return STATES[run.state]


def circumstances(run: Training) -> str:
    """What is around a run, in a line: "from version 1 · 30 samples · on CPU · stopped early"."""
    times = {1: "once", 2: "twice"}.get(run.resumes, f"{run.resumes} times")
    parts = [
        f"from version {run.base_version}" if run.base_version else "",
        count(run.samples, "sample") if run.samples else "",
        f"on {run.device}" if run.device else "",
        f"cut off {times}, went on by itself" if run.resumes else "",
        "stopped early" if run.stopped_early else "",
    ]
    return " · ".join(part for part in parts if part)


def share_done(progress: TrainingProgress) -> float:
    """How much of the training is done, in [0, 1], counted in batches."""
    if progress.phase is TrainingPhase.EVALUATING:
        return 1.0
    if not progress.epochs or not progress.epoch:
        return 0.0
    inside = progress.batch / progress.batches_per_epoch if progress.batches_per_epoch else 0.0
    return min(1.0, max(0.0, (progress.epoch - 1 + inside) / progress.epochs))


def where(progress: TrainingProgress | None) -> str:
    """What a running training is doing, in a sentence."""
    if progress is not None and progress.phase is TrainingPhase.EVALUATING:
        return "Measuring the result on the test set, as it will serve"
    if progress is None or not progress.batch:
        return "Starting: the training program loads, and reads its digits"
    return (
        f"Epoch {progress.epoch} of {progress.epochs}, "
        f"batch {progress.batch:,} of {progress.batches_per_epoch:,}"
    )


def ordinal(number: int) -> str:
    """1 -> "1st", 2 -> "2nd", 11 -> "11th"."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
