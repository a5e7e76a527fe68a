"""Training runs, between proto and domain."""

from __future__ import annotations

from collections.abc import Mapping

from digits.v1 import training_pb2 as pb

from server.recipes import (
    RANGES,
    Activation,
    Architecture,
    Augmentation,
    Optimizer,
    Recipe,
    TrainingOptions,
)
from server.rpc.convert.common import data_source, enum_from_proto, timestamp
from server.rpc.convert.gate import gate
from server.training import EpochMetrics, Phase, Progress, TrainingRun, TrainingState

ARCHITECTURES: Mapping[Architecture, int] = {
    Architecture.MLP: pb.ARCHITECTURE_MLP,
    Architecture.CNN: pb.ARCHITECTURE_CNN,
}
ACTIVATIONS: Mapping[Activation, int] = {
    Activation.RELU: pb.ACTIVATION_RELU,
    Activation.SIGMOID: pb.ACTIVATION_SIGMOID,
}
OPTIMIZERS: Mapping[Optimizer, int] = {
    Optimizer.ADAM: pb.OPTIMIZER_ADAM,
    Optimizer.SGD: pb.OPTIMIZER_SGD,
    Optimizer.ADAGRAD: pb.OPTIMIZER_ADAGRAD,
}
AUGMENTATIONS: Mapping[Augmentation, int] = {
    Augmentation.NONE: pb.AUGMENTATION_NONE,
    Augmentation.STANDARD: pb.AUGMENTATION_STANDARD,
}
STATES: Mapping[TrainingState, int] = {
    TrainingState.QUEUED: pb.TRAINING_STATE_QUEUED,
    TrainingState.RUNNING: pb.TRAINING_STATE_RUNNING,
    TrainingState.SUCCEEDED: pb.TRAINING_STATE_SUCCEEDED,
    TrainingState.FAILED: pb.TRAINING_STATE_FAILED,
    TrainingState.CANCELLED: pb.TRAINING_STATE_CANCELLED,
}
PHASES: Mapping[Phase, int] = {
    Phase.STARTING: pb.TRAINING_PHASE_STARTING,
    Phase.TRAINING: pb.TRAINING_PHASE_TRAINING,
    Phase.EVALUATING: pb.TRAINING_PHASE_EVALUATING,
}


def overrides(options: pb.TrainingOptions) -> dict[str, object]:
    """The options that a request sets, by name; their ranges are the recipe's business."""
    chosen: dict[str, object] = {
        "architecture": enum_from_proto("options.architecture", options.architecture, ARCHITECTURES),
        "activation": enum_from_proto("options.activation", options.activation, ACTIVATIONS),
        "optimizer": enum_from_proto("options.optimizer", options.optimizer, OPTIMIZERS),
        "augmentation": enum_from_proto("options.augmentation", options.augmentation, AUGMENTATIONS),
        "learning_rate": options.learning_rate if options.HasField("learning_rate") else None,
        "epochs": options.epochs if options.HasField("epochs") else None,
        "batch_size": options.batch_size if options.HasField("batch_size") else None,
        "seed": options.seed if options.HasField("seed") else None,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def options(chosen: TrainingOptions) -> pb.TrainingOptions:
    """The options of a run, all set."""
    return pb.TrainingOptions(
        architecture=ARCHITECTURES[chosen.architecture],  # type: ignore[arg-type]
        activation=ACTIVATIONS[chosen.activation],  # type: ignore[arg-type]
        optimizer=OPTIMIZERS[chosen.optimizer],  # type: ignore[arg-type]
        augmentation=AUGMENTATIONS[chosen.augmentation],  # type: ignore[arg-type]
        learning_rate=chosen.learning_rate,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        seed=chosen.seed,
    )


def option_ranges() -> list[pb.OptionRange]:
    """The allowed range of every numeric option."""
    return [pb.OptionRange(option=name, min=limits.min, max=limits.max) for name, limits in RANGES.items()]


def recipe(known: Recipe) -> pb.Recipe:
    """A recipe with its defaults."""
    return pb.Recipe(
        name=known.name,
        title=known.title,
        description=known.description,
        defaults=options(known.defaults),
        uses_all_data=known.uses_all_data,
        uses_samples=known.uses_samples,
    )


def training(run: TrainingRun) -> pb.Training:
    """A run as it stands."""
    return pb.Training(
        training_id=run.training_id,
        recipe=run.recipe,
        options=options(run.options),
        state=STATES[run.state],  # type: ignore[arg-type]
        queue_position=run.queue_position,
        deploy_when_done=run.deploy_when_done,
        create_time=timestamp(run.created),
        start_time=timestamp(run.started),
        end_time=timestamp(run.ended),
        progress=_progress(run.progress) if run.progress else None,
        history=[_epoch(epoch) for epoch in run.history],
        model_version=run.model_version or 0,
        failure_reason=run.failure_reason,
        data_source=data_source(run.data_source),
        stopped_early=run.stopped_early,
        resumes=run.resumes,
        device=run.device,
        libraries=dict(run.libraries),
        base_version=run.base_version or 0,
        samples=run.samples,
        gate=gate(run.gate),
    )


def _progress(progress: Progress) -> pb.TrainingProgress:
    return pb.TrainingProgress(
        phase=PHASES[progress.phase],  # type: ignore[arg-type]
        epoch=progress.epoch,
        epochs=progress.epochs,
        batch=progress.batch,
        batches_per_epoch=progress.batches,
        loss=progress.loss,
        accuracy=progress.accuracy,
        validation_loss=progress.validation_loss,
        validation_accuracy=progress.validation_accuracy,
        elapsed_s=progress.elapsed_s,
        remaining_s=progress.remaining_s,
        images_per_s=progress.images_per_s,
    )


def _epoch(metrics: EpochMetrics) -> pb.EpochMetrics:
    return pb.EpochMetrics(
        epoch=metrics.epoch,
        loss=metrics.loss,
        accuracy=metrics.accuracy,
        validation_loss=metrics.validation_loss,
        validation_accuracy=metrics.validation_accuracy,
        duration_s=metrics.duration_s,
    )
