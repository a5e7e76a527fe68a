"""Model versions, between proto and domain."""

from __future__ import annotations

from digits.v1 import model_pb2 as pb

from server.evaluation import Evaluation
from server.models import ModelVersion
from server.recipes import TrainingOptions
from server.rpc.convert import evaluation as evaluation_convert
from server.rpc.convert import training as training_convert
from server.rpc.convert.common import data_source, timestamp


def model(version: ModelVersion, evaluation: Evaluation, *, is_deployed: bool) -> pb.Model:
    """A version with the evaluation it was made with."""
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
    )


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
    )
