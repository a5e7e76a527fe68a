"""What a version folder holds: the model in two forms, its answers on its test set, its origin."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.calibration import NEUTRAL_TEMPERATURE, NEUTRAL_UNCERTAIN_BELOW
from server.datasets import Dataset, DataSource, Partition
from server.errors import ModelCorrupt
from server.metrics import Metrics
from server.models.files import sha256_of
from server.models.sample_answers import SAMPLES
from server.models.sense import refuse_nonsense

ARTIFACT = "model.onnx"
"""What serves and what was measured: float32 (N, 28, 28, 1) in [0, 1] -> float32 (N, 10)."""
KERAS_MODEL = "model.keras"
"""The same weights for Keras, to train on from."""
PROBABILITIES = "probabilities.npz"
"""The artifact's answers on the version's own test set: `probabilities`, float32 (N, 10)."""
DESCRIPTION = "version.json"
"""Everything below. Written last: a folder without it is no version."""

REQUIRED = (ARTIFACT, KERAS_MODEL, PROBABILITIES)
FORMAT = 1
# In the description: the checksum of everything else in it. Versions from before there was one go without.
CHECKSUM = "description_sha256"

# What reading one raises that holds anything else.
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)

Option = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a version was made from. Data that it was trained on never measure it."""

    recipe: str
    options: Mapping[str, Option]
    """The options of the run, all set, as plain values."""
    training_id: str
    """The run that made it. Empty for a version that was not trained on this server."""
    command: str = ""
    """The command that made a version which was not trained on this server. Empty otherwise."""
    created: datetime
    description: str
    """One sentence for a person."""
    data_source: DataSource
    train_partitions: tuple[Partition, ...]
    train_images: int
    validation_partitions: tuple[Partition, ...]
    """What chose the best epoch. Empty when nothing was chosen."""
    validation_images: int
    validation_accuracy: float | None
    """In [0, 1]; None without validation data."""
    test_dataset: Dataset
    """What `metrics` and the stored probabilities were measured on."""
    libraries: Mapping[str, str]
    """Name -> version of what trained it, such as `keras`."""
    parameters: int
    """Number of weights."""
    temperature: float = NEUTRAL_TEMPERATURE
    """What the logits were divided by, in the artifact itself, so that its probabilities are calibrated."""
    uncertain_below: float = NEUTRAL_UNCERTAIN_BELOW
    """A reading with less confidence is called uncertain, in [0, 1]. The defaults of both are for versions
    without validation digits, and for those made before there was a calibration."""
    base_version: int | None = None
    """The version that its training went on from; None for one that began anew."""
    samples: int = 0
    """How many of people's own samples it was trained on, those of its base included."""
    pen_strokes: Mapping[str, Any] = field(default_factory=dict)
    """What it learnt beside the data source: the pen strokes' `source` and `sha256`, and for `train`,
    `validation` and `test` whose digits they were and how they are read. Empty for all but a shipped version.
    """


