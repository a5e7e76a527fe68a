"""Versions, what became of them, and their exports."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from digits.client import choices, records
from digits.client.errors import ServerFault
from digits.client.messages.dataset import data_source_of
from digits.client.messages.evaluation import evaluation
from digits.client.messages.fields import create_time, optional
from digits.client.messages.gate import gate_of
from digits.client.messages.training import training_options
from digits.v1 import model_pb2


def provenance(message: model_pb2.Provenance) -> records.Provenance:
    return records.Provenance(
        training_id=message.training_id,
        recipe=message.recipe,
        options=training_options(message.options),
        data_source=data_source_of(message),
        training_partitions=tuple(message.training_partitions),
        training_images=message.training_images,
        validation_partitions=tuple(message.validation_partitions),
        validation_images=message.validation_images,
        validation_accuracy=optional(message, "validation_accuracy"),
        libraries=dict(message.libraries),
        command=message.command,
        base_version=message.base_version,
        samples=message.samples,
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
        gate=gate_of(message),
        damage=damage(message.damage) if message.HasField("damage") else None,
    )


def damage(message: model_pb2.Damage) -> records.Damage:
    return records.Damage(message.reason, message.can_answer)


def unreadable_model(message: model_pb2.UnreadableModel) -> records.UnreadableModel:
    return records.UnreadableModel(message.model_version, damage(message.damage))


def models(message: model_pb2.ListModelsResponse) -> records.Models:
    return records.Models(
        tuple(model(each) for each in message.models),
        message.next_page_token,
        message.total_size,
        tuple(unreadable_model(each) for each in message.unreadable_models),
    )


def deployment(message: model_pb2.Deployment) -> records.Deployment:
    return records.Deployment(
        number=message.number,
        model_version=message.model_version,
        action=choices.DeploymentAction(message.action),
        cause=message.cause,
        create_time=create_time(message),
        previous_version=message.previous_version,
    )


def deployments(message: model_pb2.ListDeploymentsResponse) -> records.Deployments:
    return records.Deployments(
        tuple(deployment(each) for each in message.deployments),
        message.next_page_token,
        message.total_size,
        message.rollback_version,
    )


def exported_model(parts: Sequence[model_pb2.ExportModelResponse]) -> records.ExportedModel:
    """A whole export from its stream. Raises ServerFault when it did not arrive as it was sent."""
    if not parts or not parts[0].HasField("header"):
        raise ServerFault("The export came without a header.")
    header = parts[0].header
    data = b"".join(part.chunk for part in parts[1:])
    if len(data) != header.bytes or hashlib.sha256(data).hexdigest() != header.sha256:
        raise ServerFault(f"The export arrived damaged: {len(data)} of {header.bytes} bytes.")
    return records.ExportedModel(header.model_version, header.file_name, header.sha256, data)
