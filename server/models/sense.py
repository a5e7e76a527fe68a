"""Whether what a description tells makes sense: nothing in it may spoil what is told of other versions.

A description from before there was a checksum may have been changed by anybody, and one that was made by hand
brings a checksum of its own. What passes here can be kept in the database and told to a caller as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.errors import InvalidOption
from server.recipes import TrainingOptions

if TYPE_CHECKING:
    from server.models.version import ModelVersion

# Of the contract's int32 and int64.
MAX_COUNT, MAX_BYTES = 2**31 - 1, 2**63 - 1
# Far more than any description holds; a reply that lists a hundred versions has to fit a message.
MAX_TEXT = 10_000
MAX_LIBRARIES = 100
TEXTS = ("recipe", "training_id", "command", "description")
COUNTS = ("train_images", "validation_images", "samples")
SHARES = ("accuracy", "accuracy_low", "accuracy_high")


def refuse_nonsense(version: ModelVersion) -> None:
    """Raise ValueError or OverflowError when a value is not what it has to be."""
    for name in TEXTS:
        _text(name, getattr(version, name))
    for name in COUNTS:
        _count(name, getattr(version, name))
    _count("parameters", version.parameters, MAX_BYTES)
    if version.base_version is not None:
        _count("base_version", version.base_version)
    if version.validation_accuracy is not None:
        _number("validation_accuracy", version.validation_accuracy, 1.0)
    _number("uncertain_below", version.uncertain_below, 1.0)
    _number("temperature", version.temperature)
    _moment(version.created)
    _options(version.options)
    _libraries(version.libraries)
    _text("data_source.description", version.data_source.description)
    _text("data_source.sha256", version.data_source.sha256)
    _object("pen_strokes", version.pen_strokes)
    for name, record in version.files.items():
        _text(f"files.{name}.sha256", record.sha256)
        if not re.fullmatch("[0-9a-f]{64}", record.sha256):
            raise _wrong(f"files.{name}.sha256", "64 hexadecimal digits", record.sha256)
        _count(f"files.{name}.bytes", record.bytes, MAX_BYTES)
    _metrics(version)


def _metrics(version: ModelVersion) -> None:
    metrics = version.metrics
    _count("metrics.images", metrics.images)
    _count("metrics.misclassified", metrics.misclassified)
    _number("metrics.loss", metrics.loss)
    for name in SHARES:
        _number(f"metrics.{name}", getattr(metrics, name), 1.0)
    if metrics.expected_calibration_error is not None:
        _number("metrics.expected_calibration_error", metrics.expected_calibration_error, 1.0)
    if not 0 <= metrics.confusion_matrix.min() <= metrics.confusion_matrix.max() <= MAX_COUNT:
        raise ValueError("metrics.confusion_matrix: expected counts of images")
    for digit, measured in enumerate(metrics.per_class):
        values = asdict(measured)
        _count(f"metrics.per_class[{digit}].support", values.pop("support"))
        for name, value in values.items():
            _number(f"metrics.per_class[{digit}].{name}", value, 1.0)


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _wrong(name, f"a text of at most {MAX_TEXT:,} characters", value)
    # JSON can spell half of a character, which no message can hold.
    value.encode()


def _count(name: str, value: object, most: int = MAX_COUNT) -> None:
    # True is an int to Python.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _wrong(name, f"a whole number from 0 to {most}", value)


def _number(name: str, value: object, most: float = math.inf) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) <= most or not math.isfinite(float(value)):  # type: ignore[arg-type]
        raise _wrong(name, "a number from 0" + (f" to {most:g}" if math.isfinite(most) else ""), value)


def _moment(created: datetime) -> None:
    if created.tzinfo is None:
        raise ValueError("created: expected a time with its zone, got one without")
    created.astimezone(UTC)


def _object(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _wrong(name, "an object", value)
    return value


def _options(options: object) -> None:
    try:
        TrainingOptions.from_json(_object("options", options))
    except InvalidOption as error:
        raise ValueError(error.message) from error


def _libraries(libraries: object) -> None:
    named = _object("libraries", libraries)
    if len(named) > MAX_LIBRARIES:
        raise _wrong("libraries", f"at most {MAX_LIBRARIES} names and versions", libraries)
    for name, version in named.items():
        _text("libraries", name)
        _text(f"libraries.{name}", version)


def _wrong(name: str, expected: str, got: object) -> ValueError:
    told = repr(got)
    return ValueError(f"{name}: expected {expected}, got {told if len(told) <= 80 else told[:80] + '…'}")