@dataclass(frozen=True)
class FileRecord:
    """What a file of a version must be."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class ModelVersion(Provenance):
    """An immutable version: its number, what it was made from, how it does, and its files by name."""

    version: int
    metrics: Metrics
    files: Mapping[str, FileRecord]

    @property
    def artifact(self) -> FileRecord:
        """The file that serves."""
        return self.files[ARTIFACT]

    @property
    def is_shipped(self) -> bool:
        """Whether it came with the software instead of a training run."""
        return not self.training_id


def write_version(
    staging: Path, provenance: Provenance, metrics: Metrics, probabilities: npt.NDArray[np.float32]
) -> None:
    """Complete a staging folder that holds `model.onnx` and `model.keras`, and `samples.npz` where samples
    were learnt: ready for `ModelStore.commit`.

    `metrics` and `probabilities` (N, 10) float32 are the artifact's on `provenance.test_dataset`, in order.
    Raises ValueError when they do not belong together, FileNotFoundError when a model file is missing.
    """
    if probabilities.dtype != np.float32 or probabilities.shape != (metrics.images, 10):
        raise ValueError(
            f"expected ({metrics.images}, 10) float32 probabilities, one row for each measured image, "
            f"got {probabilities.shape} {probabilities.dtype}"
        )
    np.savez_compressed(staging / PROBABILITIES, probabilities=probabilities)
    files = {
        name: {"sha256": sha256_of(staging / name), "bytes": (staging / name).stat().st_size}
        for name in (*REQUIRED, SAMPLES)
        if name in REQUIRED or (staging / name).exists()
    }
    described = {"format": FORMAT, **_plain(provenance), "metrics": metrics.to_json(), "files": files}
    # As whoever reads it finds it.
    values = json.loads(json.dumps(described))
    text = json.dumps({**values, CHECKSUM: description_checksum(values)}, indent=2, ensure_ascii=False) + "\n"
    (staging / DESCRIPTION).write_text(text, encoding="utf-8")


def read_version(folder: Path, version: int) -> ModelVersion:
    """The description of a version folder. Raises ModelCorrupt when there is none or it makes no sense."""
    path = folder / DESCRIPTION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {values['format']!r}")
        if values.pop(CHECKSUM, None) not in (None, description_checksum(values)):
            raise ValueError("its checksum is not that of what was saved")
        described = _from_plain(values, version)
        refuse_nonsense(described)
        return described
    except (OSError, *NONSENSE) as error:
        raise ModelCorrupt(
            f"version {version}: {path.name} cannot be read ({_words(error)})",
            model_version=str(version),
        ) from error


def verify_file(folder: Path, version: ModelVersion, name: str) -> Path:
    """The path of a version's file, after its size and checksum were compared. Raises ModelCorrupt."""
    record, path = version.files[name], folder / name
    try:
        size = path.stat().st_size
        if size != record.bytes:
            raise _damaged(version, f"{name} is damaged: {size:,} bytes of {record.bytes:,}")
        if sha256_of(path) != record.sha256:
            raise _damaged(version, f"{name} is damaged: its content is not what was saved")
    except FileNotFoundError:
        raise _damaged(version, f"{name} is missing") from None
    except OSError as error:
        raise _damaged(version, f"{name} cannot be read ({error.strerror})") from error
    return path


def _damaged(version: ModelVersion, what: str) -> ModelCorrupt:
    return ModelCorrupt(f"version {version.version}: {what}", model_version=str(version.version))


def description_checksum(values: Mapping[str, Any]) -> str:
    """Of the content of a description, however it is laid out."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _words(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def _plain(provenance: Provenance) -> dict[str, Any]:
    """Provenance as values that `json` can write; enums are strings already."""
    values = {field.name: getattr(provenance, field.name) for field in fields(provenance)}
    return {
        **values,
        "created": provenance.created.astimezone(UTC).isoformat(),
        "data_source": provenance.data_source.to_json(),
    }


def _from_plain(values: dict[str, Any], version: int) -> ModelVersion:
    files = {name: FileRecord(**record) for name, record in values["files"].items()}
    # The names come out of a file: one with a path in it must never lead out of the folder.
    if not set(REQUIRED) <= set(files) or not all(re.fullmatch(r"\w[\w.-]*", name) for name in files):
        raise ValueError(f"expected at least the files {', '.join(REQUIRED)}, got {', '.join(files)}")
    known = {field.name for field in fields(Provenance)}
    described = {
        **{name: value for name, value in values.items() if name in known},
        "created": datetime.fromisoformat(values["created"]),
        "data_source": DataSource.from_json(values["data_source"]),
        "train_partitions": tuple(Partition(name) for name in values["train_partitions"]),
        "validation_partitions": tuple(Partition(name) for name in values["validation_partitions"]),
        "test_dataset": Dataset(values["test_dataset"]),
    }
    metrics = Metrics.from_json(values["metrics"])
    return ModelVersion(**described, version=version, metrics=metrics, files=files)
