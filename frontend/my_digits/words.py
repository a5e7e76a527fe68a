"""How the page names what people drew: what it is, what was read, where it came from, what it is used for."""

from __future__ import annotations

from collections.abc import Mapping

from digits.client.choices import SampleSource, SampleUse
from digits.client.records import Sample, SampleAccuracy

from frontend.wording import a_digit, ago, count, probability

SOURCES: Mapping[SampleSource, str] = {
    SampleSource.UNSPECIFIED: "anywhere",
    SampleSource.DRAWN: "drawn",
    SampleSource.IMPORTED: "imported",
}
USES: Mapping[SampleUse, str] = {
    SampleUse.UNSPECIFIED: "anything",
    SampleUse.TRAINING: "training",
    SampleUse.HELD_OUT: "measuring",
    SampleUse.EXCLUDED: "nothing",
}

_USED = {
    SampleUse.TRAINING: "versions are trained on it",
    SampleUse.HELD_OUT: "set aside to measure versions with, never trained on",
    SampleUse.EXCLUDED: "one of the digits that measure versions: never trained on",
}
_CAME = {SampleSource.DRAWN: "kept", SampleSource.IMPORTED: "imported"}


def read(sample: Sample) -> str:
    """What was read: "read as 9" or "read right"."""
    return f"read as {sample.predicted_digit}" if sample.is_misread else "read right"


def by(sample: Sample) -> str:
    """Which version read it, and how sure it was: "version 1, 98.2 %"."""
    return f"version {sample.model_version}, {probability(sample.confidence)}"


def facts(sample: Sample) -> str:
    """Everything that is known of a sample, in a line or two."""
    read = f"Read as {a_digit(sample.predicted_digit)} by version {sample.model_version}"
    parts = [
        f"{read}, {probability(sample.confidence)} sure",
        f"{_CAME.get(sample.source, 'kept')} {ago(sample.create_time)}",
        f"labelled anew {ago(sample.update_time)}" if sample.update_time else "",
        _USED.get(sample.use, ""),
    ]
    return " · ".join(part for part in parts if part) + "."


def measured(accuracy: SampleAccuracy) -> str:
    """What an accuracy was measured on: "37 digits: 7 that it never saw, 30 by cross-validation"."""
    unseen = accuracy.images - accuracy.cross_validated
    if not accuracy.images:
        said = "No digit that it can honestly be measured on"
    elif not accuracy.cross_validated:
        said = f"{count(unseen, 'digit')} that it never saw"
    elif not unseen:
        said = f"{count(accuracy.images, 'digit')}, by cross-validation"
    else:
        said = f"{count(accuracy.images, 'digit')}: {unseen:,} that it never saw, "
        said += f"{accuracy.cross_validated:,} by cross-validation"
    if accuracy.left_out:
        said += f"; {accuracy.left_out:,} left out, which it was trained on"
    return said
