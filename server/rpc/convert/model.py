"""Model versions, between proto and domain."""

from __future__ import annotations

from collections.abc import Mapping

from digits.v1 import model_pb2 as pb

from server.errors import InvalidArgument
from server.evaluation import Evaluation
from server.exports import Export, ExportFormat
from server.gate import GateReport
from server.models import Damage, Deployment, DeploymentAction, ModelVersion
from server.recipes import TrainingOptions
from server.rpc.convert import evaluation as evaluation_convert
from server.rpc.convert import gate as gate_convert
from server.rpc.convert import training as training_convert
from server.rpc.convert.common import data_source, enum_from_proto, timestamp

ACTIONS: Mapping[DeploymentAction, int] = {
    DeploymentAction.DEPLOYED: pb.DEPLOYMENT_ACTION_DEPLOYED,
    DeploymentAction.ROLLED_BACK: pb.DEPLOYMENT_ACTION_ROLLED_BACK,
    DeploymentAction.DELETED: pb.DEPLOYMENT_ACTION_DELETED,
    DeploymentAction.UNDEPLOYED: pb.DEPLOYMENT_ACTION_UNDEPLOYED,
}

FORMATS: Mapping[ExportFormat, int] = {
    ExportFormat.KERAS: pb.EXPORT_FORMAT_KERAS,
    ExportFormat.SAVED_MODEL: pb.EXPORT_FORMAT_SAVED_MODEL,
    ExportFormat.TFLITE: pb.EXPORT_FORMAT_TFLITE,
    ExportFormat.ONNX: pb.EXPORT_FORMAT_ONNX,
}


def model(
    version: ModelVersion,
    evaluation: Evaluation,
    report: GateReport | None,
    damage: Damage | None,
    *,
    is_deployed: bool,
) -> pb.Model:
    """A version with the evaluation it was made with, how it did at the gate, and what is wrong with it."""
    return pb.Model(
        model_version=version.version,
        is_deployed=is_deployed,
        is_shipped=version.is_shipped,
        create_time=timestamp(version.created),
        parameters=version.parameters,
        artifact_bytes=version.artifact.bytes,
        artifact_sha256=version.artifact.sha256,
        provenance=_provenance(version),
        evaluation=evaluation_convert.evaluation(evaluation),
        uncertain_below=version.uncertain_below,
        gate=gate_convert.gate(report),
        damage=_damage(damage),
    )


def unreadable(versions: Mapping[int, Damage]) -> list[pb.UnreadableModel]:
    """Versions of which nothing but this is known."""
    return [
        pb.UnreadableModel(model_version=number, damage=_damage(damage))
        for number, damage in versions.items()
    ]


def export_format(request: pb.ExportModelRequest) -> ExportFormat:
    """The form that a request names, which must name one. Raises InvalidArgument."""
    form = enum_from_proto("format", request.format, FORMATS)
    if form is None:
        raise InvalidArgument("format", f"expected one of {', '.join(ExportFormat)}, got none")
    return form


def export_header(export: Export) -> pb.ExportHeader:
    """What an export is."""
    return pb.ExportHeader(
        model_version=export.model_version,
        file_name=export.file_name,
        bytes=export.record.bytes,
        sha256=export.record.sha256,
    )


def deployment(entry: Deployment) -> pb.Deployment:
    """An entry of the list of deployments."""
    return pb.Deployment(
        number=entry.number,
        model_version=entry.model_version,
        action=ACTIONS[entry.action],  # type: ignore[arg-type]
        cause=entry.cause,
        create_time=timestamp(entry.created),
        previous_version=entry.previous_version or 0,
    )


def _damage(damage: Damage | None) -> pb.Damage | None:
    return None if damage is None else pb.Damage(reason=damage.reason, can_answer=damage.can_answer)


def _provenance(version: ModelVersion) -> pb.Provenance:
    return pb.Provenance(
        training_id=version.training_id,
        recipe=version.recipe,
        options=training_convert.options(TrainingOptions.from_json(version.options)),
        data_source=data_source(version.data_source),
        training_partitions=version.train_partitions,
        training_images=version.train_images,
        validation_partitions=version.validation_partitions,
        validation_images=version.validation_images,
        validation_accuracy=version.validation_accuracy,
        libraries=version.libraries,
        command=version.command,
        base_version=version.base_version or 0,
        samples=version.samples,
    )
