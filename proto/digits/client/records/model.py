"""The versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from digits.client.choices import DeploymentAction
from digits.client.records.dataset import DataSource
from digits.client.records.evaluation import Evaluation
from digits.client.records.gate import GateReport
from digits.client.records.training import TrainingOptions


@dataclass(frozen=True)
class Provenance:
    """What a version was made from. `training_id` is empty when it was not trained on this server.

    `base_version` is what its training went on from, 0 for one that began anew; `samples` counts people's own
    drawings among what it learnt, those of its base included.
    """

    training_id: str
    recipe: str
    options: TrainingOptions
    data_source: DataSource | None
    training_partitions: tuple[str, ...]
    training_images: int
    validation_partitions: tuple[str, ...]
    validation_images: int
    validation_accuracy: float | None
    libraries: Mapping[str, str]
    command: str
    base_version: int = 0
    samples: int = 0


@dataclass(frozen=True)
class Damage:
    """Why the files of a version are not what was saved; whether it can be deployed all the same."""

    reason: str
    can_answer: bool


@dataclass(frozen=True)
class Model:
    """An immutable model version. `evaluation` is on the test set of its own training.

    A prediction with less confidence than `uncertain_below` is called uncertain; 0 calls none so.
    `gate` is None for a version that came with the software, `damage` while its files are as they were saved.
    """

    model_version: int
    is_deployed: bool
    is_shipped: bool
    create_time: datetime
    parameters: int
    artifact_bytes: int
    artifact_sha256: str
    provenance: Provenance
    evaluation: Evaluation | None
    uncertain_below: float = 0.0
    gate: GateReport | None = None
    damage: Damage | None = None


@dataclass(frozen=True)
class UnreadableModel:
    """A version of which only the number is known, because its description is damaged."""

    model_version: int
    damage: Damage


@dataclass(frozen=True)
class Models:
    """A page of versions, newest first. `unreadable_models` are not among them, and on every page all."""

    models: tuple[Model, ...]
    next_page_token: str
    total_size: int
    unreadable_models: tuple[UnreadableModel, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """What happened to a version, and why. `previous_version` is 0 when none answered, and for a deletion."""

    number: int
    model_version: int
    action: DeploymentAction
    cause: str
    create_time: datetime
    previous_version: int


@dataclass(frozen=True)
class Deployments:
    """A page of what was deployed, rolled back, undeployed and deleted, newest first.

    `rollback_version` is the one to go back to; 0 when there is none.
    """

    deployments: tuple[Deployment, ...]
    next_page_token: str
    total_size: int
    rollback_version: int


@dataclass(frozen=True)
class ExportedModel:
    """A version as a file for other software. `file_name` is a good name for it."""

    model_version: int
    file_name: str
    sha256: str
    data: bytes
