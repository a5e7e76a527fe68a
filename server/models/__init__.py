"""Model versions: immutable numbered folders, and the record of which of them was deployed when."""

from server.models.damage import Damage
from server.models.deployments import Deployment, DeploymentAction, Deployments
from server.models.mirror import Mirror
from server.models.shared import SharedArtifacts
from server.models.store import ModelStore
from server.models.version import (
    ARTIFACT,
    KERAS_MODEL,
    PROBABILITIES,
    FileRecord,
    ModelVersion,
    Provenance,
    write_version,
)

__all__ = [
    "ARTIFACT",
    "KERAS_MODEL",
    "PROBABILITIES",
    "Damage",
    "Deployment",
    "DeploymentAction",
    "Deployments",
    "FileRecord",
    "Mirror",
    "ModelStore",
    "ModelVersion",
    "Provenance",
    "SharedArtifacts",
    "write_version",
]
