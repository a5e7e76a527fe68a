"""Messages of `digits.v1` to records and back."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from digits.v1 import dataset_pb2, evaluation_pb2, model_pb2, prediction_pb2, training_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from frontend import choices, records


def pixels(data: bytes) -> records.Pixels:
    """784 bytes as a read-only (28, 28) uint8 array."""
    return np.frombuffer(data, dtype=np.uint8).reshape(28, 28)


def time(message: Message, field: str) -> datetime | None:
    """A Timestamp field in UTC, None where it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def create_time(message: Message) -> datetime:
    """The time at which the server made the thing: always set."""
    return time(message, "create_time") or datetime.fromtimestamp(0, UTC)


def optional(message: Message, field: str) -> float | None:
    """An optional number, None where it is not set."""
    return float(getattr(message, field)) if message.HasField(field) else None


def optional_int(message: Message, field: str) -> int | None:
    """An optional whole number, None where it is not set."""
    return int(getattr(message, field)) if message.HasField(field) else None


def data_source(message: dataset_pb2.DataSource) -> records.DataSource:
    return records.DataSource(choices.DataSourceKind(message.kind), message.description, message.sha256)


def dataset_info(message: dataset_pb2.DatasetInfo) -> records.DatasetInfo:
    return records.DatasetInfo(choices.Dataset(message.dataset), message.images, message.is_available)


def evaluation(message: evaluation_pb2.Evaluation) -> records.Evaluation:
    counts = message.confusion_matrix or [0] * 100
    return records.Evaluation(
        evaluation_id=message.evaluation_id,
        model_version=message.model_version,
        dataset=choices.Dataset(message.dataset),
        state=choices.EvaluationState(message.state),
        failure_reason=message.failure_reason,
        create_time=create_time(message),
        end_time=time(message, "end_time"),
        images=message.images,
        misclassified=message.misclassified,
        loss=message.loss,
        accuracy=message.accuracy,
        accuracy_low=message.accuracy_low,
        accuracy_high=message.accuracy_high,
        per_class=tuple(
            records.ClassMetrics(row.digit, row.precision, row.recall, row.f1, row.support)
            for row in message.per_class
        ),
        confusion_matrix=np.array(counts, dtype=np.int64).reshape(10, 10),
        expected_calibration_error=optional(message, "expected_calibration_error"),
    )


def test_digit(message: evaluation_pb2.TestDigit) -> records.TestDigit:
    return records.TestDigit(message.index, pixels(message.pixels), message.label)


def misclassified_digit(message: evaluation_pb2.MisclassifiedDigit) -> records.MisclassifiedDigit:
    return records.MisclassifiedDigit(
        index=message.index,
        pixels=pixels(message.pixels),
        true_digit=message.true_digit,
        predicted_digit=message.predicted_digit,
        confidence=message.confidence,
        probabilities=tuple(message.probabilities),
        loss=message.loss,
    )


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
        data_source=data_source(message.data_source) if message.HasField("data_source") else None,
        stopped_early=message.stopped_early,
        resumes=message.resumes,
        device=message.device,
    )


def provenance(message: model_pb2.Provenance) -> records.Provenance:
    return records.Provenance(
        training_id=message.training_id,
        recipe=message.recipe,
        options=training_options(message.options),
        data_source=data_source(message.data_source) if message.HasField("data_source") else None,
        training_partitions=tuple(message.training_partitions),
        training_images=message.training_images,
        validation_partitions=tuple(message.validation_partitions),
        validation_images=message.validation_images,
        validation_accuracy=optional(message, "validation_accuracy"),
        libraries=dict(message.libraries),
        command=message.command,
    )


def model(message: model_pb2.Model) -> records.Model:
    return records.Model(
        model_version=message.model_version,
        is_deployed=message.is_deployed,
        is_shipped=message.is_shipped,
        create_time=create_time(message),
        parameters=message.parameters,
        artifact_bytes=message.artifact_bytes,
        artifact_sha256=message.artifact_sha256,
        provenance=provenance(message.provenance),
        evaluation=evaluation(message.evaluation) if message.HasField("evaluation") else None,
        uncertain_below=message.uncertain_below,
    )


def prediction(message: prediction_pb2.Prediction) -> records.Prediction:
    return records.Prediction(
        digit=message.digit,
        confidence=message.confidence,
        probabilities=tuple(message.probabilities),
        model_input=pixels(message.model_input),
        is_uncertain=message.is_uncertain,
    )


def number_digit(message: prediction_pb2.NumberDigit) -> records.NumberDigit:
    box = message.box
    return records.NumberDigit(
        prediction(message.prediction), records.Box(box.x, box.y, box.width, box.height), message.line
    )


def timings(message: prediction_pb2.Timings) -> records.Timings:
    return records.Timings(
        message.decode_ms, message.preprocess_ms, message.queue_ms, message.engine_ms, message.total_ms
    )
