"""Recipes, runs and their options."""

from __future__ import annotations

from digits.client import choices, records
from digits.client.messages.dataset import data_source_of
from digits.client.messages.fields import create_time, optional, optional_int, time
from digits.client.messages.gate import gate_of
from digits.v1 import training_pb2


def training_options(message: training_pb2.TrainingOptions) -> records.TrainingOptions:
    return records.TrainingOptions(
        architecture=choices.Architecture(message.architecture),
        activation=choices.Activation(message.activation),
        optimizer=choices.Optimizer(message.optimizer),
        learning_rate=optional(message, "learning_rate"),
        epochs=optional_int(message, "epochs"),
        batch_size=optional_int(message, "batch_size"),
        augmentation=choices.Augmentation(message.augmentation),
        seed=optional_int(message, "seed"),
    )


def to_training_options(options: records.TrainingOptions) -> training_pb2.TrainingOptions:
    return training_pb2.TrainingOptions(
        architecture=training_pb2.Architecture.ValueType(options.architecture),
        activation=training_pb2.Activation.ValueType(options.activation),
        optimizer=training_pb2.Optimizer.ValueType(options.optimizer),
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        batch_size=options.batch_size,
        augmentation=training_pb2.Augmentation.ValueType(options.augmentation),
        seed=options.seed,
    )


def recipe(message: training_pb2.Recipe) -> records.Recipe:
    return records.Recipe(
        name=message.name,
        title=message.title,
        description=message.description,
        defaults=training_options(message.defaults),
        uses_all_data=message.uses_all_data,
        uses_samples=message.uses_samples,
    )


def recipes(message: training_pb2.ListRecipesResponse) -> records.Recipes:
    return records.Recipes(
        recipes=tuple(recipe(each) for each in message.recipes),
        option_ranges={
            bounds.option: records.OptionRange(bounds.option, bounds.min, bounds.max)
            for bounds in message.option_ranges
        },
        data_source=data_source_of(message),
        data_progress=message.data_progress,
    )


def training_progress(message: training_pb2.TrainingProgress) -> records.TrainingProgress:
    return records.TrainingProgress(
        phase=choices.TrainingPhase(message.phase),
        epoch=message.epoch,
        epochs=message.epochs,
        batch=message.batch,
        batches_per_epoch=message.batches_per_epoch,
        loss=message.loss,
        accuracy=message.accuracy,
        validation_loss=optional(message, "validation_loss"),
        validation_accuracy=optional(message, "validation_accuracy"),
        elapsed_s=message.elapsed_s,
        remaining_s=optional(message, "remaining_s"),
        images_per_s=message.images_per_s,
    )


def epoch_metrics(message: training_pb2.EpochMetrics) -> records.EpochMetrics:
    return records.EpochMetrics(
        epoch=message.epoch,
        loss=message.loss,
        accuracy=message.accuracy,
        validation_loss=optional(message, "validation_loss"),
        validation_accuracy=optional(message, "validation_accuracy"),
        duration_s=message.duration_s,
    )


def training(message: training_pb2.Training) -> records.Training:
    return records.Training(
        training_id=message.training_id,
        recipe=message.recipe,
        options=training_options(message.options),
        state=choices.TrainingState(message.state),
        queue_position=message.queue_position,
        deploy_when_done=message.deploy_when_done,
        create_time=create_time(message),
        start_time=time(message, "start_time"),
        end_time=time(message, "end_time"),
        progress=training_progress(message.progress) if message.HasField("progress") else None,
        history=tuple(epoch_metrics(epoch) for epoch in message.history),
        model_version=message.model_version,
        failure_reason=message.failure_reason,
        data_source=data_source_of(message),
        stopped_early=message.stopped_early,
        resumes=message.resumes,
        device=message.device,
        libraries=dict(message.libraries),
        base_version=message.base_version,
        samples=message.samples,
        gate=gate_of(message),
    )


def trainings(message: training_pb2.ListTrainingsResponse) -> records.Trainings:
    return records.Trainings(
        tuple(training(run) for run in message.trainings), message.next_page_token, message.total_size
    )
